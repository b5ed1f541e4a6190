// Kernels over one row of activations, by a block.
//
// `out` may be a row that is read: each thread reads all that it needs before it writes, and writes only where no other thread reads.
#include "passes/lowering/kernels/block/BlockRows.h"

#include "passes/lowering/kernels/block/BlockKernels.h"
#include "passes/lowering/kernels/block/BlockRuns.h"

#include "passes/lowering/kernels/Emitters.h"
#include "passes/lowering/kernels/PackedReader.h"
#include "passes/lowering/kernels/RowMath.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

#include <bit>

using namespace mlir;
using llmc::llm::Format;

namespace llmc::kernels {
namespace {

Value loadFloat(BlockBuilder &b, Value row, Value index) { return b.load(b.getF32Type(), floatAt(b, row, index), 4); }
void storeFloat(BlockBuilder &b, Value value, Value row, Value index) { b.store(value, floatAt(b, row, index), 4); }
Value addition(BlockBuilder &b, Value a, Value c) { return b.add(a, c); }

//===----------------------------------------------------------------------===//
// Norms
//===----------------------------------------------------------------------===//

// Numbers of a row that a thread keeps in registers.
constexpr int64_t kMostKept = 32;

// Normalises groups of channels, each by all threads or by one warp.
class Normaliser {
public:
  Normaliser(BlockBuilder &b, int64_t channels, int64_t group, bool byWarp, llm::NormAttr norm, Value x, Value gain, Value bias, Value out)
      : b(b), channels(channels), group(group), byWarp(byWarp), width(byWarp ? kWarp : b.threads()),
        worker(byWarp ? b.lane() : b.thread()), norm(norm), x(x), gain(gain), bias(bias), out(out) {
    if (!byWarp)
      scratch = b.shared(4 * b.warps());
  }

  void emit() {
    if (!byWarp)
      return b.loop(b.constant(0), b.constant(channels), group, [&](Value first) { normaliseGroup(first); });
    b.loop(b.mul(b.warp(), b.constant(group)), b.constant(channels), group * b.warps(), [&](Value first) { normaliseGroup(first); });
  }

  void normaliseGroup(Value first);

private:
  Value sum(llvm::function_ref<Value(int64_t round, Value index)> term);
  void eachIndex(llvm::function_ref<void(int64_t round, Value index)> body);
  int64_t rounds() const { return (group + width - 1) / width; }
  bool keeps() const { return rounds() <= kMostKept; }
  Value indexOf(int64_t round) { return b.add(worker, b.constant(round * width)); }

