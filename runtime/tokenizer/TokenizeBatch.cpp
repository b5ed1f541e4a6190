#include "runtime/tokenizer/TokenizeBatch.h"

#include "runtime/support/Json.h"

namespace llmc {

Expected<std::string> tokenizeBatch(const Tokenizer &tokenizer, std::string_view request) {
  LLMC_TRY(items, parseJson(request, "batch request"));
  auto wrong = [] { return invalidInput("batch request: want [{\"text\": …, \"special\": true or false}, …]"); };
  if (!items.is_array())
    return wrong();
  std::string out = "[";
  for (const Json &item : items) {
    auto text = jsonString(item, "text");
    if (!text)
      return wrong();
    EncodeOptions options{.addSpecial = jsonBool(item, "special").value_or(true), .parseSpecial = true};
    LLMC_TRY(ids, tokenizer.encode(*text, options));
    out += out.size() > 1 ? ", [" : "[";
    for (size_t i = 0; i < ids.size(); ++i)
      out += (i ? ", " : "") + std::to_string(ids[i]);
    out += "]";
  }
  return out + "]";
}

} // namespace llmc
