// Finds every piece that a text begins with, in time of the longest one: a double array, built once and used in place.
// Source: Aoe, "An Efficient Digital Search Algorithm by Using a Double-Array Structure", 1989.
#pragma once

#include "runtime/tokenizer/Tokenizer.h"

namespace llmc {

// The child of node n by byte b is node `units[n].base ^ b`, if that names n as its parent.
struct TrieUnit {
  uint32_t parent;
  uint32_t base;
  TokenId id; // -1: no piece ends here
};

class PieceTrie {
public:
  // Following a text costs as many steps as the longest piece has bytes; longer ones would make hostile files slow.
  static constexpr size_t kMaxPieceBytes = 1024;

  struct Entry {
    std::string_view piece; // not empty, and no other entry's
    TokenId id;             // at least 0
  };
  static std::vector<TrieUnit> build(std::vector<Entry> entries);
  // `units` outlive the trie. Errors: InvalidInput if they name an id of `pieces` or more.
  static Expected<PieceTrie> open(std::span<const TrieUnit> units, size_t pieces);

  // Calls `found(bytes, id)` for pieces from short to long.
  template <class Found> void forEachPrefix(std::string_view text, Found found) const {
    if (units.empty())
      return;
    uint32_t node = 0;
    for (size_t i = 0; i < text.size(); ++i) {
      uint32_t child = units[node].base ^ uint8_t(text[i]);
      if (child >= units.size() || units[child].parent != node)
        return;
      node = child;
      if (units[node].id >= 0)
        found(i + 1, units[node].id);
    }
  }
  // Bytes of the longest piece that `text` begins with; 0 if there is none.
  size_t longestPrefix(std::string_view text) const {
    size_t longest = 0;
    forEachPrefix(text, [&](size_t bytes, TokenId) { longest = bytes; });
    return longest;
  }

private:
  std::span<const TrieUnit> units;
};

} // namespace llmc
