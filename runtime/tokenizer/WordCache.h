// Remembers the ids of short words that were encoded lately.
#pragma once

#include "runtime/tokenizer/Vocabulary.h"

namespace llmc {

class WordCache {
public:
  // Null if the word is not here. The span is valid until the next `put`.
  std::optional<std::span<const TokenId>> find(std::string_view word) const {
    if (word.size() > kMaxBytes || slots.empty())
      return std::nullopt;
    const Slot &slot = slots[slotOf(hashBytes(word), kSlots)];
    if (slot.bytes != word.size() || std::memcmp(slot.text, word.data(), word.size()) != 0)
      return std::nullopt;
    return std::span<const TokenId>(slot.ids, slot.count);
  }
  void put(std::string_view word, std::span<const TokenId> ids) {
    if (word.empty() || word.size() > kMaxBytes || ids.size() > kMaxIds)
      return;
    if (slots.empty())
      slots.resize(kSlots);
    Slot &slot = slots[slotOf(hashBytes(word), kSlots)];
    slot.bytes = uint8_t(word.size());
    slot.count = uint8_t(ids.size());
    std::memcpy(slot.text, word.data(), word.size());
    std::copy(ids.begin(), ids.end(), slot.ids);
  }

private:
  static constexpr size_t kSlots = 4096, kMaxBytes = 30, kMaxIds = 8;
  // One cache line.
  struct Slot {
    uint8_t bytes, count;
    char text[kMaxBytes];
    TokenId ids[kMaxIds];
  };
  static_assert(sizeof(Slot) == 64);

  std::vector<Slot> slots; // each word has one place
};

} // namespace llmc
