#include "runtime/formats/GgufParser.h"

#include "runtime/support/ByteReader.h"
#include "runtime/support/CheckedMath.h"
#include "runtime/support/Text.h"

#include <algorithm>
#include <map>
#include <numeric>

namespace llmc {
namespace {

constexpr size_t maxKeyBytes = 65535; // the specification's limit
constexpr uint64_t defaultAlignment = 32;
constexpr uint64_t maxAlignment = 1 << 20;
// The least that one entry and one tensor take in the file: no larger count can be true.
constexpr uint64_t minEntryBytes = 8 + 1 + 4 + 1;
constexpr uint64_t minTensorBytes = 8 + 1 + 4 + 4 + 8;

// Tensor types by their number in the file; those without a format are known by name only.
struct GgmlType {
  uint32_t number;
  std::string_view name;
  std::optional<Format> format;
};
constexpr GgmlType ggmlTypes[] = {
    {0, "F32", Format::F32},
    {1, "F16", Format::F16},
    {2, "Q4_0", Format::Q4_0},
    {3, "Q4_1", Format::Q4_1},
    {6, "Q5_0", Format::Q5_0},
    {7, "Q5_1", Format::Q5_1},
    {8, "Q8_0", Format::Q8_0},
    {9, "Q8_1", {}},
    {10, "Q2_K", Format::Q2_K},
    {11, "Q3_K", Format::Q3_K},
    {12, "Q4_K", Format::Q4_K},
    {13, "Q5_K", Format::Q5_K},
    {14, "Q6_K", Format::Q6_K},
    {15, "Q8_K", {}},
    {16, "IQ2_XXS", {}},
    {17, "IQ2_XS", {}},
    {18, "IQ3_XXS", {}},
    {19, "IQ1_S", {}},
    {20, "IQ4_NL", Format::IQ4_NL},
    {21, "IQ3_S", {}},
    {22, "IQ2_S", {}},
    {23, "IQ4_XS", {}},
    {24, "I8", {}},
    {25, "I16", {}},
    {26, "I32", {}},
    {27, "I64", {}},
    {28, "F64", {}},
    {29, "IQ1_M", {}},
    {30, "BF16", Format::BF16},
    {34, "TQ1_0", {}},
    {35, "TQ2_0", {}},
    {39, "MXFP4", Format::MXFP4},
};

const GgmlType *findGgmlType(uint32_t number) {
  auto found = std::find_if(std::begin(ggmlTypes), std::end(ggmlTypes), [&](auto &t) { return t.number == number; });
  return found == std::end(ggmlTypes) ? nullptr : found;
}

struct DeclaredTensor {
  TensorView view;
  uint64_t offset = 0; // from the start of the data
};

class Parser {
public:
  Parser(std::span<const std::byte> bytes, const std::string &file)
      : bytes(bytes), file(file), reader(bytes.first(std::min(bytes.size(), maxHeaderBytes))) {}

  Expected<GgufContents> run() {
    LLMC_CHECK(readCounts());
    for (uint64_t i = 0; i < entryCount; ++i)
      LLMC_CHECK(readEntry(i));
    LLMC_CHECK(indexEntries());
    LLMC_CHECK(readAlignment());
    for (uint64_t i = 0; i < tensorCount; ++i)
      LLMC_CHECK(readTensor(i));
    if (!unsupportedTypes.empty())
      return unsupportedTensors();
    LLMC_CHECK(placeTensors());
    return std::move(contents);
  }

private:
  // What the file is doing where it ends: too short, or a header above our cap.
  std::unexpected<Error> endsIn(const std::string &part) {
    if (bytes.size() > maxHeaderBytes)
      return invalidInput(file + ": " + part + ": want metadata of at most " + std::to_string(maxHeaderBytes) +
                          " bytes, got more");
    return invalidInput(file + ": " + part + ": reaches beyond the end of the file at byte " +
                        std::to_string(bytes.size()) + "; the file is truncated or damaged");
  }

  Expected<void> readCounts() {
    auto magic = reader.take(4);
    if (!magic || asText(*magic) != "GGUF")
      return invalidInput(file + ": want a GGUF file, which begins with 'GGUF'");
    auto version = reader.read<uint32_t>();
    if (!version)
      return endsIn("the header");
    if (*version != 2 && *version != 3) {
      bool swapped = *version != 0 && (*version & 0xffff) == 0;
      return unsupported(file + ": want GGUF version 2 or 3, little-endian; got " +
                         (swapped ? "a big-endian file" : "version " + std::to_string(*version)));
    }
    auto tensors = reader.read<uint64_t>(), entries = reader.read<uint64_t>();
    if (!tensors || !entries)
      return endsIn("the header");
    if (*tensors > reader.remaining() / minTensorBytes || *entries > reader.remaining() / minEntryBytes)
      return invalidInput(file + ": the header promises " + std::to_string(*tensors) + " tensors and " +
                          std::to_string(*entries) + " metadata entries, more than its bytes can hold");
    tensorCount = *tensors;
    entryCount = *entries;
    return {};
  }

