// Rewrites a regular expression of tokenizer.json, which Oniguruma reads, into one that PCRE2 reads alike.
#pragma once

#include "runtime/support/Error.h"

#include <string>
#include <string_view>

namespace llmc {

// The result wants PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE and a newline of LF. What differs and is rewritten: \s, \w,
// \d, \b and \h (their characters), \p{…} (characters that PCRE2's older Unicode tables lack; scripts without script
// extensions), nested classes and &&, (?m), \v, \u, {,n}. Errors: Unsupported, naming the construct.
Expected<std::string> translateRegex(std::string_view pattern);

// A pattern that matches `text` itself.
std::string escapeRegex(std::string_view text);

} // namespace llmc
