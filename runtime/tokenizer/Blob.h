// The file inside of an artifact that holds a tokenizer: named sections of plain little-endian arrays, used in place.
//
//   "LLMCTOK1", u32 version, u32 sections, u64 bytes, then per section {u32 kind, u32 0, u64 offset, u64 bytes};
//   sections start at multiples of 8.
#pragma once

#include "runtime/support/Error.h"

#include <array>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace llmc {

enum class BlobSection : uint32_t {
  Config = 1,    // JSON text: the model's options, normalizer, pre-tokenizer, decoder, special ids
  PieceBytes,    // the pieces' text, one after another
  PieceOffsets,  // u32[n + 1] into PieceBytes
  PieceFlags,    // u8[n], see PieceFlag
  PieceSlots,    // u64[capacity], open addressing: hash tag << 32 | id + 1; 0 is free
  PieceScores,   // f64[n] or f32[n], as the model reads them; may be absent
  MergeSlots,    // MergeSlot[capacity], open addressing; may be absent
  AddedTokens,   // AddedToken[m], sorted by pattern within each of the two groups
  AddedPatterns, // bytes of the patterns
  Boundaries,    // u32[], sorted: characters after which a word's start does not end a merge, see WordSplitter
  PieceTrie,     // TrieUnit[], see PieceTrie: the pieces that the model looks for at each place; may be absent
  Count
};

class BlobWriter {
public:
  void add(BlobSection kind, std::string bytes) { sections.emplace_back(kind, std::move(bytes)); }
  template <class T> void addArray(BlobSection kind, std::span<const T> values) {
    add(kind, std::string(reinterpret_cast<const char *>(values.data()), values.size_bytes()));
  }
  std::string finish() const;

private:
  std::vector<std::pair<BlobSection, std::string>> sections;
};

class BlobReader {
public:
  // Checks the header and that every section lies inside. `blob` is at a multiple of 8.
  static Expected<BlobReader> open(std::span<const std::byte> blob);

  std::string_view text(BlobSection kind) const {
    auto bytes = sections[size_t(kind)];
    return {reinterpret_cast<const char *>(bytes.data()), bytes.size()};
  }
  // Empty if absent. Errors: InvalidInput if the size is no multiple of an element.
  template <class T> Expected<std::span<const T>> array(BlobSection kind) const {
    auto bytes = sections[size_t(kind)];
    if (bytes.size() % sizeof(T))
      return damaged();
    return std::span<const T>(reinterpret_cast<const T *>(bytes.data()), bytes.size() / sizeof(T));
  }
  static std::unexpected<Error> damaged();

private:
  std::array<std::span<const std::byte>, size_t(BlobSection::Count)> sections;
};

} // namespace llmc
