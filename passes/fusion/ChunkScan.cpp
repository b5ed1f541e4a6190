// --llm-chunk-scan: see Passes.td.
#include "dialects/llm/Shapes.h"
#include "passes/fusion/Passes.h"

namespace llmc {
#define GEN_PASS_DEF_LLMCHUNKSCAN
#include "passes/fusion/Passes.h.inc"
} // namespace llmc

using namespace mlir;
using namespace llmc;
using namespace llmc::llm;

namespace {

// What a head's token costs in operations on vectors of 16 numbers.
struct Cost {
  double width, states, headsOfGroup;

  static constexpr double lanes = 16;
  static constexpr double decay = 12; // of 16 scores: the power of two, the mask

  // Decay, take in, read: three operations for each number of the state.
  double tokenByToken() const { return 3 * width * states / lanes; }

  // Reading the state and moving it on; half of the chunk's square for the scores, shared by a group, their decays and their
  // product with x; loading and storing the state once for all tokens.
  double byChunks(double length) const {
    double square = length / 2 * (states / headsOfGroup + decay + width) / lanes;
    return 2 * width * states / lanes + square + 4 * width * states / lanes / length;
  }
};

struct ChunkScan : llmc::impl::LLMChunkScanBase<ChunkScan> {
  using LLMChunkScanBase::LLMChunkScanBase;

  void runOnOperation() override {
    if (length < 0 || length > 1024 || length % 16) {
      getOperation().emitError("llm-chunk-scan: 'length' must be a multiple of 16 up to 1024, got ") << length.getValue();
      return signalPassFailure();
    }
    getOperation().walk([&](ScanOp scan) {
      if (int64_t chunk = chunkOf(scan)) {
        scan.setChunk(chunk);
        ++chunked;
      }
    });
  }

  // 0: token by token.
  int64_t chunkOf(ScanOp scan) {
    if (scan.getKind() != ScanKind::scalar || scan.getChunk())
      return 0;
    SmallVector<int64_t> shape = scan.getStateShape(); // heads, width, states
    if (shape[1] % 16)
      return 0;
    if (length)
      return length;
    double groups = static_cast<double>(channels(scan.getInput())) / shape[2];
    Cost cost{static_cast<double>(shape[1]), static_cast<double>(shape[2]), shape[0] / groups};
    int64_t best = 0;
    double least = cost.tokenByToken();
    for (int64_t length : {16, 32, 64, 128})
      if (double price = cost.byChunks(static_cast<double>(length)); price < least)
        least = price, best = length;
    return best;
  }
};

} // namespace
