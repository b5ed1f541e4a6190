// Reads little-endian values from untrusted bytes; never past their end.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string_view>
#include <type_traits>

namespace llmc {

static_assert(std::endian::native == std::endian::little, "file formats are read in place as little-endian");

// A value at `from`, which needs no alignment.
template <class T>
  requires std::is_trivially_copyable_v<T>
T loadUnaligned(const std::byte *from) {
  T value;
  std::memcpy(&value, from, sizeof(T));
  return value;
}

class ByteReader {
public:
  explicit ByteReader(std::span<const std::byte> bytes) : bytes(bytes) {}

  size_t position() const { return at; }
  size_t remaining() const { return bytes.size() - at; }

  // nullopt, and no progress, if fewer bytes are left.
  template <class T> std::optional<T> read() {
    if (remaining() < sizeof(T))
      return std::nullopt;
    T value = loadUnaligned<T>(bytes.data() + at);
    at += sizeof(T);
    return value;
  }
  std::optional<std::span<const std::byte>> take(uint64_t count) {
    if (count > remaining())
      return std::nullopt;
    auto taken = bytes.subspan(at, size_t(count));
    at += size_t(count);
    return taken;
  }

private:
  std::span<const std::byte> bytes;
  size_t at = 0;
};

inline std::string_view asText(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char *>(bytes.data()), bytes.size()};
}

} // namespace llmc
