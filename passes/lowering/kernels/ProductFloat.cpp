// Products in float32: weights are decoded exactly, and out[n] is one chain of fma over inputs in ascending order from 0,
// whatever the number of rows.
#include "passes/lowering/kernels/Emitters.h"
#include "passes/lowering/kernels/PackedReader.h"

using namespace mlir;
using llmc::llm::Format;

namespace llmc::kernels {
namespace {

// Inputs whose decoded weights lie in scratch while all rows pass: 16 KB.
constexpr int64_t kBlockInputs = 256;
// As in ProductInt8.cpp.
constexpr int64_t kPrefetchBytes = 2048;

class FloatProduct {
public:
  FloatProduct(KernelBuilder &b, tile::ProductAttr product)
      : b(b), format(product.getFormat()), inputs(product.getInputs()), single(product.getSingle()), panel(b.argument(0)),
        x(b.argument(1)), tokens(b.argument(2)), out(b.argument(3)), scratch(b.argument(4)) {}

  void emit() { single ? emitSingle() : emitMany(); }

private:
  // Called with each decoded input in ascending order: its number, counted from `first`, and its weights f32 [16].
  using Consumer = llvm::function_ref<void(int64_t offset, Value weights)>;

  void emitSingle();
  void emitMany();
  Value singleFloats(Value sum);
  Value singleQuantised(Value sum);
  int64_t inputsPerStep() const { return format == Format::bf16 ? 2 : 1; }
  void decodeFloats(Value input, int64_t count, Consumer consume);
  Value decodeBlock(Value first, Value count);
  void multiplyRows(Value weights, Value firstRow, Value endRow, int64_t rows, Value first, Value count);
  Value multiply(Value input, int64_t offset, Value weights, Value sum) {
    Value activation = b.loadBroadcast(b.floats(16), b.getF32Type(), b.at(x, input, 4, 4 * offset));
    return b.fma(activation, weights, sum);
  }