  BlockBuilder &b;
  const int64_t channels, group;
  const bool byWarp;
  const int64_t width;
  Value worker;
  llm::NormAttr norm;
  Value x, gain, bias, out, scratch;
};

// Channels of the group that this thread has: straight, or in a loop of which `round` says nothing (-1).
void Normaliser::eachIndex(llvm::function_ref<void(int64_t, Value)> body) {
  if (!keeps())
    return b.loop(worker, b.constant(group), width, [&](Value index) { body(-1, index); });
  for (int64_t round = 0; round < rounds(); ++round) {
    Value index = indexOf(round);
    if ((round + 1) * width <= group)
      body(round, index);
    else
      b.onlyIf(b.compare(arith::CmpIPredicate::slt, index, b.constant(group)), [&] { body(round, index); });
  }
}

// The sum of `term` over the group, the same in each of its threads.
Value Normaliser::sum(llvm::function_ref<Value(int64_t, Value)> term) {
  Value zero = b.constant(b.getF32Type(), 0.0), total = zero;
  if (keeps()) {
    for (int64_t round = 0; round < rounds(); ++round) {
      Value index = indexOf(round), value = term(round, index);
      if ((round + 1) * width > group)
        value = b.select(b.compare(arith::CmpIPredicate::slt, index, b.constant(group)), value, zero);
      total = b.add(total, value);
    }
  } else {
    total = b.loop(worker, b.constant(group), width, ValueRange{zero},
                   [&](Value index, ValueRange carried) { return Values{b.add(carried[0], term(-1, index))}; })[0];
  }
  auto add = [&](Value a, Value c) { return addition(b, a, c); };
  return byWarp ? b.reduceWarp(total, add) : b.reduceBlock(total, add, scratch);
}

void Normaliser::normaliseGroup(Value first) {
  Type f32 = b.getF32Type();
  Value from = floatAt(b, x, first), to = floatAt(b, out, first), mean, n = b.constant(f32, static_cast<double>(group));
  Values kept;
  for (int64_t round = 0; keeps() && round < rounds(); ++round)
    kept.push_back(loadFloat(b, from, b.minimum(indexOf(round), b.constant(group - 1))));
  auto centred = [&](int64_t round, Value index) {
    Value value = round < 0 ? loadFloat(b, from, index) : kept[size_t(round)];
    return mean ? b.sub(value, mean) : value;
  };
  if (norm.getKind() == llm::NormKind::layer)
    mean = div(b, sum(centred), n);
  Value squares = sum([&](int64_t round, Value index) {
    Value value = centred(round, index);
    return b.mul(value, value);
  });
  Value deviation = LLVM::SqrtOp::create(b, b.add(div(b, squares, n), b.constant(f32, norm.getEps().value)));
  Value inverse = div(b, b.constant(f32, 1.0), deviation);
  eachIndex([&](int64_t round, Value index) {
    Value value = b.mul(centred(round, index), inverse);
    if (gain) {
      Value factor = loadFloat(b, gain, index);
      if (double offset = norm.getOffset().value)
        factor = b.add(factor, b.constant(f32, offset));
      value = b.mul(value, factor);
    }
    if (bias)
      value = b.add(value, loadFloat(b, bias, index));
    storeFloat(b, value, to, index);
  });
}

bool groupsByWarp(int64_t channels, int64_t group) { return channels > group && group <= kWarp * kMostKept; }

// x, out: (channels); gain, bias: (group)
void emitBlockNorm(BlockBuilder &b, tile::NormAttr kernel) {
  Value bias = kernel.getBias() ? b.argument(2) : Value(), out = b.argument(kernel.getBias() ? 3 : 2);
  Normaliser(b, kernel.getChannels(), kernel.getGroup(), groupsByWarp(kernel.getChannels(), kernel.getGroup()), kernel.getNorm(), b.argument(0), b.argument(1), bias, out).emit();
}

// x, out: (channels)
void emitBlockUnitNorm(BlockBuilder &b, tile::UnitNormAttr kernel) {
  auto norm = llm::NormAttr::get(b.getContext(), llm::NormKind::rms, kernel.getEps(), llm::Real(0.0));
  Normaliser(b, kernel.getChannels(), kernel.getGroup(), groupsByWarp(kernel.getChannels(), kernel.getGroup()), norm, b.argument(0), {}, {}, b.argument(1)).emit();
}

//===----------------------------------------------------------------------===//
// Pointwise
//===----------------------------------------------------------------------===//

// a, b, c, out: (channels); or b: (channels / group)
void emitBlockPointwise(BlockBuilder &b, tile::PointwiseKernelAttr kernel) {
  unsigned count = kernel.getInputs();
  int64_t group = kernel.getGroup();
  auto read = [&](Value index) {
    Values inputs;
    for (unsigned i = 0; i < count; ++i) {
      bool ofGroup = group > 1 && i == 1;
      inputs.push_back(loadFloat(b, b.argument(i), ofGroup ? arith::DivUIOp::create(b, index, b.constant(group)).getResult() : index));
    }
    return pointwiseValue(b, kernel, inputs);
  };
  b.eachChannel(kernel.getChannels(), read, [&](Value index, Value value) { storeFloat(b, value, b.argument(count), index); });
}

// results: (choices, channels); places, weights: (top); out: (channels)
void emitBlockCombine(BlockBuilder &b, tile::CombineAttr kernel) {
  Value results = b.argument(0), places = kernel.getPlaces() ? b.argument(1) : Value();
  Value weights = b.argument(places ? 2 : 1), out = b.argument(places ? 3 : 2);
  auto rowOf = [&](int64_t k) {
    Value place = b.constant(k);
    if (places)
      place = b.extendSigned(b.load(b.getI32Type(), floatAt(b, places, place), 4), b.getI64Type());
    return b.at(results, place, kernel.getChannels() * 4);
  };
  auto sum = [&](Value index) {
    Value total = b.constant(b.getF32Type(), 0.0);
    for (int64_t k = 0; k < kernel.getTop(); ++k)
      total = b.fma(loadFloat(b, weights, b.constant(k)), loadFloat(b, rowOf(k), index), total);
    return total;
  };
  b.eachChannel(kernel.getChannels(), sum, [&](Value index, Value value) { storeFloat(b, value, out, index); });
}

//===----------------------------------------------------------------------===//
// Rope
//===----------------------------------------------------------------------===//

void emitBlockRopeTable(BlockBuilder &b, tile::RopeTableAttr kernel) {
  b.eachThread(b.constant(kernel.getDim() / 2), 1, [&](Value index) { emitRopeTableAt(b, kernel, index); });
}

// Pair number `pair` of a head.
void turnPair(BlockBuilder &b, llm::RotaryAttr rotary, Value pair, Value x, Value table, Value out) {
  bool halves = rotary.getStyle() == llm::RotaryStyle::half;
  int64_t half = rotary.getDim() / 2;
  Value first = halves ? pair : b.mul(pair, b.constant(2)), second = b.add(first, b.constant(halves ? half : 1));
  Value cosine = loadFloat(b, table, pair), sine = loadFloat(b, table, b.add(pair, b.constant(half)));
  auto [a, c] = turn(b, loadFloat(b, x, first), loadFloat(b, x, second), cosine, sine);
  storeFloat(b, a, out, first);
  storeFloat(b, c, out, second);
}

// x, out: (heads, head_dim); table: (dim). A thread turns whole pairs.
void emitBlockRope(BlockBuilder &b, tile::RopeAttr kernel) {
  Value x = b.argument(0), table = b.argument(1), out = b.argument(2);
  int64_t headDim = kernel.getHeadDim(), dim = kernel.getRotary().getDim(), half = dim / 2, heads = kernel.getChannels() / headDim;
  auto channel = [&](Value index, int64_t count) { // of the index-th of `count` in each head, and which it is
    Value head = arith::DivUIOp::create(b, index, b.constant(count)), of = arith::RemUIOp::create(b, index, b.constant(count));
    return std::pair(b.mul(head, b.constant(headDim)), of);
  };
  b.eachThread(b.constant(heads * half), 1, [&](Value index) {
    auto [head, pair] = channel(index, half);
    turnPair(b, kernel.getRotary(), pair, floatAt(b, x, head), table, floatAt(b, out, head));
  });
  if (dim < headDim)
    b.eachThread(b.constant(heads * (headDim - dim)), 1, [&](Value index) {
      auto [head, rest] = channel(index, headDim - dim);
      Value at = b.add(b.add(head, rest), b.constant(dim));
      storeFloat(b, loadFloat(b, x, at), out, at);
    });
}

//===----------------------------------------------------------------------===//
// Quantize
//===----------------------------------------------------------------------===//

constexpr float kSmallest = 1e-30f;

// As Quantize.cpp: a warp takes groups of 32, one input a lane.
class QuantizeGroups {
public:
  QuantizeGroups(BlockBuilder &b, int64_t inputs) : b(b), inputs(inputs), out(b.argument(1)) {}

