// Cuts text of a SentencePiece-style vocabulary, where U+2581 stands for a space, into words that encode separately.
//
// A model without a pre-tokenizer encodes a whole text as one word. No merge crosses a place between a character c and
// U+2581 if no piece holds the two in this order, so cutting there changes nothing and makes words short enough to be
// remembered.
#pragma once

#include "runtime/tokenizer/Blob.h"

#include <algorithm>
#include <cstdint>

namespace llmc {

class WordSplitter {
public:
  WordSplitter() = default;
  // `joined`: sorted, the characters c that some piece has before U+2581.
  explicit WordSplitter(std::span<const uint32_t> joined) : joined(joined) {}

  // Bytes of the first word of non-empty text, which need not be well-formed.
  size_t firstWord(std::string_view text) const {
    constexpr std::string_view kSpace = "\xE2\x96\x81";
    for (size_t at = text.find(kSpace, 1); at != text.npos; at = text.find(kSpace, at + kSpace.size()))
      if (!text.substr(0, at).ends_with(kSpace) && !isJoined(text.substr(0, at)))
        return at;
    return text.size();
  }

private:
  bool isJoined(std::string_view before) const;

  std::span<const uint32_t> joined;
};

} // namespace llmc
