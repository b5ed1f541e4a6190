// GPT-2's writing of bytes as printable characters: each byte is one character below U+0144.
// Source: https://github.com/openai/gpt-2/blob/master/src/encoder.py
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace llmc {

// Below this lie all the characters that bytes are written as.
constexpr uint32_t kByteLevelEnd = 0x144;

uint32_t byteLevelCharacter(uint8_t byte);
std::optional<uint8_t> byteLevelByte(uint32_t codePoint);
void appendByteLevel(std::string &out, std::string_view bytes);
// Appends the bytes that `piece` writes; false, and nothing appended, if a character of it writes none.
bool appendByteLevelBytes(std::string &out, std::string_view piece);

} // namespace llmc