  // A string's bytes, or nullopt if they are not all there.
  std::optional<std::string_view> readString() {
    auto length = reader.read<uint64_t>();
    auto text = length ? reader.take(*length) : std::nullopt;
    return text ? std::optional(asText(*text)) : std::nullopt;
  }

  Expected<void> readEntry(uint64_t number) {
    auto key = readString();
    if (!key)
      return endsIn("the key of metadata entry " + std::to_string(number));
    if (key->empty() || key->size() > maxKeyBytes || !isUtf8(*key))
      return invalidInput(file + ": metadata entry " + std::to_string(number) + ": want a key of 1 to " +
                          std::to_string(maxKeyBytes) + " bytes of UTF-8, got " + quoteText(*key));
    std::string context = "metadata key " + quoteText(*key);
    GgufEntry entry{*key, GgufType::U8, false, 1, {}};
    LLMC_CHECK(readType(entry, context));
    LLMC_CHECK(readValues(entry, context));
    contents.entries.push_back(entry);
    return {};
  }

  Expected<void> readType(GgufEntry &entry, const std::string &context) {
    auto type = reader.read<uint32_t>();
    entry.isArray = type && *type == uint32_t(GgufType::Array);
    if (entry.isArray) {
      type = reader.read<uint32_t>();
      auto count = reader.read<uint64_t>();
      if (!count)
        return endsIn(context);
      entry.count = *count;
      if (*type == uint32_t(GgufType::Array))
        return unsupported(file + ": " + context + ": arrays of arrays are not supported");
    }
    if (!type)
      return endsIn(context);
    if (*type > uint32_t(GgufType::F64))
      return invalidInput(file + ": " + context + ": want a value type of 0 to 12, got " + std::to_string(*type));
    entry.type = GgufType(*type);
    return {};
  }

  Expected<void> readValues(GgufEntry &entry, const std::string &context) {
    size_t begin = reader.position();
    if (entry.type == GgufType::String) {
      for (uint64_t i = 0; i < entry.count; ++i)
        if (!readString())
          return endsIn(entry.isArray ? context + ", string " + std::to_string(i) : context);
    } else {
      auto size = checkedMul<uint64_t>(entry.count, ggufTypeBytes(entry.type));
      if (!size || !reader.take(*size))
        return endsIn(context);
    }
    entry.bytes = bytes.subspan(begin, reader.position() - begin);
    auto isBool = [](std::byte value) { return value <= std::byte(1); };
    if (entry.type == GgufType::Bool && !std::all_of(entry.bytes.begin(), entry.bytes.end(), isBool))
      return invalidInput(file + ": " + context + ": want booleans of 0 or 1");
    return {};
  }

  Expected<void> indexEntries() {
    const auto &entries = contents.entries;
    contents.byKey.resize(entries.size());
    std::iota(contents.byKey.begin(), contents.byKey.end(), 0u);
    std::sort(contents.byKey.begin(), contents.byKey.end(),
              [&](uint32_t a, uint32_t b) { return entries[a].key < entries[b].key; });
    for (size_t i = 1; i < contents.byKey.size(); ++i)
      if (entries[contents.byKey[i]].key == entries[contents.byKey[i - 1]].key)
        return invalidInput(file + ": metadata key " + quoteText(entries[contents.byKey[i]].key) + " occurs twice");
    return {};
  }

  Expected<void> readAlignment() {
    const GgufEntry *entry = contents.find("general.alignment");
    if (!entry)
      return {};
    if (entry->isArray || entry->type != GgufType::U32)
      return invalidInput(file + ": metadata key 'general.alignment': want a 32-bit unsigned integer");
    alignment = loadUnaligned<uint32_t>(entry->bytes.data());
    if (!std::has_single_bit(alignment) || alignment > maxAlignment)
      return invalidInput(file + ": metadata key 'general.alignment': want a power of two up to " +
                          std::to_string(maxAlignment) + ", got " + std::to_string(alignment));
    return {};
  }

  Expected<void> readTensor(uint64_t number) {
    auto name = readString();
    if (!name)
      return endsIn("the name of tensor " + std::to_string(number));
    LLMC_CHECK(checkTensorName(file, *name));
    DeclaredTensor tensor;
    tensor.view.name = *name;
    LLMC_CHECK(readShape(tensor.view));
    auto type = reader.read<uint32_t>();
    auto offset = reader.read<uint64_t>();
    if (!type || !offset)
      return endsIn("tensor " + quoteText(*name));
    const GgmlType *known = findGgmlType(*type);
    if (!known || !known->format) {
      if (unsupportedTypes.size() < 16)
        unsupportedTypes.try_emplace(known ? std::string(known->name) : "type " + std::to_string(*type), *name);
      return {};
    }
    tensor.view.format = *known->format;
    tensor.offset = *offset;
    declared.push_back(std::move(tensor));
    return {};
  }

