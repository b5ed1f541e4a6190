// Products of float panels and bf16 rows: one instruction multiplies two pairs and adds both products to a float32 sum.
//
//   out[n] = the chain of dpbf16(x[2p], x[2p + 1]; w[2p], w[2p + 1]) over pairs p in ascending order from 0
//
// One row and many rows run the same chain. f16 weights are rounded to bf16 on the way, to nearest even: for many rows once, into scratch.
#include "passes/lowering/kernels/Emitters.h"

using namespace mlir;
using llmc::llm::Format;

namespace llmc::kernels {
namespace {

// Pairs of inputs whose weights, with the rows of one round, stay in L1 while all rows pass: 16 KB.
constexpr int64_t kBlockPairs = 256;
constexpr int64_t kLinePairs = 16; // of a row, in one cache line
constexpr int64_t kPairBytes = 64; // of the 16 outputs of a panel, bf16 and f16 alike
// A round's sums fill most of the 32 registers, so that one load of weights serves many rows. Of what is left 16 go together where there
// are more than 8: eight sums are too few to hide the latency of their instruction.
constexpr int64_t kRows = 24, kMostLastRows = 16, kLastRows = 8;
constexpr int64_t kResultBytes = tile::kPanelOutputs * 4; // of a row
// How far ahead of their use weights that are streamed are asked for: as in ProductInt8.cpp.
constexpr int64_t kPrefetchBytes = 4096;

class Bf16Product {
public:
  Bf16Product(KernelBuilder &b, tile::ProductAttr product)
      : b(b), format(product.getFormat()), pairs((product.getInputs() + 1) / 2), rowBytes(tile::bf16RowBytes(product.getInputs())),
        single(product.getSingle()), panel(b.argument(0)), x(b.argument(1)), tokens(b.argument(2)), out(b.argument(3)),
        scratch(b.argument(4)) {}

  void emit() { single ? emitSingle() : emitMany(); }

private:
  void emitSingle();
  void emitMany();
  Value loadWeights(Value pair, int64_t offset);
  Value blockWeights(Value first, Value count);
  void prefetchWeights(Value pair, int64_t count);
  void multiplyRows(Value firstRow, int64_t rowCount, bool last, Value weights, Value first, Value count);
  Values multiplyPairs(ArrayRef<Value> rows, Value weights, Value from, Value to, ValueRange sums);

  // A pair of a row in every lane.
  Value loadPair(Value pointer) { return b.loadBroadcast(b.words(16), b.getI32Type(), pointer); }
  Value dot(Value sum, Value weights, Value activations) {
    auto lanes = VectorType::get(32, b.getBF16Type());
    return b.intrinsic("llvm.x86.avx512bf16.dpbf16ps.512", sum.getType(), {sum, b.bitcast(weights, lanes), b.bitcast(activations, lanes)});
  }
  SmallVector<Value> pointersTo(Value base, Value firstRow, int64_t rows, int64_t stride, bool clamp);

