#include "runtime/engine/WeightFile.h"

#include "runtime/support/ByteReader.h"

#include <cstring>

namespace llmc {
namespace {

static_assert(sizeof(llmc_weights_header) == 64 && sizeof(llmc_footer) == 24);
constexpr int64_t pageBytes = 4096;

std::string hexId(const uint8_t (&id)[16]) {
  static constexpr char digits[] = "0123456789abcdef";
  std::string text;
  for (int i = 0; i < 8; ++i) {
    text += digits[id[i] >> 4];
    text += digits[id[i] & 15];
  }
  return text;
}

// `block`: header and weights, as far as the file goes.
Expected<std::span<const std::byte>> checkBlock(const llmc_artifact &artifact, std::span<const std::byte> block,
                                                const std::string &path) {
  if (block.size() < LLMC_WEIGHTS_HEADER_BYTES)
    return invalidInput(path + ": want packed weights, the file ends within their header");
  auto header = loadUnaligned<llmc_weights_header>(block.data());
  if (std::memcmp(header.magic, LLMC_WEIGHTS_MAGIC, sizeof header.magic) != 0)
    return invalidInput(path + ": not a packed weight file of llmc (want magic " LLMC_WEIGHTS_MAGIC ")");
  if (std::memcmp(header.id, artifact.weight_id, sizeof header.id) != 0)
    return invalidInput(path + ": want weights " + hexId(artifact.weight_id) + ", got " + hexId(header.id) +
                        ": they belong to another compilation; keep library and weights together");
  int64_t present = int64_t(block.size()) - LLMC_WEIGHTS_HEADER_BYTES;
  if (header.bytes != artifact.weight_bytes || present < header.bytes)
    return invalidInput(path + ": want " + std::to_string(artifact.weight_bytes) + " bytes of weights, got " +
                        std::to_string(std::min(present, header.bytes)) + ": the file is damaged; compile again");
  return block.subspan(LLMC_WEIGHTS_HEADER_BYTES, size_t(header.bytes));
}

Expected<std::span<const std::byte>> embeddedBlock(std::span<const std::byte> file, const std::string &path) {
  llmc_footer footer{};
  if (file.size() >= sizeof footer)
    footer = loadUnaligned<llmc_footer>(file.data() + file.size() - sizeof footer);
  if (std::memcmp(footer.magic, LLMC_FOOTER_MAGIC, sizeof footer.magic) != 0)
    return invalidInput(path + ": the embedded weights are gone from the end of the file (strip or a partial copy cuts "
                               "them off); take the library as it was compiled");
  int64_t room = int64_t(file.size() - sizeof footer);
  if (footer.offset < 0 || footer.offset % pageBytes != 0 || footer.bytes < 0 || footer.offset > room ||
      footer.bytes > room - footer.offset)
    return invalidInput(path + ": the embedded weights' footer is damaged; compile again");
  return file.subspan(size_t(footer.offset), size_t(footer.bytes));
}

std::string besideLibrary(const std::string &libraryPath, const std::string &name) {
  size_t slash = libraryPath.rfind('/');
  return slash == std::string::npos ? name : libraryPath.substr(0, slash + 1) + name;
}

} // namespace

Expected<PackedWeights> openWeights(const llmc_artifact &artifact, const std::string &libraryPath,
                                    const std::string &weightsPath) {
  PackedWeights weights;
  if (artifact.weight_bytes == 0)
    return weights;
  std::string name = artifact.weight_file ? artifact.weight_file : "";
  bool embedded = weightsPath.empty() && name.empty();
  weights.path = !weightsPath.empty() ? weightsPath : embedded ? libraryPath : besideLibrary(libraryPath, name);
  auto file = MappedFile::open(weights.path);
  if (!file)
    return invalidInput(file.error().message + (embedded ? "" : " (the packed weights of " + libraryPath + ")"));
  weights.file = std::move(*file);
  auto block = embedded ? embeddedBlock(weights.file.bytes(), weights.path) : weights.file.bytes();
  if (!block)
    return std::unexpected(std::move(block.error()));
  LLMC_TRY(bytes, checkBlock(artifact, *block, weights.path));
  weights.bytes = bytes;
  return weights;
}

} // namespace llmc
