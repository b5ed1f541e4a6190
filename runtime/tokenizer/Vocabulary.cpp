#include "runtime/tokenizer/Vocabulary.h"

#include "runtime/support/Text.h"
#include "runtime/tokenizer/PieceTrie.h"
#include "runtime/tokenizer/Unicode.h"

#include <algorithm>

namespace llmc {
namespace {

constexpr uint64_t kIdMask = 0xFFFFFFFF;

bool isAscending(std::span<const uint32_t> offsets, size_t limit) {
  return !offsets.empty() && offsets.front() == 0 && offsets.back() <= limit &&
         std::is_sorted(offsets.begin(), offsets.end());
}

// Every id is known, and a free slot ends every probe.
bool areSlotsSound(std::span<const uint64_t> slots, size_t pieces) {
  size_t used = 0;
  for (uint64_t slot : slots) {
    if ((slot & kIdMask) > pieces)
      return false;
    used += slot != 0;
  }
  return slots.empty() || used < slots.size();
}

bool areMergesSound(std::span<const MergeSlot> merges, size_t pieces) {
  size_t used = 0;
  for (const MergeSlot &slot : merges) {
    if (slot.left < 0)
      continue;
    ++used;
    if (size_t(slot.left) >= pieces || slot.right < 0 || size_t(slot.right) >= pieces || slot.merged < 0 ||
        size_t(slot.merged) >= pieces)
      return false;
  }
  return merges.empty() || used < merges.size();
}

} // namespace

Expected<Vocabulary> Vocabulary::open(const BlobReader &blob) {
  Vocabulary vocabulary;
  vocabulary.bytes = blob.text(BlobSection::PieceBytes);
  LLMC_TRY(offsets, blob.array<uint32_t>(BlobSection::PieceOffsets));
  LLMC_TRY(flags, blob.array<uint8_t>(BlobSection::PieceFlags));
  LLMC_TRY(slots, blob.array<uint64_t>(BlobSection::PieceSlots));
  LLMC_TRY(merges, blob.array<MergeSlot>(BlobSection::MergeSlots));
  bool isSound = offsets.size() == flags.size() + 1 && isAscending(offsets, vocabulary.bytes.size()) &&
                 areSlotsSound(slots, flags.size()) && areMergesSound(merges, flags.size());
  if (!isSound)
    return BlobReader::damaged();
  vocabulary.offsets = offsets;
  vocabulary.flags = flags;
  vocabulary.slots = slots;
  vocabulary.merges = merges;
  for (size_t i = 0; i + 1 < offsets.size(); ++i)
    vocabulary.maxPieceBytes = std::max<size_t>(vocabulary.maxPieceBytes, offsets[i + 1] - offsets[i]);
  return vocabulary;
}

namespace {

// `piece(id)` is a piece's text.
template <class PieceOf> TokenId findIn(std::span<const uint64_t> slots, std::string_view text, PieceOf piece) {
  if (text.empty() || slots.empty())
    return -1;
  uint64_t hash = hashBytes(text);
  for (size_t at = slotOf(hash, slots.size());; at = at + 1 == slots.size() ? 0 : at + 1) {
    uint64_t slot = slots[at];
    if (!slot)
      return -1;
    if ((slot ^ hash << 32) >> 32 == 0) {
      auto id = TokenId((slot & kIdMask) - 1);
      if (piece(id) == text)
        return id;
    }
  }
}

} // namespace

TokenId Vocabulary::find(std::string_view text) const {
  if (text.size() > maxPieceBytes)
    return -1;
  return findIn(slots, text, [&](TokenId id) { return piece(id); });
}

Merge Vocabulary::merge(TokenId left, TokenId right) const {
  if (merges.empty())
    return {0, -1};
  for (size_t at = slotOf(hashPair(left, right), merges.size());; at = at + 1 == merges.size() ? 0 : at + 1) {
    const MergeSlot &slot = merges[at];
    if (slot.left == left && slot.right == right)
      return {slot.rank, slot.merged};
    if (slot.left < 0)
      return {0, -1};
  }
}

namespace {

size_t capacityFor(size_t entries) { return entries + entries / 2 + 2; }

std::vector<MergeSlot> buildMergeSlots(std::span<const MergeSlot> merges) {
  if (merges.empty())
    return {};
  std::vector<MergeSlot> slots(capacityFor(merges.size()), MergeSlot{-1, -1, 0, -1});
  for (const MergeSlot &merge : merges) {
    size_t at = slotOf(hashPair(merge.left, merge.right), slots.size());
    while (slots[at].left >= 0)
      at = at + 1 == slots.size() ? 0 : at + 1;
    slots[at] = merge;
  }
  return slots;
}

// The first of equal patterns stays.
void addAddedTokens(BlobWriter &writer, std::vector<TokenizerParts::Added> added) {
  std::sort(added.begin(), added.end(), [](const auto &a, const auto &b) {
    bool aLater = a.flags & kAddedNormalized, bLater = b.flags & kAddedNormalized;
    if (aLater != bLater)
      return bLater;
    return a.pattern != b.pattern ? a.pattern < b.pattern : a.id < b.id;
  });
  auto isSame = [](const auto &a, const auto &b) {
    return a.pattern == b.pattern && ((a.flags ^ b.flags) & kAddedNormalized) == 0;
  };
  added.erase(std::unique(added.begin(), added.end(), isSame), added.end());
  std::vector<AddedToken> records;
  std::string patterns;
  for (const auto &token : added) {
    records.push_back({uint32_t(patterns.size()), uint32_t(token.pattern.size()), token.id, token.flags});
    patterns += token.pattern;
  }
  writer.addArray<AddedToken>(BlobSection::AddedTokens, records);
  writer.add(BlobSection::AddedPatterns, std::move(patterns));
}

// See WordSplitter.
std::vector<uint32_t> findBoundaries(const TokenizerParts &parts) {
  constexpr std::string_view kSpace = "\xE2\x96\x81";
  std::vector<uint32_t> characters;
  for (size_t id = 0; id < parts.size(); ++id) {
    std::string_view piece = parts.piece(id);
    for (size_t at = piece.find(kSpace, 1); at != piece.npos; at = piece.find(kSpace, at + kSpace.size()))
      if (!piece.substr(0, at).ends_with(kSpace) && isUtf8(piece))
        characters.push_back(decodeLast(piece.substr(0, at)).codePoint);
  }
  std::sort(characters.begin(), characters.end());
  characters.erase(std::unique(characters.begin(), characters.end()), characters.end());
  return characters;
}

Expected<std::vector<TrieUnit>> buildTrie(const TokenizerParts &parts) {
  std::vector<PieceTrie::Entry> entries;
  for (TokenId id : parts.trie) {
    std::string_view piece = parts.piece(size_t(id));
    if (piece.size() > PieceTrie::kMaxPieceBytes)
      return unsupported("tokenizer: piece " + quoteText(piece, 40) + " of " + std::to_string(piece.size()) +
                         " bytes: want at most " + std::to_string(PieceTrie::kMaxPieceBytes));
    if (!piece.empty())
      entries.push_back({piece, id});
  }
  if (entries.empty())
    return std::vector<TrieUnit>();
  return PieceTrie::build(std::move(entries));
}

} // namespace

void TokenizerParts::append(std::string_view piece, uint8_t flags) {
  pieceBytes += piece;
  pieceOffsets.push_back(uint32_t(pieceBytes.size()));
  pieceFlags.push_back(flags);
}

TokenId TokenizerParts::find(std::string_view text) const {
  return findIn(slots, text, [&](TokenId id) { return piece(size_t(id)); });
}

namespace {

// The slot of a piece, or the free one where it belongs.
size_t placeFor(const TokenizerParts &parts, std::string_view text, uint64_t hash) {
  const auto &slots = parts.slots;
  size_t at = slotOf(hash, slots.size());
  while (slots[at] && (slots[at] >> 32 != (hash & kIdMask) || parts.piece((slots[at] & kIdMask) - 1) != text))
    at = at + 1 == slots.size() ? 0 : at + 1;
  return at;
}

} // namespace

Expected<void> TokenizerParts::indexPieces() {
  slots.assign(capacityFor(size()), 0);
  for (size_t id = 0; id < size(); ++id) {
    std::string_view text = piece(id);
    if (text.empty())
      continue;
    uint64_t hash = hashBytes(text);
    uint64_t &slot = slots[placeFor(*this, text, hash)];
    if (slot)
      return invalidInput("tokenizer: piece " + quoteText(text) + " has two ids, " +
                          std::to_string((slot & kIdMask) - 1) + " and " + std::to_string(id));
    slot = hash << 32 | (id + 1);
  }
  return {};
}

void TokenizerParts::addToIndex(TokenId id) {
  if (size() > slots.size() * 3 / 4) {
    slots.assign(capacityFor(2 * size()), 0);
    for (TokenId earlier = 0; earlier < id; ++earlier)
      addToIndex(earlier);
  }
  std::string_view text = piece(size_t(id));
  uint64_t hash = hashBytes(text);
  if (!text.empty())
    slots[placeFor(*this, text, hash)] = hash << 32 | uint64_t(id + 1);
}

void keepOnePerPair(std::vector<MergeSlot> &merges, bool keepsFirst) {
  auto key = [](const MergeSlot &merge) { return std::pair(merge.left, merge.right); };
  std::sort(merges.begin(), merges.end(), [&](const MergeSlot &a, const MergeSlot &b) {
    if (key(a) != key(b))
      return key(a) < key(b);
    return keepsFirst ? a.rank < b.rank : a.rank > b.rank;
  });
  auto isSame = [&](const MergeSlot &a, const MergeSlot &b) { return key(a) == key(b); };
  merges.erase(std::unique(merges.begin(), merges.end(), isSame), merges.end());
}

Expected<std::string> buildBlob(TokenizerParts parts) {
  BlobWriter writer;
  LLMC_CHECK(parts.indexPieces());
  writer.addArray<uint64_t>(BlobSection::PieceSlots, parts.slots);
  parts.slots = {};
  writer.addArray<MergeSlot>(BlobSection::MergeSlots, buildMergeSlots(parts.merges));
  parts.merges = {};
  writer.addArray<uint32_t>(BlobSection::Boundaries, findBoundaries(parts));
  LLMC_TRY(trie, buildTrie(parts));
  writer.addArray<TrieUnit>(BlobSection::PieceTrie, trie);
  writer.add(BlobSection::Config, std::move(parts.config));
  writer.add(BlobSection::PieceBytes, std::move(parts.pieceBytes));
  writer.addArray<uint32_t>(BlobSection::PieceOffsets, parts.pieceOffsets);
  writer.addArray<uint8_t>(BlobSection::PieceFlags, parts.pieceFlags);
  writer.add(BlobSection::PieceScores, std::move(parts.scores));
  addAddedTokens(writer, std::move(parts.added));
  return writer.finish();
}

} // namespace llmc
