#include "runtime/tokenizer/WordSplitter.h"

#include "runtime/support/Text.h"
#include "runtime/tokenizer/Unicode.h"

namespace llmc {

bool WordSplitter::isJoined(std::string_view before) const {
  uint8_t last = uint8_t(before.back());
  if (last < 0x80)
    return std::binary_search(joined.begin(), joined.end(), last);
  size_t start = before.size() - 1;
  while (start > 0 && before.size() - start < 4 && (uint8_t(before[start]) & 0xC0) == 0x80)
    --start;
  std::string_view character = before.substr(start);
  // What is no character is in no piece either; but nothing is gained by cutting there.
  bool isCharacter = isUtf8(character);
  return !isCharacter || std::binary_search(joined.begin(), joined.end(), decodeFirst(character).codePoint);
}

} // namespace llmc
