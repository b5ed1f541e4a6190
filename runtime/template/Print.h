// Values as text: Python's str() and repr(), and JSON as transformers writes it.
#pragma once

#include "runtime/template/Value.h"

namespace llmc::jinja {

// What `{{ value }}` writes. Errors: generators and functions, whose text would be an address.
Expected<std::string> toText(Rendering &rendering, const Value &value);
Expected<std::string> toRepr(Rendering &rendering, const Value &value);

// json.dumps
struct JsonStyle {
  bool ascii = false, sortKeys = false;
  std::optional<std::string> indent; // of one level; absent: all on one line
  std::optional<std::string> itemSeparator, keySeparator;
};
Expected<std::string> toJson(Rendering &rendering, const Value &value, const JsonStyle &style);

// Reads JSON text; objects keep the order of their members. `what` names it in errors.
Expected<Value> fromJson(Rendering &rendering, std::string_view text, std::string_view what);

} // namespace llmc::jinja