  // The file stores the fastest dimension first; we store it last.
  Expected<void> readShape(TensorView &view) {
    auto rank = reader.read<uint32_t>();
    if (!rank)
      return endsIn("tensor " + quoteText(view.name));
    if (*rank > maxRank)
      return invalidInput(tensorContext(file, view.name) + "want at most " + std::to_string(maxRank) +
                          " dimensions, got " + std::to_string(*rank));
    view.shape.resize(*rank);
    for (size_t i = *rank; i-- > 0;) {
      auto dimension = reader.read<uint64_t>();
      if (!dimension)
        return endsIn("tensor " + quoteText(view.name));
      if (*dimension == 0 || *dimension > uint64_t(INT64_MAX))
        return invalidInput(tensorContext(file, view.name) + "want dimensions from 1 to 2^63-1, got " +
                            std::to_string(*dimension));
      view.shape[i] = int64_t(*dimension);
    }
    return {};
  }

  std::unexpected<Error> unsupportedTensors() {
    std::string list;
    for (const auto &[type, tensor] : unsupportedTypes)
      list += (list.empty() ? "" : ", ") + type + " (tensor " + quoteText(tensor) + ")";
    return unsupported(
        file + ": tensor types that are not supported: " + list +
        "; want F32, F16, BF16, Q4_0, Q5_0, Q8_0, Q4_K, Q5_K or Q6_K: quantise the model to one of these");
  }

  // The data begin behind the last tensor's description, padded; every tensor must lie inside them.
  Expected<void> placeTensors() {
    uint64_t begin = *checkedAlignUp<uint64_t>(reader.position(), alignment);
    std::span<const std::byte> data = begin < bytes.size() ? bytes.subspan(begin) : std::span<const std::byte>();
    std::vector<TensorView> views;
    views.reserve(declared.size());
    for (DeclaredTensor &tensor : declared) {
      LLMC_CHECK(placeTensor(tensor, data));
      views.push_back(std::move(tensor.view));
    }
    declared = {};
    LLMC_TRY(table, TensorTable::make(file, std::move(views)));
    contents.tensors = std::move(table);
    return {};
  }

  Expected<void> placeTensor(DeclaredTensor &tensor, std::span<const std::byte> data) {
    std::string context = tensorContext(file, tensor.view.name);
    auto size = tensorBytes(tensor.view.format, tensor.view.shape);
    if (!size)
      return invalidInput(context + size.error().message);
    if (tensor.offset % alignment != 0)
      return invalidInput(context + "want an offset that is a multiple of " + std::to_string(alignment) + ", got " +
                          std::to_string(tensor.offset));
    if (tensor.offset > data.size() || uint64_t(*size) > data.size() - tensor.offset)
      return invalidInput(context + "want " + std::to_string(*size) + " bytes at offset " +
                          std::to_string(tensor.offset) + ", the file has " + std::to_string(data.size()) +
                          " bytes of data; it may be truncated");
    tensor.view.data = data.subspan(size_t(tensor.offset), size_t(*size));
    return {};
  }

  std::span<const std::byte> bytes;
  const std::string &file;
  ByteReader reader;
  uint64_t tensorCount = 0, entryCount = 0, alignment = defaultAlignment;
  GgufContents contents;
  std::vector<DeclaredTensor> declared;
  std::map<std::string, std::string> unsupportedTypes; // type -> the first tensor that has it
};

} // namespace

const GgufEntry *GgufContents::find(std::string_view key) const {
  auto at = std::lower_bound(byKey.begin(), byKey.end(), key,
                             [&](uint32_t i, std::string_view wanted) { return entries[i].key < wanted; });
  return at != byKey.end() && entries[*at].key == key ? &entries[*at] : nullptr;
}

size_t ggufTypeBytes(GgufType type) {
  switch (type) {
  case GgufType::U8:
  case GgufType::I8:
  case GgufType::Bool:
    return 1;
  case GgufType::U16:
  case GgufType::I16:
    return 2;
  case GgufType::U32:
  case GgufType::I32:
  case GgufType::F32:
    return 4;
  case GgufType::U64:
  case GgufType::I64:
  case GgufType::F64:
    return 8;
  case GgufType::String:
  case GgufType::Array:
    return 0;
  }
  return 0;
}

uint32_t ggufTensorType(Format format) {
  auto found = std::find_if(std::begin(ggmlTypes), std::end(ggmlTypes), [&](auto &type) { return type.format == format; });
  return found->number; // each format has one
}

Expected<GgufContents> parseGguf(std::span<const std::byte> bytes, const std::string &file) {
  return Parser(bytes, file).run();
}

} // namespace llmc
