// Builds small safetensors and GGUF files byte by byte, well-formed or not. For tests only.
#pragma once

#include "runtime/formats/GgufParser.h"

#include <cstring>
#include <string>

namespace llmc::test {

// Appends a value as its little-endian bytes.
template <class T> void put(std::string &out, T value) {
  out.append(reinterpret_cast<const char *>(&value), sizeof value);
}

inline std::span<const std::byte> asBytes(const std::string &text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

inline std::string safetensors(std::string_view header, size_t dataBytes) {
  std::string out;
  put<uint64_t>(out, header.size());
  return (out += header) += std::string(dataBytes, '\1');
}

// A GGUF file in the making. Counts follow what was added unless they are set.
class GgufBuilder {
public:
  uint32_t version = 3;
  uint64_t alignment = 32;
  uint64_t extraEntries = 0, extraTensors = 0; // promised but absent

  static void putString(std::string &out, std::string_view text) {
    put<uint64_t>(out, text.size());
    out += text;
  }
  // An entry whose value is already in bytes.
  GgufBuilder &raw(std::string_view key, uint32_t type, std::string_view value) {
    putString(entries, key);
    put(entries, type);
    entries += value;
    ++entryCount;
    return *this;
  }
  template <class T> GgufBuilder &scalar(std::string_view key, GgufType type, T value) {
    std::string bytes;
    put(bytes, value);
    return raw(key, uint32_t(type), bytes);
  }
  GgufBuilder &text(std::string_view key, std::string_view value) {
    std::string bytes;
    putString(bytes, value);
    return raw(key, uint32_t(GgufType::String), bytes);
  }
  template <class T> GgufBuilder &array(std::string_view key, GgufType type, std::vector<T> values) {
    std::string bytes;
    put(bytes, uint32_t(type));
    put<uint64_t>(bytes, values.size());
    for (const T &value : values)
      if constexpr (std::is_convertible_v<T, std::string_view>)
        putString(bytes, value);
      else
        put(bytes, value);
    return raw(key, uint32_t(GgufType::Array), bytes);
  }
  // `shape` as in the file: fastest dimension first.
  GgufBuilder &tensor(std::string_view name, std::vector<uint64_t> shape, uint32_t type, uint64_t offset) {
    putString(tensors, name);
    put(tensors, uint32_t(shape.size()));
    for (uint64_t dimension : shape)
      put(tensors, dimension);
    put(tensors, type);
    put(tensors, offset);
    ++tensorCount;
    return *this;
  }
  std::string build(size_t dataBytes) const {
    std::string out = "GGUF";
    put(out, version);
    put(out, tensorCount + extraTensors);
    put(out, entryCount + extraEntries);
    (out += entries) += tensors;
    if (dataBytes)
      out.resize((out.size() + alignment - 1) / alignment * alignment);
    return out += std::string(dataBytes, '\1');
  }

private:
  std::string entries, tensors;
  uint64_t entryCount = 0, tensorCount = 0;
};

} // namespace llmc::test
