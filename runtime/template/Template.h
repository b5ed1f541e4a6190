// A template of the Jinja language, as transformers renders chat templates: trim_blocks, lstrip_blocks, an immutable
// sandbox, loop controls, `generation` blocks.
//
//   LLMC_TRY(parsed, Template::parse(text));
//   Rendering rendering{Limits()};
//   LLMC_TRY(text, parsed.render(rendering, {{"name", Value::of(std::string("World"))}}));
//
// Templates are untrusted: time, memory, depth and output are bounded (Budget.h). Every error says line and column.
#pragma once

#include "runtime/template/Value.h"

#include <memory>

namespace llmc::jinja {

struct Syntax;

using Variables = std::vector<std::pair<std::string, Value>>;

class Template {
public:
  static Expected<Template> parse(std::string source);
  Template(Template &&) noexcept;
  ~Template();

  // `rendering` is used once. Errors: InvalidInput where Python would raise; Unsupported for what this engine has not.
  Expected<std::string> render(Rendering &rendering, const Variables &variables) const;

private:
  explicit Template(std::unique_ptr<const Syntax> syntax);
  std::unique_ptr<const Syntax> syntax;
};

} // namespace llmc::jinja
