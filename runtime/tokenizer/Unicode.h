// Code points, their classes and normal forms, as the reference tokenizers see them.
//
// General categories are Unicode 16's (utf8proc's, with UnicodeTables.inc for what is newer); the classes named after
// a component of `tokenizers` follow the older tables which that component uses.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace llmc {

// --- UTF-8 ---

struct Decoded {
  uint32_t codePoint;
  uint32_t bytes;
};
// The first character of well-formed, non-empty text.
inline Decoded decodeFirst(std::string_view text) {
  auto byte = [&](size_t i) { return uint32_t(uint8_t(text[i])); };
  uint32_t lead = byte(0);
  if (lead < 0x80)
    return {lead, 1};
  if (lead < 0xE0)
    return {(lead & 0x1F) << 6 | (byte(1) & 0x3F), 2};
  if (lead < 0xF0)
    return {(lead & 0x0F) << 12 | (byte(1) & 0x3F) << 6 | (byte(2) & 0x3F), 3};
  return {(lead & 0x07) << 18 | (byte(1) & 0x3F) << 12 | (byte(2) & 0x3F) << 6 | (byte(3) & 0x3F), 4};
}
// The last character of well-formed, non-empty text.
Decoded decodeLast(std::string_view text);
void appendUtf8(std::string &out, uint32_t codePoint);
// Bytes that a lead byte announces; 1 for bytes that are no lead.
inline uint32_t announcedBytes(uint8_t lead) { return lead < 0xC0 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4; }
// Bytes at the end of `text` that begin a character which is not complete yet: 0 to 3.
size_t incompleteTail(std::string_view text);
// `text` with each maximal ill-formed part replaced by U+FFFD (The Unicode Standard, 3.9).
std::string replaceIllFormed(std::string_view text);

// --- classes ---

bool isWhiteSpace(uint32_t codePoint);    // White_Space
bool isNumeric(uint32_t codePoint);       // Nd, Nl, No
bool isWordCharacter(uint32_t codePoint); // \w of the reference's plain regular expressions
bool isPunctuation(uint32_t codePoint);   // ASCII punctuation, or P of the reference's table
bool isCombiningMark(uint32_t codePoint);
bool isNonspacingMark(uint32_t codePoint);
bool isControl(uint32_t codePoint); // Cc, Cf, Co
bool isPrintable(uint32_t codePoint);  // neither of a C category nor a separator, but for the space
bool isAlphabetic(uint32_t codePoint); // L
bool isDecimalDigit(uint32_t codePoint); // Nd
bool isUpper(uint32_t codePoint); // Lu
bool isLower(uint32_t codePoint); // Ll
bool isChinese(uint32_t codePoint); // the blocks that BERT isolates

// A number for each script; the Japanese syllabaries are Han. Spaces and unassigned characters have none.
constexpr int32_t kNoScript = -1;
int32_t scriptOf(uint32_t codePoint);

// Characters assigned after Unicode 14 in a general category ("L", "Nd"), as items of a regular expression's class:
// "\x{1E030}-\x{1E06D}…". Empty if there are none.
std::string laterCharacters(std::string_view category);

// --- mappings ---

void appendLower(std::string &out, uint32_t codePoint);
void appendUpper(std::string &out, uint32_t codePoint);

enum class NormalForm { Nfc, Nfd, Nfkc, Nfkd };
// nullopt when memory ran out.
std::optional<std::string> normalize(std::string_view text, NormalForm form);

} // namespace llmc
