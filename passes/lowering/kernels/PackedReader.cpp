#include "passes/lowering/kernels/PackedReader.h"

using namespace mlir;

namespace llmc::kernels {

PackedReader::BlockScales PackedReader::blockScales(Value block) {
  Value d = b.loadHalves(16, block);
  return {d, layout.minima ? b.loadHalves(16, b.at(block, 32)) : Value()};
}

PackedReader::GroupScales PackedReader::groupScales(Value block, const BlockScales &scales, Value group) {
  if (!layout.superBlock)
    return {scales.d, Value()};
  auto scaled = [&](Value d, int64_t offset, bool isSigned) {
    Value code = b.load(b.bytes(16), b.at(block, group, 16, offset), 16);
    code = isSigned ? b.extendSigned(code, b.getI32Type()) : b.extendUnsigned(code, b.getI32Type());
    return b.mul(d, b.toFloat(code));
  };
  return {scaled(scales.d, layout.scalesOffset, layout.signedScales),
          layout.minima ? scaled(scales.dmin, layout.minimaOffset, false) : Value()};
}

Parts PackedReader::quad(Value quants, int64_t quad) {
  Parts result;
  for (int64_t part = 0; part < parts; ++part)
    result.push_back(quadPart(quants, quad, part));
  return result;
}

Value PackedReader::quadPart(Value quants, int64_t quad, int64_t part) {
  int64_t partBytes = tile::kQuadBytes / parts, chunk = layout.bytes ? quad : quad % 4;
  Value bytes = b.load(b.bytes(partBytes), b.at(quants, chunk * tile::kQuadBytes + part * partBytes), 32);
  if (layout.bytes)
    return bytes;
  Value low = quad < 4 ? b.bitAnd(bytes, 0x0f) : b.shiftRight(bytes, 4);
  return layout.upperBits ? b.bitOr(low, upperBits(quants, quad, part)) : low;
}

// The bits above the nibble, in place.
Value PackedReader::upperBits(Value quants, int64_t quad, int64_t part) {
  int64_t bits = layout.upperBits, quadsPerChunk = 8 / bits, partBytes = tile::kQuadBytes / parts;
  int64_t offset = 4 * tile::kQuadBytes + quad / quadsPerChunk * tile::kQuadBytes + part * partBytes;
  Value bytes = b.load(b.bytes(partBytes), b.at(quants, offset), 32);
  int64_t from = quad % quadsPerChunk * bits;
  Value moved = from <= 4 ? b.shiftLeft(bytes, 4 - from) : b.shiftRight(bytes, from - 4);
  return b.bitAnd(moved, ((1 << bits) - 1) << 4);
}

std::array<Value, 4> PackedReader::decodeQuad(Value quants, int64_t quad, const GroupScales &scales) {
  Value words = b.bitcast(quadPart(quants, quad, 0), b.words(16));
  std::array<Value, 4> result;
  for (int64_t i = 0; i < 4; ++i) {
    Value code = layout.bytes ? b.shiftRightArithmetic(b.shiftLeft(words, 24 - 8 * i), 24)
                              : b.bitAnd(b.shiftRight(words, 8 * i), 0xff);
    if (layout.zero)
      code = b.sub(code, b.constant(code.getType(), layout.zero));
    // Two roundings where there is a minimum, as the format's definition has it: no fma.
    result[i] = b.mul(b.toFloat(code), scales.scale);
    if (scales.minimum)
      result[i] = b.sub(result[i], scales.minimum);
  }
  return result;
}

} // namespace llmc::kernels
