#include "runtime/formats/Gguf.h"

#include "runtime/formats/GgufParser.h"
#include "runtime/support/ByteReader.h"
#include "runtime/support/MappedFile.h"

namespace llmc {
namespace {

std::optional<int64_t> intAt(GgufType type, const std::byte *from) {
  switch (type) {
  case GgufType::U8:
    return loadUnaligned<uint8_t>(from);
  case GgufType::I8:
    return loadUnaligned<int8_t>(from);
  case GgufType::U16:
    return loadUnaligned<uint16_t>(from);
  case GgufType::I16:
    return loadUnaligned<int16_t>(from);
  case GgufType::U32:
    return loadUnaligned<uint32_t>(from);
  case GgufType::I32:
    return loadUnaligned<int32_t>(from);
  case GgufType::I64:
    return loadUnaligned<int64_t>(from);
  case GgufType::U64: {
    uint64_t value = loadUnaligned<uint64_t>(from);
    return value <= uint64_t(INT64_MAX) ? std::optional(int64_t(value)) : std::nullopt;
  }
  default:
    return std::nullopt;
  }
}

std::optional<double> floatAt(GgufType type, const std::byte *from) {
  if (type == GgufType::F32)
    return loadUnaligned<float>(from);
  if (type == GgufType::F64)
    return loadUnaligned<double>(from);
  return std::nullopt;
}

class GgufFile final : public Gguf {
public:
  GgufFile(std::string name, GgufContents contents) : name(std::move(name)), contents(std::move(contents)) {}

  const std::string &path() const override { return name; }
  std::span<const TensorView> tensors() const override { return contents.tensors.tensors(); }
  const Gguf *gguf() const override { return this; }

  std::optional<int64_t> getInt(std::string_view key) const override {
    const GgufEntry *entry = scalar(key);
    return entry ? intAt(entry->type, entry->bytes.data()) : std::nullopt;
  }
  std::optional<double> getFloat(std::string_view key) const override {
    const GgufEntry *entry = scalar(key);
    if (!entry)
      return std::nullopt;
    if (auto value = floatAt(entry->type, entry->bytes.data()))
      return value;
    if (entry->type == GgufType::U64) // may lie beyond int64
      return double(loadUnaligned<uint64_t>(entry->bytes.data()));
    auto integer = intAt(entry->type, entry->bytes.data());
    return integer ? std::optional(double(*integer)) : std::nullopt;
  }
  std::optional<bool> getBool(std::string_view key) const override {
    const GgufEntry *entry = scalar(key);
    if (!entry || entry->type != GgufType::Bool)
      return std::nullopt;
    return entry->bytes[0] != std::byte(0);
  }
  std::optional<std::string_view> getString(std::string_view key) const override {
    const GgufEntry *entry = scalar(key);
    if (!entry || entry->type != GgufType::String)
      return std::nullopt;
    return asText(entry->bytes.subspan(sizeof(uint64_t)));
  }

  std::optional<std::vector<std::string_view>> getStrings(std::string_view key) const override {
    const GgufEntry *entry = array(key);
    if (!entry || entry->type != GgufType::String)
      return std::nullopt;
    std::vector<std::string_view> strings;
    strings.reserve(size_t(entry->count));
    ByteReader reader(entry->bytes);
    for (uint64_t i = 0; i < entry->count; ++i)
      strings.push_back(asText(*reader.take(*reader.read<uint64_t>()))); // lengths were checked when the file was read
    return strings;
  }
  std::optional<std::vector<int64_t>> getInts(std::string_view key) const override {
    return decode<int64_t>(key, [](GgufType type, const std::byte *from) {
      return type == GgufType::Bool ? int64_t(from[0]) : intAt(type, from);
    });
  }
  std::optional<std::vector<float>> getFloats(std::string_view key) const override {
    return decode<float>(key, floatAt);
  }
  std::vector<std::string_view> keys() const override {
    std::vector<std::string_view> all;
    all.reserve(contents.entries.size());
    for (const GgufEntry &entry : contents.entries)
      all.push_back(entry.key);
    return all;
  }

  MappedFile mapped; // empty if the bytes are somebody else's

private:
  const TensorView *lookup(std::string_view wanted) const override { return contents.tensors.find(wanted); }

  const GgufEntry *scalar(std::string_view key) const {
    const GgufEntry *entry = contents.find(key);
    return entry && !entry->isArray ? entry : nullptr;
  }
  const GgufEntry *array(std::string_view key) const {
    const GgufEntry *entry = contents.find(key);
    return entry && entry->isArray ? entry : nullptr;
  }

  // nullopt as soon as one element is of another kind or does not fit.
  template <class T> std::optional<std::vector<T>> decode(std::string_view key, auto valueAt) const {
    const GgufEntry *entry = array(key);
    if (!entry || entry->type == GgufType::String)
      return std::nullopt;
    std::vector<T> values;
    values.reserve(size_t(entry->count));
    size_t stride = ggufTypeBytes(entry->type);
    for (size_t i = 0; i < entry->count; ++i) {
      auto value = valueAt(entry->type, entry->bytes.data() + i * stride);
      if (!value)
        return std::nullopt;
      values.push_back(T(*value));
    }
    return values;
  }

  std::string name;
  GgufContents contents;
};

Expected<std::unique_ptr<GgufFile>> parseFile(std::span<const std::byte> bytes, std::string name) {
  LLMC_TRY(contents, parseGguf(bytes, name));
  return std::make_unique<GgufFile>(std::move(name), std::move(contents));
}

} // namespace

Expected<std::unique_ptr<Gguf>> Gguf::parse(std::span<const std::byte> bytes, std::string name) {
  return parseFile(bytes, std::move(name));
}

Expected<std::unique_ptr<Gguf>> Gguf::open(const std::string &path) {
  LLMC_TRY(mapped, MappedFile::open(path));
  LLMC_TRY(file, parseFile(mapped.bytes(), path));
  file->mapped = std::move(mapped);
  return std::move(file);
}

} // namespace llmc
