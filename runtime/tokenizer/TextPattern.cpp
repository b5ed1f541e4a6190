#include "runtime/tokenizer/TextPattern.h"

namespace llmc {

Expected<TextPattern> TextPattern::fromRegex(std::string_view pattern) {
  LLMC_TRY(regex, Regex::compile(pattern));
  TextPattern result;
  result.regex = std::move(regex);
  return result;
}

TextPattern TextPattern::fromText(std::string text) {
  TextPattern result;
  result.literal = std::move(text);
  return result;
}

Expected<TextPattern> TextPattern::fromJson(const Json &spec, std::string_view where) {
  if (auto text = jsonString(spec, "String")) {
    if (!text->empty())
      return fromText(std::string(*text));
    return fromRegex(""); // matches between all characters
  }
  auto pattern = jsonString(spec, "Regex");
  if (!pattern)
    return invalidInput("tokenizer.json: " + std::string(where) +
                        ": 'pattern': want {\"String\": …} or {\"Regex\": …}");
  auto result = fromRegex(*pattern);
  if (!result)
    result.error().message = "tokenizer.json: " + std::string(where) + ": " + result.error().message;
  return result;
}

} // namespace llmc
