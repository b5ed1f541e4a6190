#include "runtime/formats/Safetensors.h"

#include "runtime/formats/TensorTable.h"
#include "runtime/support/ByteReader.h"
#include "runtime/support/CheckedMath.h"
#include "runtime/support/Json.h"
#include "runtime/support/MappedFile.h"

#include <algorithm>
#include <map>

namespace llmc {
namespace {

struct DtypeInfo {
  std::string_view name;
  int64_t bytes;
  std::optional<Format> format; // none: a buffer that is not listed
};
constexpr DtypeInfo dtypes[] = {
    {"F32", 4, Format::F32}, {"F16", 2, Format::F16}, {"BF16", 2, Format::BF16},
    {"BOOL", 1, {}},         {"U8", 1, {}},           {"I8", 1, {}},
    {"U16", 2, {}},          {"I16", 2, {}},          {"U32", 4, {}},
    {"I32", 4, {}},          {"U64", 8, {}},          {"I64", 8, {}},
};

const DtypeInfo *findDtype(std::string_view name) {
  auto found = std::find_if(std::begin(dtypes), std::end(dtypes), [&](const DtypeInfo &d) { return d.name == name; });
  return found == std::end(dtypes) ? nullptr : found;
}

// A tensor as the header declares it.
struct Declared {
  std::string name;
  const DtypeInfo *dtype = nullptr; // null: unknown, named in HeaderReader::unknownDtypes
  std::vector<int64_t> shape;
  uint64_t begin = 0, end = 0; // offsets in the data
};

// Reads the header's events; the tree is never built. Every value must be where the format wants it.
class HeaderReader final : public JsonHandler {
public:
  std::vector<Declared> tensors;
  std::map<std::string, std::string> unknownDtypes; // dtype -> the first tensor that has it

  bool onNull() override { return unexpected("null"); }
  bool onBool(bool) override { return unexpected("a boolean"); }
  bool onFloat(double) override { return unexpected("a number that is no 64-bit integer"); }
  bool onInt(int64_t value) override {
    if (place == Place::Shape)
      return addDimension(value);
    if (place == Place::Offsets)
      return addOffset(value);
    return unexpected("an integer");
  }
  bool onString(std::string &value) override {
    if (place == Place::Metadata)
      return true;
    if (place == Place::Tensor && field == "dtype")
      return setDtype(value);
    return unexpected("a string");
  }
  bool onObjectBegin() override {
    if (place == Place::Start) {
      place = Place::Top;
      return true;
    }
    if (place != Place::Top)
      return unexpected("an object");
    place = key == "__metadata__" ? Place::Metadata : Place::Tensor;
    if (place == Place::Tensor)
      beginTensor();
    return true;
  }
  bool onKey(std::string &name) override {
    (place == Place::Top ? key : field) = name;
    return true;
  }
  bool onObjectEnd() override {
    if (place == Place::Tensor && !endTensor())
      return false;
    place = place == Place::Top ? Place::Start : Place::Top;
    return true;
  }
  bool onArrayBegin() override {
    if (place == Place::Tensor && field == "shape") {
      hasShape = true;
      place = Place::Shape;
      return true;
    }
    if (place == Place::Tensor && field == "data_offsets") {
      place = Place::Offsets;
      return true;
    }
    return unexpected("an array");
  }
  bool onArrayEnd() override {
    place = Place::Tensor;
    return true;
  }

private:
  enum class Place { Start, Top, Metadata, Tensor, Shape, Offsets };

