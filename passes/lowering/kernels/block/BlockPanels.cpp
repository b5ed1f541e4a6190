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
// Quantised panels
//===----------------------------------------------------------------------===//

// 32 inputs of bytes are 32 lanes: lane l has quad l / 4. Of nibbles they are 16 lanes, so a piece is two groups of 32 inputs, and a lane has
// quads c and c + 4, c = l % 16 / 4, of its group. Of 2 bits they are 8 lanes: four groups, quads 4 c … 4 c + 3, c = l % 8 / 4. Always of outputs
// 4 (l % 4) … + 3.
class QuantLanes : public LaneProduct {
public:
  QuantLanes(BlockBuilder &b, Format format, int64_t inputs, Value panel, Value x)
      : LaneProduct(b, panel, x), layout(tile::packedBlock(format)), inputs(inputs), blocks(inputs / layout.inputs), part(b.bitAnd(b.lane(), 3)),
        quad(b.bitAnd(b.shiftRight(b.lane(), 2), 8 / groupsOfPiece() - 1)) {
    int64_t groups = inputs / 32;
    pieces = (groups + groupsOfPiece() - 1) / groupsOfPiece();
    ragged = groups % groupsOfPiece() != 0;
    outputs = 4;
    words = 4 + 4 * layout.upperBits + 2;
    if (layout.minima)
      words += layout.superBlock ? 7 : 2; // with what their products take
    if (layout.superBlock)
      words += subs();
  }

  Values load(Value first, int64_t offset, bool mayEnd) override;

  static bool takes(Format format, int64_t threads) {
    const tile::PackedBlock layout = tile::packedBlock(format);
    // Pieces that follow one another in a warp lie whole blocks apart.
    return !layout.superBlock || threads / kWarp * groupsOfPiece(layout) % 8 == 0;
  }

protected:
  // Of the row, what belongs to the lane's quads of group `group` + `on`; zeros, or a scale of zero, if it is not there.
  virtual void loadRow(Values &loaded, Value group, int64_t on, Value isThere) = 0;

  static int64_t groupsOfPiece(const tile::PackedBlock &layout) { return layout.bytes ? 1 : layout.lowBits == 4 ? 2 : 4; }
  int64_t groupsOfPiece() const { return groupsOfPiece(layout); }
  int64_t groupsOfBlock() const { return layout.inputs / 32; }
  int64_t quads() const { return groupsOfPiece(); } // of a lane
  bool hasTwoBits() const { return !layout.bytes && layout.lowBits == 2; }
  int64_t subs() const { return hasTwoBits() ? 1 : 32 / layout.group; } // groups of scales: the lane's quads are of one, or of two
  // The number of the lane's quad i in its group, beside that of its first.
  int64_t quadOn(int64_t i) const { return hasTwoBits() ? i : 4 * i; }
  Value firstQuad() { return hasTwoBits() ? b.mul(quad, b.constant(4)) : quad; }

  // What was loaded of the panel, decoded; `rest`: what was loaded of the row.
  struct Decoded {
    Values bytes;  // four of each output for each of the lane's quads: less no zero point
    Values scales; // of each output, of each group of scales
    Values minima; // of each output; empty if there are none
    Values rest;
  };
  Decoded decode(ValueRange loaded);
  Values floatsOf(Value bytes, bool isSigned);

  const tile::PackedBlock layout;
  const int64_t inputs, blocks;
  Value part, quad;

private:
  void loadScales(Values &loaded, Value block, Value group);
  Values quadsOf(ArrayRef<Value> words, ArrayRef<Value> upper);
};

Values QuantLanes::load(Value first, int64_t offset, bool mayEnd) {
  Value group = b.mul(first, b.constant(groupsOfPiece())), isThere;
  if (groupsOfPiece() > 1)
    group = b.add(group, b.shiftRight(b.lane(), llvm::Log2_64(uint64_t(kWarp / groupsOfPiece()))));
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
    llvm::append_range(loaded, b.loadWords(4, b.at(quants, part, kLaneBytes, (layout.lowBits + chunk) * tile::kQuadBytes)));
  loadScales(loaded, data, ofBlock);
  loadRow(loaded, b.add(b.mul(block, b.constant(groupsOfBlock())), ofBlock), blocksOn * groupsOfBlock(), isThere);
  return loaded;
}

