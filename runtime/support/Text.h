// Small helpers: untrusted bytes that claim to be text, and numbers for people.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace llmc {

// Whether `text` is well-formed UTF-8: no overlong forms, no surrogates, nothing beyond U+10FFFF.
// Source: The Unicode Standard, table 3-7.
bool isUtf8(std::string_view text);

// Text from a file made fit for a one-line message: quoted, control and non-ASCII bytes escaped, cut at `maxBytes`.
std::string quoteText(std::string_view text, size_t maxBytes = 80);

// "17.0 GiB", "512 B".
std::string formatBytes(int64_t bytes);

} // namespace llmc