  KernelBuilder &b;
  const Format format;
  const int64_t pairs, rowBytes;
  const bool single;
  Value panel, x, tokens, out, scratch;
};

// Weights of pair `pair` + `offset` of the panel as bf16, [16][2].
Value Bf16Product::loadWeights(Value pair, int64_t offset) {
  Value address = b.at(panel, pair, kPairBytes, offset * kPairBytes);
  if (format == Format::bf16)
    return b.load(b.words(16), address, 64);
  auto floats = [&](int64_t input) { return b.loadHalves(16, b.at(address, input * kPairBytes / 2)); };
  auto lanes = VectorType::get(32, b.getBF16Type());
  Value rounded = b.intrinsic("llvm.x86.avx512bf16.cvtne2ps2bf16.512", lanes, {floats(1), floats(0)});
  SmallVector<int64_t> interleaved;
  for (int64_t n = 0; n < tile::kPanelOutputs; ++n)
    interleaved.append({n, n + tile::kPanelOutputs});
  return b.bitcast(b.shuffle(rounded, rounded, interleaved), b.words(16));
}

void Bf16Product::prefetchWeights(Value pair, int64_t count) {
  for (int64_t i = 0; i < count; ++i)
    b.prefetch(b.at(panel, pair, kPairBytes, kPrefetchBytes + i * kPairBytes));
}

void Bf16Product::emitSingle() {
  constexpr int64_t unroll = 4;
  int64_t whole = pairs / unroll * unroll;
  auto steps = [&](Value pair, int64_t count, Value sum) {
    for (int64_t i = 0; i < count; ++i)
      sum = dot(sum, loadWeights(pair, i), loadPair(b.at(x, pair, 4, 4 * i)));
    return sum;
  };
  Value sum = b.constant(b.floats(16), 0.0);
  if (whole)
    sum = b.loop(b.constant(0), b.constant(whole), unroll, sum, [&](Value pair, ValueRange sums) {
      prefetchWeights(pair, unroll);
      return Values{steps(pair, unroll, sums[0])};
    })[0];
  b.store(steps(b.constant(whole), pairs - whole, sum), out, 4);
}

// Where `count` pairs of weights from `first` on lie as bf16.
Value Bf16Product::blockWeights(Value first, Value count) {
  if (format == Format::bf16)
    return b.at(panel, first, kPairBytes);
  b.loop(b.constant(0), count, 1, [&](Value pair) {
    prefetchWeights(b.add(first, pair), 1);
    b.store(loadWeights(b.add(first, pair), 0), b.at(scratch, pair, kPairBytes), 64);
  });
  return scratch;
}

// Rows from `firstRow` on; `clamp`: those beyond the last are the last once more, which gives the same result in the same place.
SmallVector<Value> Bf16Product::pointersTo(Value base, Value firstRow, int64_t rows, int64_t stride, bool clamp) {
  SmallVector<Value> pointers;
  Value last = b.sub(tokens, b.constant(1)), start = b.at(base, firstRow, stride);
  for (int64_t r = 0; r < rows; ++r)
    pointers.push_back(clamp ? b.at(base, b.minimum(b.add(firstRow, b.constant(r)), last), stride) : b.at(start, r * stride));
  return pointers;
}

Values Bf16Product::multiplyPairs(ArrayRef<Value> rows, Value weights, Value from, Value to, ValueRange sums) {
  return b.rolledLoop(from, to, 1, sums, [&](Value pair, ValueRange sums) {
    Value column = b.load(b.words(16), b.at(weights, pair, kPairBytes), 64);
    Values next;
    for (auto [row, sum] : llvm::zip_equal(rows, sums))
      next.push_back(dot(sum, column, loadPair(b.at(row, pair, 4))));
    return next;
  });
}

// Adds the products of `count` pairs from `first` on to the sums of some rows. The first rows ask for the weights that come next, all but
// the last rows for the rows that do.
void Bf16Product::multiplyRows(Value firstRow, int64_t rowCount, bool last, Value weights, Value first, Value count) {
  SmallVector<Value> activations;
  for (Value row : pointersTo(x, firstRow, rowCount, rowBytes, /*clamp=*/last))
    activations.push_back(b.at(row, first, 4));
  SmallVector<Value> results = pointersTo(out, firstRow, rowCount, kResultBytes, /*clamp=*/last);
  Values sums;
  for (Value result : results)
    sums.push_back(b.load(b.floats(16), result, 4));
  Value streams = b.compare(arith::CmpIPredicate::eq, firstRow, b.constant(0));
  sums = b.rolledLoop(b.constant(0), count, kLinePairs, sums, [&](Value line, ValueRange sums) {
    if (format == Format::bf16) // others are asked for by blockWeights
      b.onlyIf(streams, [&] { prefetchWeights(b.add(first, line), kLinePairs); });
    for (Value row : last ? ArrayRef<Value>() : activations)
      b.prefetch(b.at(row, line, 4, rowCount * rowBytes));
    Value end = b.minimum(b.add(line, b.constant(kLinePairs)), count);
    return multiplyPairs(activations, weights, line, end, sums);
  });
  for (auto [sum, result] : llvm::zip_equal(sums, results))
    b.store(sum, result, 4);
}

void Bf16Product::emitMany() {
  Value zero = b.constant(0);
  b.loop(zero, tokens, 1, [&](Value row) { b.store(b.constant(b.floats(16), 0.0), b.at(out, row, kResultBytes), 4); });
  b.loop(zero, b.constant(pairs), kBlockPairs, [&](Value first) {
    Value count = b.minimum(b.constant(kBlockPairs), b.sub(b.constant(pairs), first));
    Value weights = blockWeights(first, count), blocked = b.multipleBelow(tokens, kRows);
    b.loop(zero, blocked, kRows, [&](Value row) { multiplyRows(row, kRows, /*last=*/false, weights, first, count); });
    Value most = b.add(b.sub(tokens, blocked), b.constant(kMostLastRows - kLastRows - 1)), end = b.add(blocked, b.multipleBelow(most, kMostLastRows));
    b.loop(blocked, end, kMostLastRows, [&](Value row) { multiplyRows(row, kMostLastRows, /*last=*/true, weights, first, count); });
    b.loop(end, tokens, kLastRows, [&](Value row) { multiplyRows(row, kLastRows, /*last=*/true, weights, first, count); });
  });
}

} // namespace

void emitBf16Product(KernelBuilder &b, tile::ProductAttr product) { Bf16Product(b, product).emit(); }

int64_t bf16ProductScratchBytes(tile::ProductAttr product) {
  return product.getFormat() == Format::bf16 ? 0 : kBlockPairs * kPairBytes;
}

} // namespace llmc::kernels