  void beginTensor() {
    Declared &tensor = tensors.emplace_back();
    tensor.name = key;
    tensor.name.shrink_to_fit();
    hasDtype = hasShape = false;
    offsetCount = 0;
  }
  bool endTensor() {
    if (hasDtype && hasShape && offsetCount == 2)
      return true;
    return fail("tensor " + quoteText(key) + ": want 'dtype', 'shape' and 'data_offsets' with two numbers");
  }
  bool addDimension(int64_t value) {
    std::vector<int64_t> &shape = tensors.back().shape;
    if (value < 0)
      return fail("tensor " + quoteText(key) + ": want dimensions of 0 or more, got " + std::to_string(value));
    if (shape.size() == maxRank)
      return fail("tensor " + quoteText(key) + ": want at most " + std::to_string(maxRank) + " dimensions, got more");
    shape.push_back(value);
    return true;
  }
  bool addOffset(int64_t value) {
    if (value < 0 || offsetCount == 2)
      return fail("tensor " + quoteText(key) + ": want data_offsets of two numbers of 0 or more");
    (offsetCount++ == 0 ? tensors.back().begin : tensors.back().end) = uint64_t(value);
    return true;
  }
  bool setDtype(const std::string &name) {
    hasDtype = true;
    tensors.back().dtype = findDtype(name);
    if (!tensors.back().dtype && unknownDtypes.size() < 16)
      unknownDtypes.try_emplace(name.substr(0, 40), key);
    return true;
  }
  bool unexpected(std::string_view got) {
    std::string where = place == Place::Start      ? "the header: want an object"
                        : place == Place::Top      ? "entry " + quoteText(key) + ": want an object"
                        : place == Place::Metadata ? "__metadata__: want an object of strings"
                                                   : "tensor " + quoteText(key) + ", field " + quoteText(field) +
                                                         ": want dtype as a string, shape and data_offsets as integers";
    return fail(where + ", got " + std::string(got));
  }

  Place place = Place::Start;
  std::string key, field;
  bool hasDtype = false, hasShape = false;
  int offsetCount = 0;
};

// `want` bytes by shape and dtype; overflow is an error.
Expected<uint64_t> declaredBytes(std::string_view file, const Declared &tensor) {
  int64_t bytes = tensor.dtype->bytes;
  for (int64_t dimension : tensor.shape) {
    auto product = checkedMul(bytes, dimension);
    if (!product)
      return invalidInput(tensorContext(file, tensor.name) + "the shape needs more bytes than any file has");
    bytes = *product;
  }
  return uint64_t(bytes);
}

Expected<void> checkRange(std::string_view file, const Declared &tensor, uint64_t dataBytes) {
  std::string context = tensorContext(file, tensor.name);
  std::string range = "[" + std::to_string(tensor.begin) + ", " + std::to_string(tensor.end) + "]";
  if (tensor.begin > tensor.end || tensor.end > dataBytes)
    return invalidInput(context + "data_offsets " + range + " lie outside the file's " + std::to_string(dataBytes) +
                        " bytes of data; the file may be truncated");
  if (!tensor.dtype)
    return {};
  LLMC_TRY(want, declaredBytes(file, tensor));
  if (want != tensor.end - tensor.begin)
    return invalidInput(context + "want " + std::to_string(want) + " bytes for its shape and " +
                        std::string(tensor.dtype->name) + ", got data_offsets " + range);
  return {};
}

// The tensors, in the order of their bytes, must follow each other to the end of the data.
Expected<void> checkCover(std::string_view file, const std::vector<Declared> &tensors, uint64_t dataBytes) {
  std::vector<const Declared *> order;
  for (const Declared &tensor : tensors)
    order.push_back(&tensor);
  std::sort(order.begin(), order.end(), [](const Declared *a, const Declared *b) {
    return std::pair(a->begin, a->end) < std::pair(b->begin, b->end);
  });
  uint64_t end = 0;
  for (const Declared *tensor : order) {
    if (tensor->begin < end)
      return invalidInput(tensorContext(file, tensor->name) + "overlaps the tensor before it: begins at byte " +
                          std::to_string(tensor->begin) + ", that one ends at " + std::to_string(end));
    if (tensor->begin > end)
      return invalidInput(tensorContext(file, tensor->name) + "begins at byte " + std::to_string(tensor->begin) +
                          " of the data; nothing covers the bytes from " + std::to_string(end));
    end = tensor->end;
  }
  if (end != dataBytes)
    return invalidInput(std::string(file) + ": want " + std::to_string(end) + " bytes of data, got " +
                        std::to_string(dataBytes));
  return {};
}

std::unexpected<Error> unsupportedDtypes(const std::string &file, const HeaderReader &header) {
  std::string list;
  for (const auto &[dtype, tensor] : header.unknownDtypes)
    list += (list.empty() ? "" : ", ") + quoteText(dtype) + " (tensor " + quoteText(tensor) + ")";
  return unsupported(file + ": want dtype F32, F16 or BF16; got " + list + ": convert the checkpoint");
}

class SafetensorsFile final : public TensorFile {
public:
  SafetensorsFile(std::string name, TensorTable table) : name(std::move(name)), table(std::move(table)) {}

