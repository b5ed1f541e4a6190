// One output's row of a packed matrix to f32, exactly: the look-up of an embedding. Four inputs of one output lie side by
// side in a quad, so a vector holds four inputs here.
#include "passes/lowering/kernels/Emitters.h"
#include "passes/lowering/kernels/PackedReader.h"

using namespace mlir;
using llmc::llm::Format;

namespace llmc::kernels {
namespace {

class DecodeRow {
public:
  DecodeRow(KernelBuilder &b, tile::DecodeRowAttr decode)
      : b(b), format(decode.getFormat()), inputs(decode.getInputs()), out(b.argument(2)) {
    Value row = b.argument(1), index = arith::DivUIOp::create(b, row, b.constant(16));
    panel = b.at(b.argument(0), index, tile::panelBytes(format, inputs));
    lane = arith::RemUIOp::create(b, row, b.constant(16));
  }

  void emit() { llm::isQuantised(format) ? emitQuantised() : emitFloats(); }

private:
  void emitFloats();
  void emitQuantised();
  void decodeGroup(const tile::PackedBlock &layout, Value block, Value group, Value target);
  Value half(Value pointer) { // of this lane, from f16 [16]
    Value vector = b.loadHalves(1, b.at(pointer, lane, 2));
    return vector::ExtractOp::create(b, vector, 0);
  }
  // Of one group; `minimum` is null where the format has none.
  struct GroupScales {
    Value scale, minimum;
  };
  GroupScales groupScales(const tile::PackedBlock &layout, Value block, Value group);
  Value quad(const tile::PackedBlock &layout, Value quants, int64_t quad);

  KernelBuilder &b;
  const Format format;
  const int64_t inputs;
  Value panel, lane, out;
};

void DecodeRow::emitFloats() {
  b.loop(b.constant(0), b.constant(inputs), 1, [&](Value input) {
    Value value;
    if (format == Format::f32) {
      value = b.load(b.getF32Type(), b.at(b.at(panel, input, 64), lane, 4), 4);
    } else if (format == Format::f16) {
      value = half(b.at(panel, input, 32));
    } else {
      Value pair = arith::DivUIOp::create(b, input, b.constant(2)), odd = arith::RemUIOp::create(b, input, b.constant(2));
      Value bits = b.load(b.getI16Type(), b.at(b.at(b.at(panel, pair, 64), lane, 4), odd, 2), 2);
      value = b.bitcast(b.shiftLeft(b.extendUnsigned(bits, b.getI32Type()), 16), b.getF32Type());
    }
    b.store(value, b.at(out, input, 4), 4);
  });
}

// As PackedReader::groupScales, of this lane.
DecodeRow::GroupScales DecodeRow::groupScales(const tile::PackedBlock &layout, Value block, Value group) {
  Value d = layout.bf16Scales ? vector::ExtractOp::create(b, b.loadBf16(1, b.at(block, lane, 2)), 0) : half(block);
  Value dmin = layout.minima ? half(b.at(block, 32)) : Value();
  if (!layout.superBlock)
    return {d, dmin};
  auto codes = [&](int64_t offset, bool isSigned) {
    Value code = b.load(b.getI8Type(), b.at(b.at(block, group, 16, offset), lane, 1));
    return isSigned ? b.extendSigned(code, b.getI32Type()) : b.extendUnsigned(code, b.getI32Type());
  };
  auto scaled = [&](Value d, Value code) { return b.mul(d, b.toFloat(code)); };
  Value scale = codes(layout.scalesOffset, layout.signedScales);
  if (layout.nibbleScales)
    return {scaled(d, b.bitAnd(scale, 15)), scaled(dmin, b.shiftRight(scale, 4))};
  return {scaled(d, scale), layout.minima ? scaled(dmin, codes(layout.minimaOffset, false)) : Value()};
}

// i32 [4]: the quants of a quad's four inputs, less the zero point or as their code book has them.
Value DecodeRow::quad(const tile::PackedBlock &layout, Value quants, int64_t quad) {
  auto bytesAt = [&](int64_t chunk) { return b.load(b.bytes(4), b.at(b.at(quants, chunk * tile::kQuadBytes), lane, 4), 4); };
  Type i32 = b.getI32Type();
  if (layout.bytes)
    return b.extendSigned(bytesAt(quad), i32);
  bool nibbles = layout.lowBits == 4;
  Value low = b.extendUnsigned(bytesAt(nibbles ? quad % 4 : quad / 4), i32);
  Value code = nibbles ? b.bitAnd(b.shiftRight(low, quad / 4 * 4), 0x0f) : b.bitAnd(b.shiftRight(low, quad % 4 * 2), 3);
  if (layout.codeBook)
    return lookUp(b, *layout.codeBook, 0, code);
  if (int64_t bits = layout.upperBits) {
    int64_t quadsPerChunk = 8 / bits;
    Value upper = b.extendUnsigned(bytesAt(layout.lowBits + quad / quadsPerChunk), i32);
    upper = b.bitAnd(b.shiftRight(upper, quad % quadsPerChunk * bits), (1 << bits) - 1);
    code = b.bitOr(code, b.shiftLeft(upper, layout.lowBits));
  }
  return b.sub(code, b.constant(code.getType(), layout.zero));
}

void DecodeRow::decodeGroup(const tile::PackedBlock &layout, Value block, Value group, Value target) {
  Value quants = b.at(block, group, layout.quantBytes(), layout.quantsOffset);
  GroupScales scales;
  for (int64_t q = 0; q < 8; ++q) {
    if (q * 4 % layout.group == 0) {
      Value index = b.add(b.mul(group, b.constant(32 / layout.group)), b.constant(q * 4 / layout.group));
      scales = groupScales(layout, block, index);
    }
    Value value = b.mul(b.toFloat(quad(layout, quants, q)), b.broadcast(scales.scale, b.floats(4)));
    if (scales.minimum)
      value = b.sub(value, b.broadcast(scales.minimum, b.floats(4)));
    b.store(value, b.at(target, 16 * q), 4);
  }
}

void DecodeRow::emitQuantised() {
  tile::PackedBlock layout = tile::packedBlock(format);
  Value zero = b.constant(0);
  b.loop(zero, b.constant(inputs / layout.inputs), 1, [&](Value index) {
    Value block = b.at(panel, index, layout.blockBytes()), target = b.at(out, index, layout.inputs * 4);
    b.loop(zero, b.constant(layout.inputs / 32), 1,
           [&](Value group) { decodeGroup(layout, block, group, b.at(target, group, 128)); });
  });
}

} // namespace

void emitDecodeRow(KernelBuilder &b, tile::DecodeRowAttr decode) { DecodeRow(b, decode).emit(); }

} // namespace llmc::kernels
