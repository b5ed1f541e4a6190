#include "dialects/tile/Layout.h"

#include "llvm/Support/ErrorHandling.h"

using namespace llmc;
using llm::Format;

int64_t tile::panelBytes(Format format, int64_t inputs) {
  int64_t groups32 = inputs / 32, blocks256 = inputs / 256;
  auto pad = [](int64_t bytes) { return alignTo(bytes, kAlignment); };
  switch (format) {
  case Format::f32: return pad(inputs * 16 * 4);
  case Format::f16: return pad(inputs * 16 * 2);
  case Format::bf16: return pad(alignTo(inputs, 2) * 16 * 2);
  // per group of 32 inputs: 16 f16 scales, then quants (4 bits; 4 + 1 bits; 8 bits)
  case Format::q4_0: return pad(groups32 * (32 + 256));
  case Format::q5_0: return pad(groups32 * (32 + 256 + 64));
  case Format::q8_0: return pad(groups32 * (32 + 512));
  // per super-block of 256: 16 f16 scales, 16 f16 minimum scales, 8 x 16 u8 scales, 8 x 16 u8 minima, then quants
  case Format::q4_k: return pad(blocks256 * (64 + 256 + 8 * 256));
  case Format::q5_k: return pad(blocks256 * (64 + 256 + 8 * (256 + 64)));
  // per super-block of 256: 16 f16 scales, 16 x 16 s8 scales, then quants (4 + 2 bits)
  case Format::q6_k: return pad(blocks256 * (32 + 256 + 8 * (256 + 128)));
  }
  llvm_unreachable("every format is listed");
}