  const std::string &path() const override { return name; }
  std::span<const TensorView> tensors() const override { return table.tensors(); }

  MappedFile mapped; // empty if the bytes are somebody else's

private:
  const TensorView *lookup(std::string_view wanted) const override { return table.find(wanted); }

  std::string name;
  TensorTable table;
};

struct Sections {
  std::string_view header;
  std::span<const std::byte> data;
};
Expected<Sections> split(std::span<const std::byte> bytes, const std::string &file) {
  ByteReader reader(bytes);
  auto length = reader.read<uint64_t>();
  if (!length)
    return invalidInput(file + ": want a safetensors or GGUF file, got " + std::to_string(bytes.size()) + " bytes");
  if (*length > maxHeaderBytes || *length > reader.remaining())
    return invalidInput(file + ": no GGUF file, and as safetensors its header would have " + std::to_string(*length) +
                        " bytes; want at most " + std::to_string(std::min(maxHeaderBytes, reader.remaining())));
  std::string_view header = asText(*reader.take(*length));
  if (!header.starts_with('{'))
    return invalidInput(file + ": want a safetensors or GGUF file, but the header does not begin with '{'");
  return Sections{header, bytes.subspan(reader.position())};
}

TensorView viewOf(Declared &tensor, std::span<const std::byte> data) {
  return {std::move(tensor.name), *tensor.dtype->format, std::move(tensor.shape),
          data.subspan(size_t(tensor.begin), size_t(tensor.end - tensor.begin))};
}

Expected<std::unique_ptr<SafetensorsFile>> parseFile(std::span<const std::byte> bytes, std::string file) {
  LLMC_TRY(sections, split(bytes, file));
  HeaderReader header;
  LLMC_CHECK(scanJson(sections.header, file + " (header)", header));
  for (const Declared &tensor : header.tensors) {
    LLMC_CHECK(checkTensorName(file, tensor.name));
    LLMC_CHECK(checkRange(file, tensor, sections.data.size()));
  }
  LLMC_CHECK(checkCover(file, header.tensors, sections.data.size()));
  if (!header.unknownDtypes.empty())
    return unsupportedDtypes(file, header);
  std::vector<TensorView> views;
  for (Declared &tensor : header.tensors)
    if (tensor.dtype->format)
      views.push_back(viewOf(tensor, sections.data));
  LLMC_TRY(table, TensorTable::make(file, std::move(views)));
  return std::make_unique<SafetensorsFile>(std::move(file), std::move(table));
}

} // namespace

Expected<std::unique_ptr<TensorFile>> Safetensors::parse(std::span<const std::byte> bytes, std::string name) {
  return parseFile(bytes, std::move(name));
}

Expected<std::unique_ptr<TensorFile>> Safetensors::open(const std::string &path) {
  LLMC_TRY(mapped, MappedFile::open(path));
  LLMC_TRY(file, parseFile(mapped.bytes(), path));
  file->mapped = std::move(mapped);
  return std::move(file);
}

} // namespace llmc
