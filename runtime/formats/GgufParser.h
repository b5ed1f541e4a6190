// The structure of a GGUF file as views into its bytes; Gguf.h gives it types. Internal to runtime/formats.
#pragma once

#include "runtime/formats/TensorTable.h"

#include <optional>

namespace llmc {

// Value types of the metadata, with their numbers in the file.
enum class GgufType : uint32_t { U8, I8, U16, I16, U32, I32, F32, Bool, String, Array, U64, I64, F64 };

struct GgufEntry {
  std::string_view key;
  GgufType type; // of the elements, for an array
  bool isArray;
  uint64_t count;                   // 1 for a scalar
  std::span<const std::byte> bytes; // `count` values; each string is a u64 length and its bytes
};

struct GgufContents {
  std::vector<GgufEntry> entries; // in file order
  std::vector<uint32_t> byKey;    // indices into `entries`
  TensorTable tensors;

  const GgufEntry *find(std::string_view key) const;
};

// Bytes of a value of fixed size; 0 for strings and arrays.
size_t ggufTypeBytes(GgufType type);

// The number of a tensor type in the file.
uint32_t ggufTensorType(Format format);

// Checks everything but the meaning of the keys. All views point into `bytes`.
Expected<GgufContents> parseGguf(std::span<const std::byte> bytes, const std::string &file);

} // namespace llmc
