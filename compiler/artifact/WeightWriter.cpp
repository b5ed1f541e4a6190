#include "compiler/artifact/WeightWriter.h"

#include "compiler/packing/Packing.h"
#include "compiler/packing/Quantize.h"
#include "compiler/support/StatusBridge.h"
#include "dialects/tile/Tables.h"
#include "runtime/artifact/Artifact.h"

#include "llvm/ADT/ScopeExit.h"
#include "llvm/Support/BLAKE3.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Parallel.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <unistd.h>

namespace llmc::artifact {
namespace {

constexpr int64_t kChunkBytes = 8 << 20; // packed at once by all threads, then written

// A file that is written front to back and hashed on the way.
class Output {
public:
  static llvm::Expected<Output> create(const std::string &path) {
    int file = ::open(path.c_str(), O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0644);
    if (file < 0)
      return makeError(ErrorCode::InvalidInput, path + ": can't be written: " + std::strerror(errno));
    return Output(path, file);
  }
  Output(Output &&other) : path(std::move(other.path)), file(std::exchange(other.file, -1)), hash(other.hash) {}
  ~Output() {
    if (file >= 0)
      ::close(file);
  }

  llvm::Error write(llvm::ArrayRef<uint8_t> bytes) {
    hash.update(bytes);
    return put(bytes, -1);
  }
  // Without hashing; at `offset` if that is not negative.
  llvm::Error put(llvm::ArrayRef<uint8_t> bytes, int64_t offset) {
    while (!bytes.empty()) {
      ssize_t done = offset < 0 ? ::write(file, bytes.data(), bytes.size()) : ::pwrite(file, bytes.data(), bytes.size(), offset);
      if (done < 0 && errno == EINTR)
        continue;
      if (done <= 0)
        return makeError(ErrorCode::InvalidInput, path + ": writing failed: " + std::strerror(errno) + "; is the disk full?");
      bytes = bytes.drop_front(done);
      offset = offset < 0 ? offset : offset + done;
    }
    return llvm::Error::success();
  }
  std::array<uint8_t, 32> digest() { return hash.final(); }

private:
  Output(std::string path, int file) : path(std::move(path)), file(file) {}
  std::string path;
  int file;
  llvm::BLAKE3 hash;
};

// A matrix as its file has it, and what is known of the inputs that it is multiplied with.
struct Matrix {
  WeightSlice slice;
  std::optional<packing::Moments> moments;
};

void quantizeOnePanel(const Matrix &matrix, Format format, int64_t first, int64_t count, std::byte *to) {
  const WeightSlice &slice = matrix.slice;
  FormatInfo info = formatInfo(format);
  int64_t rowBytes = slice.columns / info.blockElements * info.blockBytes;
  std::vector<float> values(slice.columns);
  std::vector<std::byte> quantized(count * rowBytes);
  packing::PanelRows rows{};
  for (int64_t i = 0; i < count; ++i) {
    slice.decodeRow(first + i, values);
    packing::quantizeRow(format, values, matrix.moments ? &*matrix.moments : nullptr, quantized.data() + i * rowBytes);
    rows[i] = quantized.data() + i * rowBytes;
  }
  packing::packPanel(format, rows, slice.columns, to);
}

void packOnePanel(const Matrix &matrix, Format format, int64_t panel, std::byte *to) {
  const WeightSlice &slice = matrix.slice;
  int64_t first = panel * tile::kPanelOutputs, count = std::min(tile::kPanelOutputs, slice.rows - first);
  if (slice.format != format)
    return quantizeOnePanel(matrix, format, first, count, to);
  if (slice.transpose)
    return packing::packPanelTransposed(format, slice.data, slice.columns, slice.width,
                                        {slice.firstRow + first * slice.step, count, slice.step}, to);
  packing::PanelRows rows{};
  for (int64_t i = 0; i < count; ++i)
    rows[i] = slice.rowData(first + i);
  packing::packPanel(format, rows, slice.columns, to);
}

class Writer {
public:
  Writer(Output &output, int64_t total, llvm::function_ref<void(double)> progress) : output(output), total(total), progress(progress) {}

  // Matrices of one shape, one after the other.
  llvm::Error matrices(llvm::ArrayRef<Matrix> all, llm::Format format) {
    int64_t each = tile::panelCount(all[0].slice.rows), bytes = tile::panelBytes(format, all[0].slice.columns);
    int64_t panels = all.size() * each;
    int64_t atOnce = std::clamp<int64_t>(kChunkBytes / bytes, 1, panels);
    buffer.resize(atOnce * bytes);
    for (int64_t first = 0; first < panels; first += atOnce) {
      int64_t count = std::min(atOnce, panels - first);
      llvm::parallelFor(0, count, [&](size_t i) {
        int64_t panel = first + i;
        packOnePanel(all[panel / each], storageFormat(format), panel % each, reinterpret_cast<std::byte *>(buffer.data()) + i * bytes);
      });
      if (llvm::Error error = write(count * bytes))
        return error;
    }
    return llvm::Error::success();
  }

