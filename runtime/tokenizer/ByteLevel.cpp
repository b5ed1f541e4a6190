#include "runtime/tokenizer/ByteLevel.h"

#include "runtime/tokenizer/Unicode.h"

#include <array>

namespace llmc {
namespace {

struct ByteLevelTables {
  std::array<uint16_t, 256> character{};
  std::array<int16_t, kByteLevelEnd> byte{};

  constexpr ByteLevelTables() {
    byte.fill(-1);
    uint16_t next = 256;
    for (int b = 0; b < 256; ++b) {
      bool isPrintable = (b >= '!' && b <= '~') || (b >= 0xA1 && b <= 0xAC) || b >= 0xAE;
      character[size_t(b)] = isPrintable ? uint16_t(b) : next++;
      byte[character[size_t(b)]] = int16_t(b);
    }
  }
};
constexpr ByteLevelTables kTables;

} // namespace

uint32_t byteLevelCharacter(uint8_t byte) { return kTables.character[byte]; }

std::optional<uint8_t> byteLevelByte(uint32_t codePoint) {
  if (codePoint >= kByteLevelEnd || kTables.byte[codePoint] < 0)
    return std::nullopt;
  return uint8_t(kTables.byte[codePoint]);
}

void appendByteLevel(std::string &out, std::string_view bytes) {
  for (char c : bytes) {
    uint32_t codePoint = kTables.character[uint8_t(c)];
    if (codePoint >= 0x80)
      out += char(0xC0 | codePoint >> 6);
    out += char(codePoint < 0x80 ? codePoint : 0x80 | (codePoint & 0x3F));
  }
}

bool appendByteLevelBytes(std::string &out, std::string_view piece) {
  size_t before = out.size();
  for (size_t at = 0; at < piece.size();) {
    auto [codePoint, bytes] = decodeFirst(piece.substr(at));
    auto byte = byteLevelByte(codePoint);
    if (!byte) {
      out.resize(before);
      return false;
    }
    out += char(*byte);
    at += bytes;
  }
  return true;
}

} // namespace llmc
