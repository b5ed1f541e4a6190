#include "passes/lowering/kernels/PackedReader.h"

using namespace mlir;

namespace llmc::kernels {

PackedReader::BlockScales PackedReader::blockScales(Value block) {
  Value d = layout.bf16Scales ? b.loadBf16(16, block) : b.loadHalves(16, block);
  return {d, layout.minima ? b.loadHalves(16, b.at(block, 32)) : Value()};
}

PackedReader::GroupScales PackedReader::groupScales(Value block, const BlockScales &scales, Value group) {
  if (!layout.superBlock)
    return {scales.d, scales.dmin};
  auto codes = [&](int64_t offset, bool isSigned) {
    Value code = b.load(b.bytes(16), b.at(block, group, 16, offset), 16);
    return isSigned ? b.extendSigned(code, b.getI32Type()) : b.extendUnsigned(code, b.getI32Type());
  };
  auto scaled = [&](Value d, Value code) { return b.mul(d, b.toFloat(code)); };
  Value scale = codes(layout.scalesOffset, layout.signedScales);
  if (layout.nibbleScales)
    return {scaled(scales.d, b.bitAnd(scale, 15)), scaled(scales.dmin, b.shiftRight(scale, 4))};
  return {scaled(scales.d, scale), layout.minima ? scaled(scales.dmin, codes(layout.minimaOffset, false)) : Value()};
}

Parts PackedReader::quad(Value quants, int64_t quad) {
  Parts result;
  for (int64_t part = 0; part < parts; ++part)
    result.push_back(quadPart(quants, quad, part));
  return result;
}

// The byte, or its bits that the chunks of all formats but bytes begin with.
Value PackedReader::lowBits(Value quants, int64_t quad, int64_t part) {
  int64_t partBytes = tile::kQuadBytes / parts, chunk = layout.bytes ? quad : layout.lowBits == 4 ? quad % 4 : quad / 4;
  Value bytes = b.load(b.bytes(partBytes), b.at(quants, chunk * tile::kQuadBytes + part * partBytes), 32);
  if (layout.bytes)
    return bytes;
  if (layout.lowBits == 4)
    return quad < 4 ? b.bitAnd(bytes, 0x0f) : b.shiftRight(bytes, 4);
  return b.bitAnd(b.shiftRight(bytes, quad % 4 * 2), 3);
}

Value PackedReader::quadPart(Value quants, int64_t quad, int64_t part) {
  Value low = lowBits(quants, quad, part);
  if (layout.codeBook)
    return lookUp(b, *layout.codeBook, bookZero, low);
  return layout.upperBits ? b.bitOr(low, upperBits(quants, quad, part)) : low;
}

// The bits above those, in place.
Value PackedReader::upperBits(Value quants, int64_t quad, int64_t part) {
  int64_t bits = layout.upperBits, quadsPerChunk = 8 / bits, partBytes = tile::kQuadBytes / parts;
  int64_t offset = layout.lowBits * tile::kQuadBytes + quad / quadsPerChunk * tile::kQuadBytes + part * partBytes;
  Value bytes = b.load(b.bytes(partBytes), b.at(quants, offset), 32);
  int64_t from = quad % quadsPerChunk * bits;
  int64_t to = layout.lowBits;
  Value moved = from <= to ? b.shiftLeft(bytes, to - from) : b.shiftRight(bytes, from - to);
  return b.bitAnd(moved, ((1 << bits) - 1) << to);
}

std::array<Value, 4> PackedReader::decodeQuad(Value quants, int64_t quad, const GroupScales &scales) {
  Value words = b.bitcast(quadPart(quants, quad, 0), b.words(16));
  std::array<Value, 4> result;
  for (int64_t i = 0; i < 4; ++i) {
    Value code = layout.signedQuants() ? b.shiftRightArithmetic(b.shiftLeft(words, 24 - 8 * i), 24)
                              : b.bitAnd(b.shiftRight(words, 8 * i), 0xff);
    // The scale times the zero point, a power of two, is exact: one rounding either way.
    if (layout.zero && b.target.getDot() != tile::Dot::portable) {
      Value offset = b.mul(scales.scale, b.constant(scales.scale.getType(), -double(layout.zero)));
      result[i] = b.fma(b.toFloat(code), scales.scale, offset);
      continue;
    }
    if (layout.zero)
      code = b.sub(code, b.constant(code.getType(), layout.zero));
    // Two roundings where there is a minimum, as the format's definition has it: no fma.
    result[i] = b.mul(b.toFloat(code), scales.scale);
    if (scales.minimum)
      result[i] = b.sub(result[i], scales.minimum);
  }
  return result;
}

// Lanes whose code is an entry's number take the entry.
static Value lookUpByComparison(KernelBuilder &b, const tile::CodeBook &book, int64_t zero, Value codes) {
  Value result = b.constant(codes.getType(), book[0] + zero);
  for (int64_t i = 1; i < int64_t(book.size()); ++i) {
    Value isEntry = b.compare(arith::CmpIPredicate::eq, codes, b.constant(codes.getType(), i));
    result = b.select(isEntry, b.constant(codes.getType(), book[size_t(i)] + zero), result);
  }
  return result;
}

Value lookUp(KernelBuilder &b, const tile::CodeBook &book, int64_t zero, Value codes) {
  auto type = cast<VectorType>(codes.getType());
  int64_t lanes = type.getNumElements(), width = b.target.getVectorBits() >= 512 ? 64 : 32;
  if (b.target.getDot() == tile::Dot::portable || !type.getElementType().isInteger(8) || lanes < 32)
    return lookUpByComparison(b, book, zero, codes);
  if (lanes > width)
    return b.concat(lookUp(b, book, zero, b.slice(codes, 0, lanes / 2)), lookUp(b, book, zero, b.slice(codes, lanes / 2, lanes / 2)));
  SmallVector<int8_t> entries; // vpshufb looks up within 16 bytes
  for (int64_t i = 0; i < lanes; ++i)
    entries.push_back(int8_t(book[size_t(i % 16)] + zero));
  Value table = arith::ConstantOp::create(b, DenseElementsAttr::get(type, ArrayRef<int8_t>(entries)));
  return b.intrinsic(lanes == 64 ? "llvm.x86.avx512.pshuf.b.512" : "llvm.x86.avx2.pshuf.b", type, {table, codes});
}

} // namespace llmc::kernels
