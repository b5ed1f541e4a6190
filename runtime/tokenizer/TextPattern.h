// What a pre-tokenizer, normalizer or decoder looks for: a text or a regular expression.
#pragma once

#include "runtime/support/Json.h"
#include "runtime/tokenizer/Regex.h"

namespace llmc {

// Where a failure of matching is noted while text flows through callbacks.
struct MatchFailure {
  std::optional<Error> error;
};

class TextPattern {
public:
  // `spec`: {"String": …} or {"Regex": …}. Errors: Unsupported, InvalidInput; `where` names the component.
  static Expected<TextPattern> fromJson(const Json &spec, std::string_view where);
  static Expected<TextPattern> fromRegex(std::string_view pattern);
  static TextPattern fromText(std::string text);

  // Calls `use(start, end)` for each match, left to right; stops when it returns false. Returns whether all went well.
  template <class Use>
  bool forEachMatch(std::string_view text, RegexScratch &scratch, MatchFailure &failure, Use use) const {
    if (regex) {
      MatchFinder matches(*regex, text, scratch);
      while (matches.next())
        if (!use(matches.start(), matches.end()))
          return false;
      if (matches.failed())
        failure.error = matches.error();
      return !matches.failed();
    }
    for (size_t at = text.find(literal); at != text.npos; at = text.find(literal, at + literal.size()))
      if (!use(at, at + literal.size()))
        return false;
    return true;
  }

private:
  std::string literal;
  std::optional<Regex> regex;
};

} // namespace llmc