  // A vector, or columns of one length; `bytes` for all of them.
  llvm::Error vectors(llvm::ArrayRef<WeightSlice> slices, int64_t bytes) {
    buffer.assign(bytes, 0);
    for (auto [i, slice] : llvm::enumerate(slices)) {
      auto *to = reinterpret_cast<float *>(buffer.data() + i * (bytes / slices.size()));
      for (int64_t row = 0; row < slice.rows; ++row)
        slice.decodeRow(row, std::span<float>(to + row, slice.columns));
    }
    return write(bytes);
  }

private:
  llvm::Error write(int64_t bytes) {
    if (llvm::Error error = output.write(llvm::ArrayRef<uint8_t>(buffer.data(), bytes)))
      return error;
    done += bytes;
    if (progress)
      progress(static_cast<double>(done) / total);
    return llvm::Error::success();
  }

  Output &output;
  int64_t total, done = 0;
  llvm::function_ref<void(double)> progress;
  std::vector<uint8_t> buffer;
};

PackedWeights layOut(mlir::ModuleOp module) {
  PackedWeights packed;
  for (auto weight : module.getOps<llm::WeightOp>())
    for (int64_t index = 0; index < weight.getWeights().getLayers(); ++index) {
      int64_t bytes = tile::packedWeightBytes(weight, index);
      packed.table.push_back({(weight.getSymName() + "[" + llvm::Twine(index) + "]").str(), packed.bytes, bytes});
      packed.bytes += bytes;
    }
  return packed;
}

llvm::Expected<std::vector<Matrix>> withMoments(llm::WeightOp weight, int64_t index, llvm::ArrayRef<WeightSlice> slices, const ModelMoments *moments) {
  std::vector<Matrix> all;
  for (auto [expert, slice] : llvm::enumerate(slices)) {
    all.push_back({slice, std::nullopt});
    if (!moments)
      continue;
    auto found = moments->find(weight, index, expert);
    if (!found)
      return found.takeError();
    all.back().moments = *found;
  }
  return all;
}

llvm::Error packAll(mlir::ModuleOp module, const ModelWeights &weights, const ModelMoments *moments, const PackedWeights &packed, Writer &writer) {
  auto entry = packed.table.begin();
  for (auto weight : module.getOps<llm::WeightOp>())
    for (int64_t index = 0; index < weight.getWeights().getLayers(); ++index, ++entry) {
      auto slices = weights.find(weight, index);
      if (!slices)
        return slices.takeError();
      if (Format format = storageFormat(weight.formatOf(index)); (*slices)[0].format != format && !packing::canQuantize(format))
        return makeError(ErrorCode::Unsupported, "@" + weight.getSymName() + ": can't be quantised to " + formatInfo(format).name +
                                                      "; there are q4_0, q5_0, q8_0, q4_k, q5_k, q6_k");
      if (tile::isPackedAsVectors(weight.getWeights().getShape(), weight.formatOf(index))) {
        if (llvm::Error error = writer.vectors(*slices, entry->bytes))
          return error;
        continue;
      }
      auto matrices = withMoments(weight, index, *slices, moments);
      if (!matrices)
        return matrices.takeError();
      if (llvm::Error error = writer.matrices(*matrices, weight.formatOf(index)))
        return error;
    }
  return llvm::Error::success();
}

} // namespace

llvm::Expected<PackedWeights> writeWeights(mlir::ModuleOp module, const ModelWeights &weights, const ModelMoments *moments, const std::string &path,
                                           llvm::function_ref<void(double)> progress) {
  PackedWeights packed = layOut(module);
  llvm::Expected<Output> output = Output::create(path);
  if (!output)
    return output.takeError();
  auto discard = llvm::make_scope_exit([&] { llvm::sys::fs::remove(path); });
  std::vector<uint8_t> header(LLMC_WEIGHTS_HEADER_BYTES, 0);
  if (llvm::Error error = output->put(header, -1))
    return error;
  Writer writer(*output, packed.bytes, progress);
  if (llvm::Error error = packAll(module, weights, moments, packed, writer))
    return error;
  packed.hash = output->digest();
  llmc_weights_header fields{};
  std::memcpy(fields.magic, LLMC_WEIGHTS_MAGIC, sizeof fields.magic);
  std::memcpy(fields.id, packed.hash.data(), sizeof fields.id);
  fields.bytes = packed.bytes;
  std::memcpy(fields.blake3, packed.hash.data(), sizeof fields.blake3);
  std::memcpy(header.data(), &fields, sizeof fields);
  if (llvm::Error error = output->put(header, 0))
    return error;
  discard.release();
  return packed;
}

} // namespace llmc::artifact
