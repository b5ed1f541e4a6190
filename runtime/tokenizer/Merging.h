// Byte-pair merging: the best adjacent pair becomes one symbol until no pair merges.
#pragma once

#include "runtime/tokenizer/Vocabulary.h"

#include <algorithm>

namespace llmc {

struct Symbol {
  TokenId id;         // -1: no piece
  uint32_t start;     // of its text, where the model merges by text
  uint32_t bytes;     // 0: merged into another symbol
  int32_t prev, next; // neighbours; -1 at the ends
  Merge withNext;     // what it and its right neighbour become
};

// Memory that merging reuses from word to word.
struct MergeScratch {
  struct Entry {
    uint64_t order; // rank << 32 | place: the smallest rank first, then the leftmost
    TokenId merged;
    bool operator<(const Entry &other) const { return order > other.order; } // a min-heap
  };
  std::vector<Symbol> symbols;
  std::vector<Entry> heap;

  void add(TokenId id, uint32_t start, uint32_t bytes) {
    symbols.push_back({id, start, bytes, int32_t(symbols.size()) - 1, int32_t(symbols.size()) + 1, {0, -1}});
  }
};

namespace detail {

// A few symbols: look for the best pair each time. The survivors stay contiguous.
template <class PairOf> void mergeFew(std::vector<Symbol> &symbols, PairOf pairOf) {
  size_t count = symbols.size();
  auto update = [&](size_t i) {
    symbols[i].withNext = i + 1 < count ? pairOf(symbols[i], symbols[i + 1]) : Merge{0, -1};
  };
  for (size_t i = 0; i < count; ++i)
    update(i);
  while (true) {
    size_t best = count;
    for (size_t i = 0; i + 1 < count; ++i)
      if (symbols[i].withNext.merged >= 0 && (best == count || symbols[i].withNext.rank < symbols[best].withNext.rank))
        best = i;
    if (best == count)
      break;
    symbols[best].id = symbols[best].withNext.merged;
    symbols[best].bytes += symbols[best + 1].bytes;
    std::copy(symbols.begin() + ptrdiff_t(best) + 2, symbols.begin() + ptrdiff_t(count),
              symbols.begin() + ptrdiff_t(best) + 1);
    --count;
    if (best > 0)
      update(best - 1);
    update(best);
  }
  symbols.resize(count);
}

// Any number of symbols, in O(n log n).
template <class PairOf> void mergeMany(MergeScratch &scratch, PairOf pairOf) {
  auto &symbols = scratch.symbols;
  auto &heap = scratch.heap;
  heap.clear();
  symbols.back().next = -1;
  auto update = [&](int32_t i, bool isFirstTime) {
    Symbol &symbol = symbols[size_t(i)];
    symbol.withNext = symbol.next >= 0 ? pairOf(symbol, symbols[size_t(symbol.next)]) : Merge{0, -1};
    if (symbol.withNext.merged < 0)
      return;
    heap.push_back({uint64_t(symbol.withNext.rank) << 32 | uint32_t(i), symbol.withNext.merged});
    if (!isFirstTime)
      std::push_heap(heap.begin(), heap.end());
  };
  for (size_t i = 0; i + 1 < symbols.size(); ++i)
    update(int32_t(i), true);
  std::make_heap(heap.begin(), heap.end());
  while (!heap.empty()) {
    auto entry = heap.front();
    std::pop_heap(heap.begin(), heap.end());
    heap.pop_back();
    auto at = int32_t(entry.order & 0xFFFFFFFF);
    Symbol &left = symbols[size_t(at)];
    // The pair may have changed since; it still counts if it becomes the same piece.
    if (!left.bytes || left.withNext.merged != entry.merged)
      continue;
    Symbol &right = symbols[size_t(left.next)];
    left.id = entry.merged;
    left.bytes += right.bytes;
    right.bytes = 0;
    left.next = right.next;
    if (left.next >= 0)
      symbols[size_t(left.next)].prev = at;
    if (left.prev >= 0)
      update(left.prev, false);
    update(at, false);
  }
  std::erase_if(symbols, [](const Symbol &symbol) { return symbol.bytes == 0; });
}

} // namespace detail

// Merges `scratch.symbols` in place; what is left is in order. `pairOf(left, right)` gives the Merge of two symbols.
template <class PairOf> void mergeSymbols(MergeScratch &scratch, PairOf pairOf) {
  constexpr size_t kFew = 24;
  if (scratch.symbols.size() < 2)
    return;
  if (scratch.symbols.size() <= kFew)
    detail::mergeFew(scratch.symbols, pairOf);
  else
    detail::mergeMany(scratch, pairOf);
}

} // namespace llmc