  KernelBuilder &b;
  const Format format;
  const int64_t inputs;
  const bool single;
  Value panel, x, tokens, out, scratch;
};

// Decodes `count` inputs of a float panel from `input` on (even for bf16).
void FloatProduct::decodeFloats(Value input, int64_t count, Consumer consume) {
  for (int64_t i = 0; i < count; ++i) {
    if (format == Format::f32) {
      consume(i, b.load(b.floats(16), b.at(panel, input, 64, 64 * i), 64));
    } else if (format == Format::f16) {
      consume(i, b.loadHalves(16, b.at(panel, input, 32, 32 * i)));
    } else { // a lane holds two inputs: the even one below
      Value pair = b.load(b.words(16), b.at(panel, input, 32, 32 * (i & ~int64_t(1))), 64);
      Value bits = i % 2 ? b.bitAnd(pair, 0xffff0000) : b.shiftLeft(pair, 16);
      consume(i, b.bitcast(bits, b.floats(16)));
    }
  }
}

Value FloatProduct::singleFloats(Value sum) {
  constexpr int64_t unroll = 8;
  int64_t whole = inputs / unroll * unroll;
  auto steps = [&](Value input, int64_t count, Value sum) {
    decodeFloats(input, count, [&](int64_t offset, Value weights) { sum = multiply(input, offset, weights, sum); });
    return sum;
  };
  if (whole)
    sum = b.loop(b.constant(0), b.constant(whole), unroll, sum,
                 [&](Value input, ValueRange sums) {
                   int64_t bytes = format == Format::f32 ? 64 : 32;
                   for (int64_t line = 0; line < unroll * bytes; line += 64)
                     b.prefetch(b.at(panel, input, bytes, kPrefetchBytes + line));
                   return Values{steps(input, unroll, sums[0])};
                 })[0];
  return steps(b.constant(whole), inputs - whole, sum);
}

Value FloatProduct::singleQuantised(Value sum) {
  PackedReader reader(b, format);
  const tile::PackedBlock &layout = reader.layout;
  Value zero = b.constant(0);
  auto blockBody = [&](Value block, ValueRange sums) {
    Value data = b.at(panel, block, layout.blockBytes());
    PackedReader::BlockScales blockScales = reader.blockScales(data);
    auto groupBody = [&](Value group, ValueRange sums) {
      Value sum = sums[0], quants = reader.quants(data, group);
      Value input = b.add(b.mul(block, b.constant(layout.inputs)), b.mul(group, b.constant(32)));
      PackedReader::GroupScales scales;
      for (int64_t quad = 0; quad < 8; ++quad) {
        if (quad * 4 % layout.group == 0) {
          Value index = b.add(b.mul(group, b.constant(32 / layout.group)), b.constant(quad * 4 / layout.group));
          scales = reader.groupScales(data, blockScales, index);
        }
        for (auto [i, weights] : llvm::enumerate(reader.decodeQuad(quants, quad, scales)))
          sum = multiply(input, quad * 4 + int64_t(i), weights, sum);
      }
      return Values{sum};
    };
    return b.loop(zero, b.constant(layout.inputs / 32), 1, sums, groupBody);
  };
  return b.loop(zero, b.constant(inputs / layout.inputs), 1, sum, blockBody)[0];
}

void FloatProduct::emitSingle() {
  Value sum = b.constant(b.floats(16), 0.0);
  b.store(llm::isQuantised(format) ? singleQuantised(sum) : singleFloats(sum), out, 4);
}

// Decodes `count` inputs from `first` on to scratch [count][16] and returns where they lie: for f32, in the panel itself.
Value FloatProduct::decodeBlock(Value first, Value count) {
  if (format == Format::f32)
    return b.at(panel, first, 64);
  if (!llm::isQuantised(format)) {
    int64_t step = inputsPerStep(); // an odd last input of bf16 is decoded with the zero beside it
    b.loop(b.constant(0), count, step, [&](Value input) {
      decodeFloats(b.add(first, input), step,
                   [&](int64_t offset, Value weights) { b.store(weights, b.at(scratch, input, 64, 64 * offset), 64); });
    });
    return scratch;
  }
  PackedReader reader(b, format);
  const tile::PackedBlock &layout = reader.layout;
  auto decodeGroup = [&](Value data, const PackedReader::BlockScales &blockScales, Value group, Value target) {
    Value quants = reader.quants(data, group);
    PackedReader::GroupScales scales;
    for (int64_t quad = 0; quad < 8; ++quad) {
      if (quad * 4 % layout.group == 0) {
        Value index = b.add(b.mul(group, b.constant(32 / layout.group)), b.constant(quad * 4 / layout.group));
        scales = reader.groupScales(data, blockScales, index);
      }
      for (auto [i, weights] : llvm::enumerate(reader.decodeQuad(quants, quad, scales)))
        b.store(weights, b.at(target, (quad * 4 + int64_t(i)) * 64), 64);
    }
  };
  b.loop(b.constant(0), count, layout.inputs, [&](Value input) {
    Value block = arith::DivUIOp::create(b, b.add(first, input), b.constant(layout.inputs));
    Value data = b.at(panel, block, layout.blockBytes()), target = b.at(scratch, input, 64);
    PackedReader::BlockScales blockScales = reader.blockScales(data);
    b.loop(b.constant(0), b.constant(layout.inputs / 32), 1,
           [&](Value group) { decodeGroup(data, blockScales, group, b.at(target, group, 32 * 64)); });
  });
  return scratch;
}

// Adds the products of `count` decoded inputs to `rows` rows at a time of [firstRow, endRow).
void FloatProduct::multiplyRows(Value weights, Value firstRow, Value endRow, int64_t rows, Value first, Value count) {
  b.loop(firstRow, endRow, rows, [&](Value row) {
    Value activations = b.at(b.at(x, row, inputs * 4), first, 4), result = b.at(out, row, 64);
    Values sums;
    for (int64_t r = 0; r < rows; ++r)
      sums.push_back(b.load(b.floats(16), b.at(result, 64 * r), 4));
    sums = b.loop(b.constant(0), count, 1, sums, [&](Value input, ValueRange sums) {
      Value column = b.load(b.floats(16), b.at(weights, input, 64), 64), activation = b.at(activations, input, 4);
      Values next;
      for (int64_t r = 0; r < rows; ++r) {
        Value broadcast = b.loadBroadcast(b.floats(16), b.getF32Type(), b.at(activation, r * inputs * 4));
        next.push_back(b.fma(broadcast, column, sums[r]));
      }
      return next;
    });
    for (int64_t r = 0; r < rows; ++r)
      b.store(sums[r], b.at(result, 64 * r), 4);
  });
}

void FloatProduct::emitMany() {
  // 16 lanes are 1, 2 or 4 registers; one set per row, one for weights, one register for activations.
  int64_t rows = b.target.getVectorBits() >= 512 ? 12 : b.target.getVectorBits() >= 256 ? 6 : 2;
  Value zero = b.constant(0);
  b.loop(zero, tokens, 1, [&](Value row) { b.store(b.constant(b.floats(16), 0.0), b.at(out, row, 64), 4); });
  b.loop(zero, b.constant(inputs), kBlockInputs, [&](Value first) {
    Value count = b.minimum(b.constant(kBlockInputs), b.sub(b.constant(inputs), first));
    Value weights = decodeBlock(first, count), blocked = b.multipleBelow(tokens, rows);
    multiplyRows(weights, zero, blocked, rows, first, count);
    multiplyRows(weights, blocked, tokens, 1, first, count);
  });
}

} // namespace

void emitFloatProduct(KernelBuilder &b, tile::ProductAttr product) { FloatProduct(b, product).emit(); }

int64_t floatProductScratchBytes(tile::ProductAttr product) {
  return product.getFormat() == Format::f32 ? 0 : kBlockInputs * 64;
}

} // namespace llmc::kernels
