// Any text as a chat template, applied to a conversation with tools, and any text as the conversation: refused, or rendered within
// the budget to UTF-8.
#include "runtime/support/Text.h"
#include "runtime/template/ChatTemplates.h"

#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  using namespace llmc;
  static constexpr std::string_view request = R"({"messages": [{"role": "system", "content": "é"}, {"role": "user", "content": [{"type": "text", "text": "a"}]},
    {"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": {"x": [1, 2.5, null, true]}}}]}],
    "tools": [{"function": {"name": "f", "parameters": {"properties": {"x": {"type": "array"}}}}}], "d": {"b": 1, "a": "z"}})";
  std::string_view text(reinterpret_cast<const char *>(data), size);
  ChatTemplates templates = *ChatTemplates::fromBlob(R"({"templates": {}, "tokens": {"bos_token": "<s>"}})");
  jinja::Limits limits{.steps = 20000, .bytes = 1 << 20, .outputBytes = 1 << 16};
  templates.replaceBy(std::string(text));
  auto rendered = templates.apply({.request = request, .limits = limits});
  if (rendered && !isUtf8(*rendered))
    std::abort();
  templates.replaceBy("{% for m in messages %}{{ m.role ~ m | tojson ~ m }}{% endfor %}");
  rendered = templates.apply({.request = text, .limits = limits});
  if (rendered && !isUtf8(*rendered))
    std::abort();
  return 0;
}
