#include "runtime/tokenizer/PieceTrie.h"

#include "runtime/tokenizer/Blob.h"

#include <algorithm>

namespace llmc {
namespace {

constexpr uint32_t kFree = 0xFFFFFFFF, kRootParent = 0xFFFFFFFE;
constexpr size_t kBlock = 256; // a node's children lie in one block

class Builder {
public:
  explicit Builder(std::vector<PieceTrie::Entry> entries) : entries(std::move(entries)) {}

  std::vector<TrieUnit> build() {
    std::sort(entries.begin(), entries.end(), [](const auto &a, const auto &b) { return a.piece < b.piece; });
    grow();
    units[0].parent = kRootParent;
    open.push_back({0, 0, entries.size(), 0});
    while (!open.empty()) {
      Range range = open.back();
      open.pop_back();
      addChildren(range);
    }
    return std::move(units);
  }

private:
  // Entries [first, last) begin with the `depth` bytes that lead to `node`.
  struct Range {
    uint32_t node;
    size_t first, last, depth;
  };

  void grow() { units.resize(units.size() + kBlock, TrieUnit{kFree, 0, -1}); }
  bool isFree(size_t at) const { return units[at].parent == kFree; }
  uint8_t byteAt(size_t entry, size_t depth) const { return uint8_t(entries[entry].piece[depth]); }

  void addChildren(Range range) {
    if (range.first < range.last && entries[range.first].piece.size() == range.depth)
      units[range.node].id = entries[range.first++].id;
    labels.clear();
    for (size_t i = range.first; i < range.last; ++i)
      if (uint8_t label = byteAt(i, range.depth); labels.empty() || labels.back() != label)
        labels.push_back(label);
    if (labels.empty())
      return;
    uint32_t base = findBase();
    units[range.node].base = base;
    size_t first = range.first;
    for (uint8_t label : labels) {
      size_t last = first;
      while (last < range.last && byteAt(last, range.depth) == label)
        ++last;
      units[base ^ label].parent = range.node;
      open.push_back({base ^ label, first, last, range.depth + 1});
      first = last;
    }
  }

  // A base whose places for `labels` are free. Looks at few places, so that building takes linear time.
  uint32_t findBase() {
    constexpr size_t kMaxSteps = 1024;
    while (firstFree < units.size() && !isFree(firstFree))
      ++firstFree;
    for (size_t at = firstFree; at < std::min(units.size(), firstFree + kMaxSteps); ++at) {
      auto base = uint32_t(at) ^ labels[0];
      if (std::all_of(labels.begin(), labels.end(), [&](uint8_t label) { return isFree(base ^ label); }))
        return base;
    }
    auto base = uint32_t(units.size());
    grow();
    return base;
  }

  std::vector<PieceTrie::Entry> entries;
  std::vector<TrieUnit> units;
  std::vector<Range> open;
  std::vector<uint8_t> labels;
  size_t firstFree = 0;
};

} // namespace

std::vector<TrieUnit> PieceTrie::build(std::vector<Entry> entries) { return Builder(std::move(entries)).build(); }

Expected<PieceTrie> PieceTrie::open(std::span<const TrieUnit> units, size_t pieces) {
  for (const TrieUnit &unit : units)
    if (unit.id < -1 || (unit.id >= 0 && size_t(unit.id) >= pieces))
      return BlobReader::damaged();
  PieceTrie trie;
  trie.units = units;
  return trie;
}

} // namespace llmc
