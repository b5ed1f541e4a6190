#include "passes/lowering/kernels/block/BlockPanels.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;
using llmc::llm::Format;
using llmc::tile::Arithmetic;

namespace llmc::kernels {
namespace {

constexpr int64_t kLaneBytes = 16, kPieceBytes = kLaneBytes * kWarp;

//===----------------------------------------------------------------------===//
// Float panels
//===----------------------------------------------------------------------===//

// A unit is an input, or a pair of inputs of bf16; a lane has some outputs of a unit. What it loads of a piece: 16 bytes of weights, and of the
// row a pair of bf16 in a word, or a number or two as f32.
class FloatLanes : public LaneProduct {
public:
  FloatLanes(BlockBuilder &b, Format format, Arithmetic arithmetic, int64_t inputs, Value panel, Value x)
      : LaneProduct(b, panel, x), format(format), rounds(arithmetic == Arithmetic::bf16), inputs(inputs),
        unitInputs(format == Format::bf16 ? 2 : 1), unitBytes(format == Format::f16 ? 32 : 64), units((inputs + unitInputs - 1) / unitInputs) {
    int64_t unitsOfPiece = kPieceBytes / unitBytes;
    pieces = (units + unitsOfPiece - 1) / unitsOfPiece;
    outputs = format == Format::f16 ? 8 : 4;
    words = 5 + (format == Format::bf16 && !rounds);
    ragged = inputs % (unitsOfPiece * unitInputs) != 0;
  }

  Values load(Value first, int64_t offset, bool mayEnd) override;
  Values multiply(ValueRange loaded, ValueRange sums) override;

private:
  Values row(Value unit, int64_t on, Value isThere);
  Values decode(ValueRange words);

