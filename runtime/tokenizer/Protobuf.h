// Walks a protocol buffer's fields. Never reads past the end of untrusted bytes.
// Source: https://protobuf.dev/programming-guides/encoding
#pragma once

#include "runtime/support/ByteReader.h"

#include <string_view>

namespace llmc {

struct ProtobufField {
  uint32_t number = 0;
  enum class Wire { Varint = 0, Fixed64 = 1, Bytes = 2, Fixed32 = 5 } wire = Wire::Varint;
  uint64_t value = 0;     // of Varint, Fixed64 and Fixed32
  std::string_view bytes; // of Bytes
};

class ProtobufReader {
public:
  explicit ProtobufReader(std::string_view message) : reader(std::as_bytes(std::span(message))) {}

  size_t position() const { return reader.position(); }
  bool atEnd() const { return reader.remaining() == 0; }
  // nullopt if what follows is no field.
  std::optional<ProtobufField> next() {
    auto key = varint();
    if (!key || *key >> 3 == 0 || *key >> 32)
      return std::nullopt;
    ProtobufField field;
    field.number = uint32_t(*key >> 3);
    field.wire = ProtobufField::Wire(*key & 7);
    return readValue(field) ? std::optional(field) : std::nullopt;
  }

private:
  std::optional<uint64_t> varint() {
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
      auto byte = reader.read<uint8_t>();
      if (!byte)
        return std::nullopt;
      value |= uint64_t(*byte & 0x7F) << shift;
      if (!(*byte & 0x80))
        return value;
    }
    return std::nullopt;
  }
  template <class T> bool take(std::optional<T> from, uint64_t &to) {
    to = from.value_or(0);
    return from.has_value();
  }
  bool readValue(ProtobufField &field) {
    switch (field.wire) {
    case ProtobufField::Wire::Varint:
      return take(varint(), field.value);
    case ProtobufField::Wire::Fixed64:
      return take(reader.read<uint64_t>(), field.value);
    case ProtobufField::Wire::Fixed32:
      return take(reader.read<uint32_t>(), field.value);
    case ProtobufField::Wire::Bytes:
      if (auto size = varint())
        if (auto taken = reader.take(*size)) {
          field.bytes = asText(*taken);
          return true;
        }
      return false;
    }
    return false; // groups, which nobody writes any more
  }

  ByteReader reader;
};

} // namespace llmc