  // Several groups of a warp are read before the first is worked on.
  void emit() {
    constexpr int64_t most = 4;
    int64_t groups = inputs / 32;
    for (int64_t first = 0; first < groups; first += most * b.warps()) {
      Values group, x;
      for (int64_t g = first; g < std::min(groups, first + most * b.warps()); g += b.warps()) {
        group.push_back(b.add(b.warp(), b.constant(g)));
        Value clamped = b.minimum(group.back(), b.constant(groups - 1));
        x.push_back(loadFloat(b, b.at(b.argument(0), clamped, 128), b.lane()));
      }
      for (auto [g, value] : llvm::zip(group, x))
        b.onlyIf(b.compare(arith::CmpIPredicate::slt, g, b.constant(groups)), [&, g = g, value = value] { quantize(g, value); });
    }
  }

private:
  void quantize(Value group, Value x);

  BlockBuilder &b;
  const int64_t inputs;
  Value out;
};

void QuantizeGroups::quantize(Value group, Value x) {
  Type i32 = b.getI32Type(), f32 = b.getF32Type();
  Value bits = b.maximumOfWarp(b.bitAnd(b.bitcast(x, i32), 0x7fffffff)), biggest = b.bitcast(bits, f32);
  Value isFinite = b.compare(arith::CmpIPredicate::slt, bits, b.constant(i32, 0x7f800000));
  Value isLarge = b.compare(arith::CmpIPredicate::sge, bits, b.constant(i32, std::bit_cast<int32_t>(kSmallest)));
  Value scaled = b.mul(x, div(b, b.constant(f32, 127.0), biggest));
  Value safe = b.select(arith::AndIOp::create(b, isFinite, isLarge), scaled, b.constant(f32, 0.0));
  // Adding 1.5 * 2^23 rounds to the nearest integer, ties to even, and leaves it in the low bits.
  Value q = b.sub(b.bitcast(b.add(safe, b.constant(f32, 12582912.0)), i32), b.constant(i32, 0x4b400000));
  b.store(b.truncate(q, b.getI8Type()), b.at(b.at(out, group, 32), b.lane(), 1), 1);
  Value isLow = b.compare(arith::CmpIPredicate::slt, b.lane(), b.constant(16));
  Value sum = b.sumOfWarp(q), low = b.sumOfWarp(b.select(isLow, q, b.constant(i32, 0)));
  b.onlyIf(b.compare(arith::CmpIPredicate::eq, b.lane(), b.constant(0)), [&] {
    Value scale = b.select(isLarge, div(b, biggest, b.constant(f32, 127.0)), b.constant(f32, 0.0));
    b.store(scale, b.at(out, group, 4, tile::int8ScalesOffset(inputs)), 4);
    b.store(b.mul(scale, b.toFloat(sum)), b.at(out, group, 4, tile::int8ScaledSumsOffset(inputs)), 4);
    b.store(sum, b.at(out, group, 4, tile::int8SumsOffset(inputs)), 4);
    Value halves = b.at(out, group, 8, tile::int8HalfSumsOffset(inputs));
    b.store(low, halves, 4);
    b.store(b.sub(sum, low), b.at(halves, 4), 4);
  });
}

// x: (inputs) f32; out: bf16, padded with zeros. A thread makes pairs.
void emitBlockRound(BlockBuilder &b, int64_t inputs) {
  Value x = b.argument(0), out = b.argument(1);
  auto bits = [&](Value index) { return b.shiftRight(b.bitcast(b.roundToBf16(loadFloat(b, x, index)), b.getI32Type()), 16); };
  auto pair = [&](Value index) {
    Value even = b.mul(index, b.constant(2));
    return b.bitOr(bits(even), b.shiftLeft(bits(b.add(even, b.constant(1))), 16));
  };
  auto write = [&](Value index, Value word) { b.store(word, b.at(out, index, 4), 4); };
  b.eachChannel(inputs / 2, pair, write);
  int64_t pairs = inputs / 2, end = tile::alignTo(inputs, tile::kTileInputs) / 2;
  if (inputs % 2)
    b.onThread(0, [&] { write(b.constant(pairs++), bits(b.constant(inputs - 1))); });
  b.eachThread(b.constant(end - pairs), 1, [&](Value index) { write(b.add(index, b.constant(pairs)), b.constant(b.getI32Type(), 0)); });
}

void emitBlockQuantize(BlockBuilder &b, tile::QuantizeAttr kernel) {
  if (kernel.getArithmetic() == tile::Arithmetic::bf16)
    return emitBlockRound(b, kernel.getInputs());
  QuantizeGroups(b, kernel.getInputs()).emit();
}

//===----------------------------------------------------------------------===//
// One row of a packed matrix
//===----------------------------------------------------------------------===//

// A thread decodes an input; as DecodeRow.cpp.
class DecodeInput {
public:
  DecodeInput(BlockBuilder &b, Format format, int64_t inputs) : b(b), format(format) {
    Value row = b.argument(1), index = b.shiftRight(row, 4);
    panel = b.at(b.argument(0), index, tile::panelBytes(format, inputs));
    lane = b.bitAnd(row, 15);
  }
  Value at(Value input) { return llm::isQuantised(format) ? quantised(tile::packedBlock(format), input) : panelNumber(b, format, panel, input, lane); }

private:
  Value quantised(const tile::PackedBlock &layout, Value input);
  Value code(const tile::PackedBlock &layout, Value quants, Value quad, Value byte);
  Value half(Value pointer) {
    Value bits = arith::BitcastOp::create(b, b.getF16Type(), b.load(b.getI16Type(), b.at(pointer, lane, 2), 2));
    return arith::ExtFOp::create(b, b.getF32Type(), bits);
  }
  Value ofBf16(Value pointer) {
    return b.bitcast(b.shiftLeft(b.extendUnsigned(b.load(b.getI16Type(), pointer, 2), b.getI32Type()), 16), b.getF32Type());
  }
  Value word(Value a) { return b.truncate(a, b.getI32Type()); }

