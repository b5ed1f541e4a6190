// GGUF v2/v3 metadata: a typed map of the key-value section.
// Source: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
#pragma once

#include "runtime/formats/TensorFile.h"

#include <optional>

namespace llmc {

class Gguf : public TensorFile {
public:
  static Expected<std::unique_ptr<Gguf>> open(const std::string &path);
  // For tests and fuzzing; `bytes` must outlive the object.
  static Expected<std::unique_ptr<Gguf>> parse(std::span<const std::byte> bytes, std::string name);

  // Scalars convert between integer widths when the value fits; strings do not convert. nullopt if absent or of
  // another kind.
  virtual std::optional<int64_t> getInt(std::string_view key) const = 0;
  virtual std::optional<double> getFloat(std::string_view key) const = 0; // also from integers
  virtual std::optional<bool> getBool(std::string_view key) const = 0;
  virtual std::optional<std::string_view> getString(std::string_view key) const = 0;
  // Arrays; empty optional if absent or of another element kind. Views stay valid with the file.
  virtual std::optional<std::vector<std::string_view>> getStrings(std::string_view key) const = 0;
  virtual std::optional<std::vector<int64_t>> getInts(std::string_view key) const = 0; // also from bools
  virtual std::optional<std::vector<float>> getFloats(std::string_view key) const = 0;
  virtual std::vector<std::string_view> keys() const = 0; // in file order
};

} // namespace llmc