  const Format format;
  const bool rounds; // the row is bf16, and weights are rounded to that
  const int64_t inputs, unitInputs, unitBytes, units;
};

Values FloatLanes::load(Value first, int64_t offset, bool mayEnd) {
  int64_t lanesOfUnit = unitBytes / kLaneBytes, unitsOfPiece = kPieceBytes / unitBytes;
  Value part = b.bitAnd(b.lane(), lanesOfUnit - 1), ofPiece = b.shiftRight(b.lane(), llvm::Log2_64(uint64_t(lanesOfUnit)));
  Value unit = b.add(b.mul(first, b.constant(unitsOfPiece)), ofPiece), isThere;
  if (mayEnd) {
    unit = b.add(unit, b.constant(offset * unitsOfPiece));
    offset = 0;
    isThere = b.compare(arith::CmpIPredicate::slt, unit, b.constant(units));
    unit = b.minimum(unit, b.constant(units - 1));
  }
  Values loaded = b.loadWords(4, b.at(b.at(panel, unit, unitBytes), part, kLaneBytes, offset * kPieceBytes));
  llvm::append_range(loaded, row(unit, offset * unitsOfPiece, isThere));
  return loaded;
}

// The row's numbers of unit `unit` + `on`; zeros if it is not there.
Values FloatLanes::row(Value unit, int64_t on, Value isThere) {
  auto orZero = [&](Value value, Value is) {
    Value zero = isa<FloatType>(value.getType()) ? b.constant(value.getType(), 0.0) : b.constant(value.getType(), 0);
    return is ? b.select(is, value, zero) : value;
  };
  int64_t bytes = unitInputs * (rounds ? 2 : 4);
  Value from = b.at(x, unit, bytes, on * bytes);
  if (rounds && unitInputs == 2)
    return {orZero(b.load(b.getI32Type(), from, 4), isThere)};
  if (rounds) {
    Value word = b.extendUnsigned(b.load(b.getI16Type(), from, 2), b.getI32Type());
    return {orZero(b.bitcast(b.shiftLeft(word, 16), b.getF32Type()), isThere)};
  }
  Values numbers{orZero(b.load(b.getF32Type(), from, 4), isThere)};
  if (unitInputs == 2 && inputs % 2 == 0)
    numbers.push_back(orZero(b.load(b.getF32Type(), b.at(from, 4), 4), isThere));
  if (unitInputs == 1 || inputs % 2 == 0)
    return numbers;
  // The last pair has no second input.
  Value second = b.add(b.mul(unit, b.constant(2)), b.constant(2 * on + 1)), hasSecond = b.compare(arith::CmpIPredicate::slt, second, b.constant(inputs));
  second = b.minimum(second, b.constant(inputs - 1));
  numbers.push_back(orZero(orZero(b.load(b.getF32Type(), b.at(x, second, 4), 4), hasSecond), isThere));
  return numbers;
}

// Weights of the unit's inputs: those of the first input's outputs, then of the second's.
Values FloatLanes::decode(ValueRange words) {
  Values weights(size_t(unitInputs * outputs));
  for (size_t i = 0; i < 4; ++i) {
    if (format == Format::f32) {
      weights[i] = b.bitcast(words[i], b.getF32Type());
    } else if (format == Format::bf16) {
      auto [even, odd] = b.fromBf16(words[i]);
      weights[i] = even, weights[4 + i] = odd;
    } else {
      auto [low, high] = b.fromHalves(words[i]);
      weights[2 * i] = rounds ? b.roundToBf16(low) : low;
      weights[2 * i + 1] = rounds ? b.roundToBf16(high) : high;
    }
  }
  return weights;
}

Values FloatLanes::multiply(ValueRange loaded, ValueRange sums) {
  Values weights = decode(loaded.take_front(4)), numbers(loaded.drop_front(4)), result(sums.begin(), sums.end());
  if (numbers.size() == 1 && unitInputs == 2) {
    auto [even, odd] = b.fromBf16(numbers[0]);
    numbers = {even, odd};
  }
  for (size_t input = 0; input < size_t(unitInputs); ++input)
    for (size_t n = 0; n < size_t(outputs); ++n)
      result[n] = b.fma(numbers[input], weights[input * size_t(outputs) + n], result[n]);
  return result;
}

//===----------------------------------------------------------------------===//
// Quantised panels and int8 rows
//===----------------------------------------------------------------------===//

// 32 inputs of bytes are 32 lanes: lane l has quad l / 4. Of nibbles they are 16 lanes, so a piece is two groups of 32 inputs, and a lane has
// quads c and c + 4, c = l % 16 / 4, of its group. Always of outputs 4 (l % 4) … + 3.
class Int8Lanes : public LaneProduct {
public:
  Int8Lanes(BlockBuilder &b, Format format, int64_t inputs, Value panel, Value x)
      : LaneProduct(b, panel, x), layout(tile::packedBlock(format)), inputs(inputs), blocks(inputs / layout.inputs), part(b.bitAnd(b.lane(), 3)),
        quad(b.bitAnd(b.shiftRight(b.lane(), 2), layout.bytes ? 7 : 3)) {
    int64_t groups = inputs / 32;
    pieces = (groups + groupsOfPiece() - 1) / groupsOfPiece();
    ragged = groups % groupsOfPiece() != 0;
    outputs = 4;
    words = 4 + 4 * layout.upperBits + 2 + quads() + 1;
    if (layout.minima)
      words += layout.superBlock ? 7 : 2; // with what their products take
    if (layout.superBlock)
      words += subs();
  }

  Values load(Value first, int64_t offset, bool mayEnd) override;
  Values multiply(ValueRange loaded, ValueRange sums) override;

  static bool takes(Format format, int64_t threads) {
    const tile::PackedBlock layout = tile::packedBlock(format);
    // Pieces that follow one another in a warp lie whole blocks apart.
    bool blocksApart = !layout.superBlock || threads / kWarp * 2 % 8 == 0;
    return (layout.bytes || layout.lowBits == 4) && !layout.codeBook && !layout.nibbleScales && !layout.bf16Scales && blocksApart;
  }

private:
  int64_t groupsOfPiece() const { return layout.bytes ? 1 : 2; }
  int64_t groupsOfBlock() const { return layout.inputs / 32; }
  int64_t quads() const { return layout.bytes ? 1 : 2; } // of a lane
  int64_t subs() const { return 32 / layout.group; }     // groups of scales: the lane's quads are of one, or of two

  void loadScales(Values &loaded, Value block, Value group);
  void loadRow(Values &loaded, Value group, int64_t on, Value isThere);
  Values quadsOf(ArrayRef<Value> words, ArrayRef<Value> upper);
  Values dots(ArrayRef<Value> quads, ArrayRef<Value> row);
  Values floatsOf(Value bytes, bool isSigned);