// The blocks' own of four outputs: two words of halves each; and one word of bytes for each group of scales.
void QuantLanes::loadScales(Values &loaded, Value block, Value group) {
  llvm::append_range(loaded, b.loadWords(2, b.at(block, part, 8)));
  if (layout.minima)
    llvm::append_range(loaded, b.loadWords(2, b.at(block, part, 8, 32)));
  if (!layout.superBlock)
    return;
  Value ofGroup = b.at(b.at(block, group, 16 * (32 / layout.group)), part, 4);
  if (hasTwoBits())
    ofGroup = b.at(ofGroup, quad, 16);
  for (int64_t sub = 0; sub < subs(); ++sub)
    llvm::append_range(loaded, b.loadWords(1, b.at(ofGroup, layout.scalesOffset + 16 * sub)));
  if (layout.minima && !layout.nibbleScales)
    llvm::append_range(loaded, b.loadWords(1, b.at(ofGroup, layout.minimaOffset)));
}

// Four bytes of each output for the lane's first quad, then for its next.
Values QuantLanes::quadsOf(ArrayRef<Value> words, ArrayRef<Value> upper) {
  if (layout.bytes)
    return Values(words);
  Values result;
  int64_t bits = layout.lowBits, upperBits = layout.upperBits, mask = ((1 << bits) - 1) * 0x01010101, upperMask = ((1 << upperBits) - 1) * 0x01010101;
  // One bit of quad j is bit j of one chunk's bytes; two bits of quad 4 c + j are bits 2 j, 2 j + 1 of chunk c's.
  Value shift = b.truncate(b.mul(firstQuad(), b.constant(std::max<int64_t>(upperBits, 1))), b.getI32Type());
  for (int64_t i = 0; i < quads(); ++i)
    for (size_t n = 0; n < 4; ++n) {
      Value code = b.bitAnd(b.shiftRight(words[n], bits * i), mask);
      if (upperBits) {
        Value moved = arith::ShRUIOp::create(b, upper[upperBits == 1 ? n : size_t(4 * i) + n], shift);
        if (upperBits == 1)
          moved = b.shiftRight(moved, quadOn(i));
        code = b.bitOr(code, b.shiftLeft(b.bitAnd(moved, upperMask), bits));
      }
      result.push_back(layout.codeBook ? lookUpBytes(b, *layout.codeBook, code) : code);
    }
  return result;
}

Values QuantLanes::floatsOf(Value bytes, bool isSigned) {
  Values result;
  for (int64_t i = 0; i < 4; ++i)
    result.push_back(b.toFloat(isSigned ? b.shiftRightArithmetic(b.shiftLeft(bytes, 24 - 8 * i), 24) : b.bitAnd(b.shiftRight(bytes, 8 * i), 0xff)));
  return result;
}

QuantLanes::Decoded QuantLanes::decode(ValueRange loaded) {
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
      llvm::append_range(result, layout.bf16Scales ? b.fromBf16(word) : b.fromHalves(word));
    return result;
  };
  auto times = [&](ArrayRef<Value> factors, Value bytes, bool isSigned) {
    Values result;
    for (auto [factor, number] : llvm::zip(factors, floatsOf(bytes, isSigned)))
      result.push_back(b.mul(factor, number));
    return result;
  };
  ArrayRef<Value> words = take(4), upper = take(4 * layout.upperBits);
  Decoded decoded{quadsOf(words, upper), {}, {}, {}};
  Values d = halves(take(2));
  if (layout.minima)
    decoded.minima = halves(take(2));
  ArrayRef<Value> codes = layout.superBlock ? take(subs()) : ArrayRef<Value>();
  for (int64_t sub = 0; sub < subs(); ++sub)
    llvm::append_range(decoded.scales, !layout.superBlock ? d : times(d, layout.nibbleScales ? b.bitAnd(codes[size_t(sub)], 0x0f0f0f0f) : codes[size_t(sub)], layout.signedScales));
  if (layout.minima && layout.superBlock)
    decoded.minima = times(decoded.minima, layout.nibbleScales ? b.bitAnd(b.shiftRight(codes[0], 4), 0x0f0f0f0f) : take(1)[0], false);
  decoded.rest.assign(rest.begin(), rest.end());
  return decoded;
}

