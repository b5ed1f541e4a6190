#include "runtime/formats/GgufCopy.h"

#include "runtime/formats/GgufParser.h"
#include "runtime/support/MappedFile.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <memory>

namespace llmc {
namespace {

constexpr int64_t chunkBytes = 8 << 20;

template <class T> void put(std::string &out, T value) { out.append(reinterpret_cast<const char *>(&value), sizeof value); }

void putString(std::string &out, std::string_view text) {
  put<uint64_t>(out, text.size());
  out += text;
}

uint64_t alignUp(uint64_t value, uint64_t alignment) { return (value + alignment - 1) / alignment * alignment; }

class Output {
public:
  explicit Output(const std::string &path) : path(path), file(fopen(path.c_str(), "wbe"), &fclose) {}

  Expected<void> write(const void *bytes, size_t count) {
    if (!file || fwrite(bytes, 1, count, file.get()) != count)
      return failure();
    done += count;
    return {};
  }
  Expected<void> pad(uint64_t alignment) {
    std::string zeros(alignUp(done, alignment) - done, '\0');
    return write(zeros.data(), zeros.size());
  }
  Expected<void> close() {
    if (!file || fclose(file.release()) != 0)
      return failure();
    return {};
  }

private:
  std::unexpected<Error> failure() { return invalidInput(path + ": can't be written: " + strerror(errno)); }

  std::string path;
  std::unique_ptr<FILE, int (*)(FILE *)> file;
  uint64_t done = 0;
};

class Copier {
public:
  Copier(const GgufCopy &copy, GgufContents contents) : copy(copy), contents(std::move(contents)) {
    if (const GgufEntry *entry = this->contents.find("general.alignment"))
      std::memcpy(&alignment, entry->bytes.data(), sizeof alignment); // the parser has checked it
  }

  Expected<void> run(const std::string &path) {
    LLMC_CHECK(checkFormats());
    LLMC_TRY(text, header());
    Output output(path);
    LLMC_CHECK(output.write(text.data(), text.size()));
    LLMC_CHECK(output.pad(alignment));
    for (const TensorView &tensor : contents.tensors.tensors()) {
      LLMC_CHECK(writeTensor(tensor, output));
      LLMC_CHECK(output.pad(alignment));
    }
    return output.close();
  }

private:
  Expected<void> checkFormats() {
    for (const auto &[name, format] : copy.formats) {
      const TensorView *tensor = contents.tensors.find(name);
      if (!tensor)
        return invalidInput(copy.source + ": has no tensor " + name);
      if (auto bytes = tensorBytes(format, tensor->shape); !bytes)
        return invalidInput(tensorContext(copy.source, name) + bytes.error().message);
    }
    return {};
  }

  Format formatOf(const TensorView &tensor) const {
    auto found = copy.formats.find(tensor.name);
    return found == copy.formats.end() ? tensor.format : found->second;
  }

  // All that stands before the tensors' data.
  Expected<std::string> header() const {
    std::string out = "GGUF";
    put<uint32_t>(out, 3);
    put<uint64_t>(out, contents.tensors.tensors().size());
    std::string entries;
    uint64_t count = putEntries(entries);
    put(out, count);
    out += entries;
    uint64_t at = 0;
    for (const TensorView &tensor : contents.tensors.tensors()) {
      putString(out, tensor.name);
      put(out, uint32_t(tensor.shape.size()));
      for (auto dimension = tensor.shape.rbegin(); dimension != tensor.shape.rend(); ++dimension)
        put(out, uint64_t(*dimension));
      put(out, ggufTensorType(formatOf(tensor)));
      put(out, at);
      LLMC_TRY(bytes, tensorBytes(formatOf(tensor), tensor.shape));
      at = alignUp(at + uint64_t(bytes), alignment);
    }
    return out;
  }

  uint64_t putEntries(std::string &out) const {
    uint64_t count = 0;
    for (const GgufEntry &entry : contents.entries) {
      if (copy.numbers.contains(std::string(entry.key)))
        continue;
      ++count;
      putString(out, entry.key);
      put(out, uint32_t(entry.isArray ? GgufType::Array : entry.type));
      if (entry.isArray) {
        put(out, uint32_t(entry.type));
        put(out, entry.count);
      }
      out.append(reinterpret_cast<const char *>(entry.bytes.data()), entry.bytes.size());
    }
    for (const auto &[key, value] : copy.numbers) {
      putString(out, key);
      put(out, uint32_t(GgufType::U32));
      put(out, value);
    }
    return count + copy.numbers.size();
  }

  Expected<void> writeTensor(const TensorView &tensor, Output &output) {
    if (!copy.formats.contains(tensor.name))
      return output.write(tensor.data.data(), tensor.data.size());
    int64_t columns = tensor.shape.back(), rows = tensor.elements() / columns;
    LLMC_TRY(bytes, rowBytes(formatOf(tensor), columns));
    int64_t atOnce = std::clamp<int64_t>(chunkBytes / bytes, 1, rows);
    std::vector<std::byte> chunk(size_t(atOnce * bytes));
    for (int64_t first = 0; first < rows; first += atOnce) {
      int64_t count = std::min(atOnce, rows - first);
      copy.rows(tensor, first, count, chunk.data());
      LLMC_CHECK(output.write(chunk.data(), size_t(count * bytes)));
      written += double(count) * double(columns);
      if (copy.progress)
        copy.progress(written / elements());
    }
    return {};
  }

  // Of all tensors that change.
  double elements() const {
    double sum = 0;
    for (const auto &[name, format] : copy.formats)
      sum += double(contents.tensors.find(name)->elements());
    return sum;
  }

  const GgufCopy &copy;
  GgufContents contents;
  uint32_t alignment = 32;
  double written = 0;
};

} // namespace

Expected<void> copyGguf(const GgufCopy &copy) {
  std::string part = copy.target + ".part";
  for (const std::string &written : {copy.target, part}) {
    std::error_code absent;
    if (std::filesystem::equivalent(copy.source, written, absent))
      return invalidInput(written + ": is the source; want another file to write");
  }
  LLMC_TRY(mapped, MappedFile::open(copy.source));
  LLMC_TRY(contents, parseGguf(mapped.bytes(), copy.source));
  Expected<void> done = Copier(copy, std::move(contents)).run(part);
  if (done && rename(part.c_str(), copy.target.c_str()) != 0)
    done = invalidInput(copy.target + ": can't be written: " + strerror(errno));
  if (!done)
    remove(part.c_str());
  return done;
}

} // namespace llmc