  const tile::PackedBlock layout;
  const int64_t inputs, blocks;
  Value part, quad;
};

Values Int8Lanes::load(Value first, int64_t offset, bool mayEnd) {
  Value group = b.mul(first, b.constant(groupsOfPiece())), isThere;
  if (!layout.bytes)
    group = b.add(group, b.shiftRight(b.lane(), 4));
  Value block = group, ofBlock = b.constant(0);
  if (layout.superBlock)
    block = b.shiftRight(group, 3), ofBlock = b.bitAnd(group, 7);
  int64_t blocksOn = offset * groupsOfPiece() / groupsOfBlock();
  if (mayEnd) {
    block = b.add(block, b.constant(blocksOn));
    blocksOn = 0;
    isThere = b.compare(arith::CmpIPredicate::slt, block, b.constant(blocks));
    block = b.minimum(block, b.constant(blocks - 1));
  }
  Value data = b.at(panel, block, layout.blockBytes(), blocksOn * layout.blockBytes());
  Value quants = b.at(data, ofBlock, layout.quantBytes(), layout.quantsOffset);
  Values loaded = b.loadWords(4, b.at(b.at(quants, quad, tile::kQuadBytes), part, kLaneBytes));
  for (int64_t chunk = 0; chunk < layout.upperBits; ++chunk)
    llvm::append_range(loaded, b.loadWords(4, b.at(quants, part, kLaneBytes, (4 + chunk) * tile::kQuadBytes)));
  loadScales(loaded, data, ofBlock);
  loadRow(loaded, b.add(b.mul(block, b.constant(groupsOfBlock())), ofBlock), blocksOn * groupsOfBlock(), isThere);
  return loaded;
}

// The blocks' own of four outputs: two words of f16 each; and one word of bytes for each group of scales.
void Int8Lanes::loadScales(Values &loaded, Value block, Value group) {
  llvm::append_range(loaded, b.loadWords(2, b.at(block, part, 8)));
  if (layout.minima)
    llvm::append_range(loaded, b.loadWords(2, b.at(block, part, 8, 32)));
  if (!layout.superBlock)
    return;
  Value ofGroup = b.at(b.at(block, group, 16 * subs()), part, 4);
  for (int64_t sub = 0; sub < subs(); ++sub)
    llvm::append_range(loaded, b.loadWords(1, b.at(ofGroup, layout.scalesOffset + 16 * sub)));
  if (layout.minima)
    llvm::append_range(loaded, b.loadWords(1, b.at(ofGroup, layout.minimaOffset)));
}

// The row's quads and its scale, of group `group` + `on`.
void Int8Lanes::loadRow(Values &loaded, Value group, int64_t on, Value isThere) {
  Value quants = b.at(b.at(x, group, 32, 32 * on), quad, 4);
  for (int64_t i = 0; i < quads(); ++i)
    loaded.push_back(b.load(b.getI32Type(), b.at(quants, 16 * i), 4));
  Value scale = b.load(b.getF32Type(), b.at(x, group, 4, tile::int8ScalesOffset(inputs) + 4 * on), 4);
  loaded.push_back(isThere ? b.select(isThere, scale, b.constant(b.getF32Type(), 0.0)) : scale);
}

// Four bytes of each output for the lane's first quad, then for its second.
Values Int8Lanes::quadsOf(ArrayRef<Value> words, ArrayRef<Value> upper) {
  if (layout.bytes)
    return Values(words);
  Values result;
  Value shift = b.truncate(b.mul(quad, b.constant(std::max<int64_t>(layout.upperBits, 1))), b.getI32Type());
  for (int64_t i = 0; i < 2; ++i)
    for (size_t n = 0; n < 4; ++n) {
      Value low = b.bitAnd(b.shiftRight(words[n], 4 * i), 0x0f0f0f0f);
      if (layout.upperBits == 0) {
        result.push_back(low);
        continue;
      }
      // One bit of quad j is bit j of one chunk's bytes; two bits of quad 4 c + j are bits 2 j, 2 j + 1 of chunk c's.
      Value chunk = upper[layout.upperBits == 1 ? n : size_t(4 * i) + n];
      Value moved = arith::ShRUIOp::create(b, chunk, shift);
      if (layout.upperBits == 1)
        moved = b.shiftRight(moved, 4 * i);
      int64_t mask = layout.upperBits == 1 ? 0x01010101 : 0x03030303;
      result.push_back(b.bitOr(low, b.shiftLeft(b.bitAnd(moved, mask), 4)));
    }
  return result;
}

// Integers of each output, of each group of scales: less the zero point, exact.
Values Int8Lanes::dots(ArrayRef<Value> bytes, ArrayRef<Value> row) {
  Values result, starts;
  for (Value quad : row) {
    Value zero = b.constant(b.getI32Type(), 0), offset = b.constant(b.getI32Type(), 0x01010101 * (-layout.zero & 0xff));
    starts.push_back(layout.zero ? b.dot4(offset, quad, zero) : zero);
  }
  bool together = quads() > subs();
  for (int64_t sub = 0; sub < subs(); ++sub)
    for (size_t n = 0; n < 4; ++n) {
      Value sum = b.dot4(bytes[size_t(4 * sub) + n], row[size_t(sub)], together ? b.add(starts[0], starts[1]) : starts[size_t(sub)]);
      result.push_back(together ? b.dot4(bytes[4 + n], row[1], sum) : sum);
    }
  return result;
}

Values Int8Lanes::floatsOf(Value bytes, bool isSigned) {
  Values result;
  for (int64_t i = 0; i < 4; ++i)
    result.push_back(b.toFloat(isSigned ? b.shiftRightArithmetic(b.shiftLeft(bytes, 24 - 8 * i), 24) : b.bitAnd(b.shiftRight(bytes, 8 * i), 0xff)));
  return result;
}

// sum += float(dot) * row's scale * weight's scale - row's scale * float(sum of the lane's row) * minimum, of each group of scales.
Values Int8Lanes::multiply(ValueRange loaded, ValueRange sums) {
  SmallVector<Value> all(loaded);
  ArrayRef<Value> rest = all;
  auto take = [&](int64_t count) {
    ArrayRef<Value> taken = rest.take_front(size_t(count));
    rest = rest.drop_front(size_t(count));
    return taken;
  };
  auto halves = [&](ArrayRef<Value> words) {
    Values result;
    for (Value word : words)
      llvm::append_range(result, b.fromHalves(word));
    return result;
  };
  ArrayRef<Value> words = take(4), upper = take(4 * layout.upperBits);
  Values d = halves(take(2)), dmin = layout.minima ? halves(take(2)) : Values(), scales;
  for (int64_t sub = 0; sub < subs(); ++sub) {
    Values codes = layout.superBlock ? floatsOf(take(1)[0], layout.signedScales) : Values();
    for (size_t n = 0; n < 4; ++n)
      scales.push_back(layout.superBlock ? b.mul(d[n], codes[n]) : d[n]);
  }
  if (layout.minima && layout.superBlock)
    for (auto [minimum, code] : llvm::zip(dmin, floatsOf(take(1)[0], false)))
      minimum = b.mul(minimum, code);
  ArrayRef<Value> row = take(quads());
  Value rowScale = take(1)[0];
  Values integers = dots(quadsOf(words, upper), row), result(sums.begin(), sums.end());
  for (size_t i = 0; i < integers.size(); ++i)
    result[i % 4] = b.fma(b.mul(b.toFloat(integers[i]), rowScale), scales[i], result[i % 4]);
  if (!layout.minima)
    return result;
  Value ones = b.constant(b.getI32Type(), 0x01010101), sum = b.constant(b.getI32Type(), 0);
  for (Value quad : row)
    sum = b.dot4(ones, quad, sum);
  Value scaled = arith::NegFOp::create(b, b.mul(b.toFloat(sum), rowScale));
  for (size_t n = 0; n < 4; ++n)
    result[n] = b.fma(scaled, dmin[n], result[n]);
  return result;
}

} // namespace

bool hasLaneProduct(Format format, Arithmetic arithmetic, int64_t threads) {
  bool half = format == Format::bf16 || format == Format::f16;
  switch (arithmetic) {
  case Arithmetic::f32: return half || format == Format::f32;
  case Arithmetic::bf16: return half;
  case Arithmetic::int8: return llm::isQuantised(format) && Int8Lanes::takes(format, threads);
  }
  llvm_unreachable("every arithmetic is listed");
}

std::unique_ptr<LaneProduct> laneProduct(BlockBuilder &b, Format format, Arithmetic arithmetic, int64_t inputs, Value panel, Value x) {
  if (arithmetic == Arithmetic::int8)
    return std::make_unique<Int8Lanes>(b, format, inputs, panel, x);
  return std::make_unique<FloatLanes>(b, format, arithmetic, inputs, panel, x);
}

} // namespace llmc::kernels
