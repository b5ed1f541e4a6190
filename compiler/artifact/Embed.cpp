#include "compiler/artifact/Embed.h"

#include "compiler/support/StatusBridge.h"
#include "runtime/artifact/Artifact.h"

#include <cstring>
#include <fstream>
#include <vector>

namespace llmc::artifact {

constexpr int64_t kBoundary = 64 << 10;

llvm::Error embedWeights(const std::string &library, const std::string &weightFile) {
  std::ifstream weights(weightFile, std::ios::binary);
  std::ofstream out(library, std::ios::binary | std::ios::app);
  out.seekp(0, std::ios::end);
  int64_t end = out.tellp();
  llmc_footer footer{};
  footer.offset = (end + kBoundary - 1) / kBoundary * kBoundary;
  std::vector<char> buffer(footer.offset - end, 0);
  out.write(buffer.data(), buffer.size());
  buffer.resize(4 << 20);
  while (weights.read(buffer.data(), buffer.size()) || weights.gcount()) {
    out.write(buffer.data(), weights.gcount());
    footer.bytes += weights.gcount();
  }
  std::memcpy(footer.magic, LLMC_FOOTER_MAGIC, sizeof footer.magic);
  out.write(reinterpret_cast<const char *>(&footer), sizeof footer);
  out.flush();
  if (!out || weights.bad() || footer.bytes == 0)
    return makeError(ErrorCode::InvalidInput, library + ": embedding the weights failed; is the disk full?");
  return llvm::Error::success();
}

} // namespace llmc::artifact
