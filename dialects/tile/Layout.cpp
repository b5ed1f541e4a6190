#include "dialects/tile/Layout.h"

#include "llvm/Support/ErrorHandling.h"

using namespace llmc;
using llm::Format;
using tile::PackedBlock;

PackedBlock tile::packedBlock(Format format) {
  switch (format) {
  case Format::q4_0:
    return {.inputs = 32, .group = 32, .zero = 8, .upperBits = 0, .quantsOffset = 32};
  case Format::q5_0:
    return {.inputs = 32, .group = 32, .zero = 16, .upperBits = 1, .quantsOffset = 32};
  case Format::q8_0:
    return {.inputs = 32, .group = 32, .bytes = true, .quantsOffset = 32};
  case Format::q4_k:
  case Format::q5_k:
    return {.inputs = 256,
            .group = 32,
            .upperBits = format == Format::q5_k,
            .superBlock = true,
            .minima = true,
            .scalesOffset = 64,
            .minimaOffset = 64 + 128,
            .quantsOffset = 64 + 256};
  case Format::q6_k:
    return {.inputs = 256,
            .group = 16,
            .zero = 32,
            .upperBits = 2,
            .superBlock = true,
            .signedScales = true,
            .scalesOffset = 32,
            .quantsOffset = 32 + 256};
  case Format::f32:
  case Format::f16:
  case Format::bf16:
    break;
  }
  llvm_unreachable("floats have no blocks");
}

int64_t tile::panelBytes(Format format, int64_t inputs) {
  auto pad = [](int64_t bytes) { return alignTo(bytes, kAlignment); };
  switch (format) {
  case Format::f32:
    return pad(inputs * kPanelOutputs * 4);
  case Format::f16:
    return pad(inputs * kPanelOutputs * 2);
  case Format::bf16:
    return pad(alignTo(inputs, 2) * kPanelOutputs * 2);
  default:
    PackedBlock block = packedBlock(format);
    return pad(inputs / block.inputs * block.blockBytes());
  }
}
