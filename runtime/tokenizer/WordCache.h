// Remembers the ids of short words that were encoded lately.
#pragma once

#include "runtime/tokenizer/Vocabulary.h"

#include <algorithm>

namespace llmc {

class WordCache {
public:
  // nullopt if the word is not here. The span is valid until the next `put`.
  std::optional<std::span<const TokenId>> find(std::string_view word) const {
    if (word.size() > kMaxBytes || slots.empty())
      return std::nullopt;
    const Slot *set = &slots[slotOf(hashBytes(word), kSets) * kWays];
    for (size_t way = 0; way < kWays; ++way)
      if (set[way].bytes == word.size() && std::memcmp(set[way].text, word.data(), word.size()) == 0)
        return std::span<const TokenId>(set[way].ids, set[way].count);
    return std::nullopt;
  }
  void put(std::string_view word, std::span<const TokenId> ids) {
    if (word.empty() || word.size() > kMaxBytes || ids.size() > kMaxIds)
      return;
    if (slots.empty())
      slots.resize(kSets * kWays);
    Slot *set = &slots[slotOf(hashBytes(word), kSets) * kWays];
    std::copy_backward(set, set + kWays - 1, set + kWays); // the oldest goes
    set->bytes = uint8_t(word.size());
    set->count = uint8_t(ids.size());
    std::memcpy(set->text, word.data(), word.size());
    std::copy(ids.begin(), ids.end(), set->ids);
  }

private:
  static constexpr size_t kSets = 2048, kWays = 4, kMaxBytes = 30, kMaxIds = 8;
  // One cache line.
  struct Slot {
    uint8_t bytes, count;
    char text[kMaxBytes];
    TokenId ids[kMaxIds];
  };
  static_assert(sizeof(Slot) == 64);

  std::vector<Slot> slots; // each word may lie in any way of one set
};

} // namespace llmc
