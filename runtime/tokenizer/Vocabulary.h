// Pieces, ids, scores and merges: read-only arrays inside of a tokenizer's blob.
#pragma once

#include "runtime/tokenizer/Blob.h"
#include "runtime/tokenizer/Tokenizer.h"

#include <cstring>

namespace llmc {

enum PieceFlag : uint8_t {
  kPieceNormal = 1,
  kPieceUnknown = 2,
  kPieceControl = 4,
  kPieceUserDefined = 8,
  kPieceByte = 16,
  kPieceSpecial = 32,   // left out when decoding, unless asked for
  kPieceAddedOnly = 64, // an added token that the model itself does not know
};

struct MergeSlot {
  TokenId left, right; // left is -1 in a free slot
  uint32_t rank;
  TokenId merged;
};
struct Merge {
  uint32_t rank;
  TokenId merged; // -1: the two do not merge
};

struct AddedToken {
  uint32_t patternOffset, patternBytes; // in AddedPatterns: what is looked for
  TokenId id;
  uint32_t flags; // AddedFlag
};
enum AddedFlag : uint32_t {
  kAddedLeftStrip = 1,
  kAddedRightStrip = 2,
  kAddedSingleWord = 4,
  kAddedSpecial = 8,     // ordinary text unless EncodeOptions::parseSpecial
  kAddedNormalized = 16, // looked for in normalized text; these follow the others in the table
};

inline uint64_t hashBytes(std::string_view text) {
  constexpr uint64_t k = 0x9E3779B97F4A7C15;
  uint64_t hash = text.size() * k;
  const char *at = text.data();
  size_t left = text.size();
  for (; left >= 8; at += 8, left -= 8) {
    uint64_t word;
    std::memcpy(&word, at, 8);
    hash = (hash ^ word) * k;
    hash ^= hash >> 32;
  }
  uint64_t word = 0;
  std::memcpy(&word, at, left);
  hash = (hash ^ word) * k;
  hash ^= hash >> 29;
  hash *= 0xBF58476D1CE4E5B9;
  return hash ^ hash >> 32;
}
inline uint64_t hashPair(TokenId left, TokenId right) {
  uint64_t hash = (uint64_t(uint32_t(left)) << 32 | uint32_t(right)) * 0x9E3779B97F4A7C15;
  hash ^= hash >> 32;
  return hash * 0xBF58476D1CE4E5B9;
}
// A slot out of `capacity` from the upper half of a hash.
inline size_t slotOf(uint64_t hash, size_t capacity) { return size_t(((hash >> 32) * capacity) >> 32); }

class Vocabulary {
public:
  // Checks everything that lookups rely on. `blob` outlives the vocabulary.
  static Expected<Vocabulary> open(const BlobReader &blob);

  size_t size() const { return flags.size(); }
  std::string_view piece(TokenId id) const {
    return {bytes.data() + offsets[size_t(id)], offsets[size_t(id) + 1] - offsets[size_t(id)]};
  }
  bool contains(TokenId id) const { return id >= 0 && size_t(id) < size(); }
  uint8_t flagsOf(TokenId id) const { return flags[size_t(id)]; }
  // -1 if there is no such piece.
  TokenId find(std::string_view text) const;
  TokenId findInModel(std::string_view text) const {
    TokenId id = find(text);
    return id >= 0 && (flagsOf(id) & kPieceAddedOnly) ? -1 : id;
  }
  size_t longestPiece() const { return maxPieceBytes; }

  Merge merge(TokenId left, TokenId right) const;
  std::span<const MergeSlot> mergeTable() const { return merges; }

private:
  std::string_view bytes;
  std::span<const uint32_t> offsets;
  std::span<const uint8_t> flags;
  std::span<const uint64_t> slots;
  std::span<const MergeSlot> merges;
  size_t maxPieceBytes = 0;
};

// What a tokenizer is made of, before it becomes a blob.
struct TokenizerParts {
  struct Added {
    std::string pattern;
    TokenId id;
    uint32_t flags;
  };

  std::string pieceBytes;
  std::vector<uint32_t> pieceOffsets = {0}; // n + 1
  std::vector<uint8_t> pieceFlags;          // n
  std::vector<uint64_t> slots;              // made by indexPieces
  std::string scores;                       // raw bytes of the score array, if the model has one
  std::vector<TokenId> trie;                // ids of the pieces that PieceTrie holds, if the model has one
  std::vector<MergeSlot> merges;            // in any order, no pair twice
  std::vector<Added> added;
  std::string config; // JSON text

  size_t size() const { return pieceFlags.size(); }
  std::string_view piece(size_t id) const {
    return std::string_view(pieceBytes).substr(pieceOffsets[id], pieceOffsets[id + 1] - pieceOffsets[id]);
  }
  // Gives the next id to a piece; an empty one is a gap.
  void append(std::string_view piece, uint8_t flags);
  // Makes `find` know all pieces appended so far. Errors: InvalidInput if a piece occurs twice.
  Expected<void> indexPieces();
  // Makes `find` know one more piece; amortised O(1).
  void addToIndex(TokenId id);
  TokenId find(std::string_view piece) const; // -1 if absent
};

// In a frame of special ids: the place of the text.
constexpr TokenId kFrameText = -1;

// Sorts merges and leaves one of each pair: that with the least rank, or with the greatest.
void keepOnePerPair(std::vector<MergeSlot> &merges, bool keepsFirst);

// Errors: as indexPieces; Unsupported if a piece of the trie is longer than a PieceTrie takes.
Expected<std::string> buildBlob(TokenizerParts parts);

} // namespace llmc