  BlockBuilder &b;
  const Format format;
  Value panel, lane;
};

// i32: the quant of a quad's input `byte`, less the zero point or as the code book has it.
Value DecodeInput::code(const tile::PackedBlock &layout, Value quants, Value quad, Value byte) {
  Type i32 = b.getI32Type();
  auto byteOf = [&](Value chunk) { return b.load(b.getI8Type(), b.at(b.at(b.at(quants, chunk, tile::kQuadBytes), lane, 4), byte, 1), 1); };
  if (layout.bytes)
    return b.extendSigned(byteOf(quad), i32);
  bool nibbles = layout.lowBits == 4;
  Value chunk = nibbles ? b.bitAnd(quad, 3) : b.shiftRight(quad, 2), shift = nibbles ? b.mul(b.shiftRight(quad, 2), b.constant(4)) : b.mul(b.bitAnd(quad, 3), b.constant(2));
  Value code = b.bitAnd(arith::ShRUIOp::create(b, b.extendUnsigned(byteOf(chunk), i32), word(shift)), nibbles ? 15 : 3);
  if (layout.codeBook) {
    Value one = b.broadcast(code, b.words(1));
    return vector::ExtractOp::create(b, lookUp(b, *layout.codeBook, 0, one), 0);
  }
  if (int64_t bits = layout.upperBits) {
    Value upperChunk = b.add(bits == 1 ? b.constant(0) : b.shiftRight(quad, 2), b.constant(layout.lowBits));
    Value from = bits == 1 ? quad : b.mul(b.bitAnd(quad, 3), b.constant(2));
    Value upper = b.bitAnd(arith::ShRUIOp::create(b, b.extendUnsigned(byteOf(upperChunk), i32), word(from)), (1 << bits) - 1);
    code = b.bitOr(code, b.shiftLeft(upper, layout.lowBits));
  }
  return b.sub(code, b.constant(i32, layout.zero));
}

Value DecodeInput::quantised(const tile::PackedBlock &layout, Value input) {
  int64_t blockBits = llvm::Log2_64(uint64_t(layout.inputs)), groupBits = llvm::Log2_64(uint64_t(layout.group));
  Value block = b.at(panel, b.shiftRight(input, blockBits), layout.blockBytes()), ofBlock = b.bitAnd(input, layout.inputs - 1);
  Value quants = b.at(block, b.shiftRight(ofBlock, 5), layout.quantBytes(), layout.quantsOffset);
  Value number = b.toFloat(code(layout, quants, b.bitAnd(b.shiftRight(ofBlock, 2), 7), b.bitAnd(ofBlock, 3)));
  Value scale = layout.bf16Scales ? ofBf16(b.at(block, lane, 2)) : half(block), minimum = layout.minima ? half(b.at(block, 32)) : Value();
  if (layout.superBlock) {
    Value group = b.shiftRight(ofBlock, groupBits);
    auto codes = [&](int64_t offset, bool isSigned) {
      Value code = b.load(b.getI8Type(), b.at(b.at(block, group, 16, offset), lane, 1), 1);
      return isSigned ? b.extendSigned(code, b.getI32Type()) : b.extendUnsigned(code, b.getI32Type());
    };
    Value code = codes(layout.scalesOffset, layout.signedScales);
    Value ofMinimum = layout.nibbleScales ? b.shiftRight(code, 4) : layout.minima ? codes(layout.minimaOffset, false) : Value();
    scale = b.mul(scale, b.toFloat(layout.nibbleScales ? b.bitAnd(code, 15) : code));
    minimum = minimum ? b.mul(minimum, b.toFloat(ofMinimum)) : minimum;
  }
  Value value = b.mul(number, scale);
  return minimum ? b.sub(value, minimum) : value;
}

// out: (inputs)
void emitBlockDecodeRow(BlockBuilder &b, tile::DecodeRowAttr kernel) {
  DecodeInput decode(b, kernel.getFormat(), kernel.getInputs());
  b.eachChannel(kernel.getInputs(), [&](Value input) { return decode.at(input); },
                [&](Value input, Value value) { storeFloat(b, value, b.argument(2), input); });
}

} // namespace

void normaliseByWarp(BlockBuilder &b, int64_t count, llm::NormAttr norm, Value x, Value gain, Value out) {
  Normaliser(b, count, count, /*byWarp=*/true, norm, x, gain, {}, out).normaliseGroup(b.constant(0));
  b.warpBarrier();
}

void rotateByWarp(BlockBuilder &b, llm::RotaryAttr rotary, Value x, Value table, Value out) {
  b.eachLane(b.constant(rotary.getDim() / 2), 1, [&](Value pair) { turnPair(b, rotary, pair, x, table, out); });
  b.warpBarrier();
}

ArrayRef<BlockKind> blockRowKinds() {
  static const BlockKind kinds[] = {
      blockKind<tile::NormAttr, emitBlockNorm>(),           blockKind<tile::UnitNormAttr, emitBlockUnitNorm>(),
      blockKind<tile::PointwiseKernelAttr, emitBlockPointwise>(), blockKind<tile::CombineAttr, emitBlockCombine>(),
      blockKind<tile::RopeTableAttr, emitBlockRopeTable>(), blockKind<tile::RopeAttr, emitBlockRope>(),
      blockKind<tile::QuantizeAttr, emitBlockQuantize>(),   blockKind<tile::DecodeRowAttr, emitBlockDecodeRow>(),
  };
  return kinds;
}

} // namespace llmc::kernels