//===----------------------------------------------------------------------===//
// Of an int8 row
//===----------------------------------------------------------------------===//

class Int8Lanes : public QuantLanes {
public:
  Int8Lanes(BlockBuilder &b, Format format, int64_t inputs, Value panel, Value x) : QuantLanes(b, format, inputs, panel, x) { words += quads() + 1; }
  Values multiply(ValueRange loaded, ValueRange sums) override;

protected:
  void loadRow(Values &loaded, Value group, int64_t on, Value isThere) override;

private:
  Values dots(ArrayRef<Value> bytes, ArrayRef<Value> row);
};

// The row's quads and its scale.
void Int8Lanes::loadRow(Values &loaded, Value group, int64_t on, Value isThere) {
  Value quants = b.at(b.at(x, group, 32, 32 * on), firstQuad(), 4);
  if (hasTwoBits())
    llvm::append_range(loaded, b.loadWords(4, quants));
  else
    for (int64_t i = 0; i < quads(); ++i)
      loaded.push_back(b.load(b.getI32Type(), b.at(quants, 4 * quadOn(i)), 4));
  Value scale = b.load(b.getF32Type(), b.at(x, group, 4, tile::int8ScalesOffset(inputs) + 4 * on), 4);
  loaded.push_back(isThere ? b.select(isThere, scale, b.constant(b.getF32Type(), 0.0)) : scale);
}

// Integers of each output, of each group of scales: less the zero point, exact.
Values Int8Lanes::dots(ArrayRef<Value> bytes, ArrayRef<Value> row) {
  Values result;
  Value zero = b.constant(b.getI32Type(), 0), offset = b.constant(b.getI32Type(), 0x01010101 * (-layout.zero & 0xff));
  auto ofSub = static_cast<size_t>(quads() / subs());
  for (size_t sub = 0; sub < size_t(subs()); ++sub) {
    Value start = zero;
    for (size_t i = sub * ofSub; i < (sub + 1) * ofSub && layout.zero; ++i)
      start = b.dot4(offset, row[i], start);
    for (size_t n = 0; n < 4; ++n) {
      Value sum = start;
      for (size_t i = sub * ofSub; i < (sub + 1) * ofSub; ++i)
        sum = b.dot4(bytes[4 * i + n], row[i], sum);
      result.push_back(sum);
    }
  }
  return result;
}

// sum += float(dot) * row's scale * weight's scale - row's scale * float(sum of the lane's row) * minimum, of each group of scales.
Values Int8Lanes::multiply(ValueRange loaded, ValueRange sums) {
  Decoded decoded = decode(loaded);
  ArrayRef<Value> row = ArrayRef<Value>(decoded.rest).take_front(size_t(quads()));
  Value rowScale = decoded.rest.back();
  Values integers = dots(decoded.bytes, row), result(sums.begin(), sums.end());
  for (size_t i = 0; i < integers.size(); ++i)
    result[i % 4] = b.fma(b.mul(b.toFloat(integers[i]), rowScale), decoded.scales[i], result[i % 4]);
  if (!layout.minima)
    return result;
  Value ones = b.constant(b.getI32Type(), 0x01010101), sum = b.constant(b.getI32Type(), 0);
  for (Value quad : row)
    sum = b.dot4(ones, quad, sum);
  Value scaled = arith::NegFOp::create(b, b.mul(b.toFloat(sum), rowScale));
  for (size_t n = 0; n < 4; ++n)
    result[n] = b.fma(scaled, decoded.minima[n], result[n]);
  return result;
}

