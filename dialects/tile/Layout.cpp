#include "dialects/tile/Layout.h"

#include "llvm/Support/ErrorHandling.h"

using namespace llmc;
using llm::Format;
using tile::PackedBlock;

// Source: ggml's kvalues_iq4nl, and its kvalues_mxfp4: E2M1 doubled, as its scales are halved.
static constexpr tile::CodeBook iq4nlBook = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};
static constexpr tile::CodeBook mxfp4Book = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

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
  case Format::q4_1:
    return {.inputs = 32, .group = 32, .minima = true, .quantsOffset = 64};
  case Format::q5_1:
    return {.inputs = 32, .group = 32, .upperBits = 1, .minima = true, .quantsOffset = 64};
  case Format::q2_k:
    return {.inputs = 256,
            .group = 16,
            .lowBits = 2,
            .superBlock = true,
            .minima = true,
            .nibbleScales = true,
            .scalesOffset = 64,
            .quantsOffset = 64 + 256};
  case Format::q3_k:
    return {.inputs = 256,
            .group = 16,
            .zero = 4,
            .lowBits = 2,
            .upperBits = 1,
            .superBlock = true,
            .signedScales = true,
            .scalesOffset = 32,
            .quantsOffset = 32 + 256};
  case Format::iq4_nl:
    return {.inputs = 32, .group = 32, .codeBook = &iq4nlBook, .quantsOffset = 32};
  case Format::mxfp4:
    return {.inputs = 32, .group = 32, .codeBook = &mxfp4Book, .bf16Scales = true, .quantsOffset = 32};
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