//===----------------------------------------------------------------------===//
// Of a float32 row
//===----------------------------------------------------------------------===//

class ExactLanes : public QuantLanes {
public:
  ExactLanes(BlockBuilder &b, Format format, int64_t inputs, Value panel, Value x) : QuantLanes(b, format, inputs, panel, x) { words += 4 * quads(); }
  Values multiply(ValueRange loaded, ValueRange sums) override;

protected:
  void loadRow(Values &loaded, Value group, int64_t on, Value isThere) override;
};

void ExactLanes::loadRow(Values &loaded, Value group, int64_t on, Value isThere) {
  Value numbers = b.at(b.at(x, group, 128, 128 * on), firstQuad(), 16);
  for (int64_t i = 0; i < quads(); ++i)
    for (int64_t k = 0; k < 4; ++k) { // rows of f32 may begin at any number
      Value number = b.load(b.getF32Type(), b.at(numbers, 16 * quadOn(i) + 4 * k), 4);
      loaded.push_back(isThere ? b.select(isThere, number, b.constant(b.getF32Type(), 0.0)) : number);
    }
}

// Weights as the format defines them, then one multiply-add an input.
Values ExactLanes::multiply(ValueRange loaded, ValueRange sums) {
  Decoded decoded = decode(loaded);
  Values result(sums.begin(), sums.end());
  int64_t ofSub = quads() / subs();
  for (int64_t i = 0; i < quads(); ++i)
    for (size_t n = 0; n < 4; ++n)
      for (auto [k, number] : llvm::enumerate(floatsOf(decoded.bytes[size_t(4 * i) + n], layout.signedQuants()))) {
        Value weight = b.mul(layout.zero ? b.sub(number, b.constant(b.getF32Type(), double(layout.zero))) : number, decoded.scales[size_t(4 * (i / ofSub)) + n]);
        weight = layout.minima ? b.sub(weight, decoded.minima[n]) : weight;
        result[n] = b.fma(decoded.rest[size_t(4 * i) + k], weight, result[n]);
      }
  return result;
}

} // namespace

Value lookUpBytes(BlockBuilder &b, const tile::CodeBook &book, Value codes) {
  auto constant = [&](int64_t value) { return b.constant(b.getI32Type(), value); };
  auto entries = [&](size_t first) {
    uint32_t bits = 0;
    for (size_t i = 0; i < 4; ++i)
      bits |= uint32_t(uint8_t(book[first + i])) << (8 * i);
    return constant(int32_t(bits));
  };
  Value pairs = b.bitOr(codes, b.shiftRight(codes, 4)), selector = b.pickBytes(pairs, constant(0), constant(0x4420));
  Value ofHalf = b.bitAnd(selector, 0x7777);
  Value low = b.pickBytes(entries(0), entries(4), ofHalf), high = b.pickBytes(entries(8), entries(12), ofHalf);
  return b.pickBytes(low, high, b.bitOr(b.bitAnd(b.shiftRight(selector, 1), 0x4444), constant(0x3210)));
}

bool hasLaneProduct(Format format, Arithmetic arithmetic, int64_t threads) {
  bool half = format == Format::bf16 || format == Format::f16;
  switch (arithmetic) {
  case Arithmetic::f32: return half || format == Format::f32 || QuantLanes::takes(format, threads);
  case Arithmetic::bf16: return half;
  case Arithmetic::int8: return llm::isQuantised(format) && QuantLanes::takes(format, threads);
  }
  llvm_unreachable("every arithmetic is listed");
}

std::unique_ptr<LaneProduct> laneProduct(BlockBuilder &b, Format format, Arithmetic arithmetic, int64_t inputs, Value panel, Value x) {
  if (arithmetic == Arithmetic::int8)
    return std::make_unique<Int8Lanes>(b, format, inputs, panel, x);
  if (llm::isQuantised(format))
    return std::make_unique<ExactLanes>(b, format, inputs, panel, x);
  return std::make_unique<FloatLanes>(b, format, arithmetic, inputs, panel, x);
}

} // namespace llmc::kernels
