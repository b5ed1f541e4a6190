// Products and their epilogues, by a block.
//
// A row: the block's warps share out the pieces of a panel (BlockPanels.h); lanes with the same outputs add their sums by exchanges, warps
// through shared memory in ascending order, and the first warp finishes the 16 outputs. Several rows in float32 take turns at a panel, which
// stays in the caches: each has the bits that it would have alone. Several rows in bf16 or int8 go by matrices: BlockTileLinear.cpp.
#include "passes/lowering/kernels/LinearOperands.h"
#include "passes/lowering/kernels/block/BlockKernels.h"
#include "passes/lowering/kernels/block/BlockPanels.h"
#include "passes/lowering/kernels/block/BlockTileLinear.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

#include <limits>

using namespace mlir;

namespace llmc::kernels {
namespace {

constexpr int64_t kPanelBytes = tile::kPanelOutputs * 4; // of results
// Pieces that a lane has under way: a card wants some 20 KB for each multiprocessor. While one round of them is multiplied the next is on its
// way, and both must fit in registers.
constexpr int64_t kMostPieces = 8, kMostWords = 48;

class LaneLinear : LinearOperands {
public:
  LaneLinear(BlockBuilder &b, tile::LinearAttr kernel) : LinearOperands(b, kernel), b(b), lane(b.bitAnd(b.lane(), 15)) {
    shared = b.shared(b.warps() * kPanelBytes * (kernel.getGlu() ? 2 : 1));
  }

  void emit() {
    ofWeight([&](unsigned weight, Value tile) { panels(weight, tile); });
  }

private:
  void panels(unsigned weight, Value tile);
  void rowsOf(unsigned weight, Value panel);
  void panel(unsigned weight, Value panel);
  void product(llm::Format format, unsigned weight, Value panel, Value out);
  Values sums(LaneProduct &lanes);
  void share(LaneProduct &lanes, Values sums, Value out);
  void finish(Value value, unsigned weight, Value panel);

  // What the epilogue reads is asked for before the weights: it comes while they are multiplied.
  struct Early {
    Value bias, otherBias, residual;
  };
  Early early(unsigned weight, Value panel);
  Value total(int64_t product, Value bias);
  Value rowAt(Value matrix, int64_t rowBytes) { return b.at(b.global(matrix), row, rowBytes); }
  Value outputOf(Value panel) { return b.add(b.mul(panel, b.constant(tile::kPanelOutputs)), lane); }

  BlockBuilder &b;
  Value lane; // which output: the second half of the warp does the same again
  Value shared;
  Value row = b.constant(0);
};

void LaneLinear::panels(unsigned weight, Value tile) {
  Value first = b.mul(tile, b.constant(kernel.getPanels()));
  Value end = b.minimum(b.add(first, b.constant(kernel.getPanels())), b.constant(tile::panelCount(outputs(weight))));
  if (kernel.getPanels() == 1)
    return rowsOf(weight, first);
  b.loop(first, end, 1, [&](Value index) {
    rowsOf(weight, index);
    b.barrier(); // the next writes to the same shared memory
  });
}

void LaneLinear::rowsOf(unsigned weight, Value index) {
  if (kernel.getSingle())
    return panel(weight, index);
  b.loop(b.constant(0), tokens, 1, [&](Value ofStep) {
    row = ofStep;
    panel(weight, index);
    b.barrier();
  });
}

void LaneLinear::panel(unsigned weight, Value panel) {
  Early loaded = early(weight, panel);
  for (unsigned i = 0; i < (kernel.getGlu() ? 2u : 1u); ++i) {
    unsigned factor = kernel.getGlu() ? i : weight;
    anyFormat(factor, [&](llm::Format format) { product(format, factor, panel, b.at(shared, i * b.warps() * kPanelBytes)); });
  }
  b.barrier();
  b.onlyIf(b.compare(arith::CmpIPredicate::slt, b.thread(), b.constant(kWarp)), [&] {
    Value value = activated(total(0, loaded.bias), [&] { return total(1, loaded.otherBias); });
    if (residual)
      value = b.add(value, loaded.residual);
    finish(limited(value), weight, panel);
  });
}

LaneLinear::Early LaneLinear::early(unsigned weight, Value panel) {
  Early result;
  auto biasOf = [&](unsigned weight) { return b.load(b.getF32Type(), b.at(b.at(b.global(biases[weight]), panel, kPanelBytes), lane, 4), 4); };
  if (!biases.empty())
    result.bias = biasOf(weight);
  if (!biases.empty() && kernel.getGlu())
    result.otherBias = biasOf(1);
  if (residual) {
    Value output = b.minimum(outputOf(panel), b.constant(outputs(weight) - 1));
    result.residual = b.load(b.getF32Type(), b.at(rowAt(residual, outputs(weight) * 4), output, 4), 4);
  }
  return result;
}

void LaneLinear::product(llm::Format format, unsigned weight, Value panel, Value out) {
  Value address = b.at(weights[weight], panel, tile::panelBytes(format, inputs()));
  auto lanes = laneProduct(b, format, kernel.getArithmetic(), inputs(), address, b.at(x, row, inputRowBytes(kernel.getArithmetic(), inputs())));
  share(*lanes, sums(*lanes), out);
}

// Of a lane's outputs, over the pieces of its warp: warp, warp + warps, …
Values LaneLinear::sums(LaneProduct &lanes) {
  int64_t ofWarp = (lanes.pieces + b.warps() - 1) / b.warps(), most = std::min(kMostPieces, kMostWords / lanes.words);
  int64_t rounds = (ofWarp + most - 1) / most, count = (ofWarp + rounds - 1) / rounds;
  bool mayEnd = lanes.ragged || lanes.pieces != rounds * count * b.warps();
  auto load = [&](Value round) {
    Value first = b.add(b.warp(), b.mul(round, b.constant(count * b.warps())));
    Values loaded;
    for (int64_t i = 0; i < count; ++i)
      llvm::append_range(loaded, lanes.load(first, i * b.warps(), mayEnd));
    b.barrier(); // loads stay before it: ptxas would have each just before its use, to save registers
    return loaded;
  };
  auto multiply = [&](ValueRange loaded, ValueRange sums) {
    Values result(sums.begin(), sums.end());
    size_t words = loaded.size() / size_t(count);
    for (size_t i = 0; i < size_t(count); ++i)
      result = lanes.multiply(loaded.slice(i * words, words), result);
    return result;
  };
  Values carried(size_t(lanes.outputs), b.constant(b.getF32Type(), 0.0));
  llvm::append_range(carried, load(b.constant(0)));
  auto split = [&](ValueRange carried) { return std::pair(carried.drop_front(size_t(lanes.outputs)), carried.take_front(size_t(lanes.outputs))); };
  if (rounds > 1)
    carried = b.rolledLoop(b.constant(1), b.constant(rounds), 1, carried, [&](Value round, ValueRange carried) {
      Values next = load(round);
      auto [loaded, sums] = split(carried);
      Values result = multiply(loaded, sums);
      llvm::append_range(result, next);
      return result;
    });
  auto [loaded, sums] = split(carried);
  return multiply(loaded, sums);
}

// Adds the lanes that have the same outputs; the first of them leave the warp's sums in shared memory.
void LaneLinear::share(LaneProduct &lanes, Values sums, Value out) {
  int64_t lanesOfPanel = tile::kPanelOutputs / lanes.outputs;
  for (Value &sum : sums)
    for (int64_t mask = lanesOfPanel; mask < kWarp; mask *= 2)
      sum = b.add(sum, b.shuffleXor(sum, mask));
  b.onlyIf(b.compare(arith::CmpIPredicate::slt, b.lane(), b.constant(lanesOfPanel)), [&] {
    Value to = b.at(b.at(out, b.warp(), kPanelBytes), b.lane(), 4 * lanes.outputs);
    for (size_t i = 0; i < sums.size(); i += 4) {
      Value four = vector::FromElementsOp::create(b, b.floats(4), ArrayRef<Value>(sums).slice(i, 4));
      b.store(four, b.at(to, int64_t(i) * 4), 16);
    }
  });
}

Value LaneLinear::total(int64_t product, Value bias) {
  Value from = b.at(b.at(shared, product * b.warps() * kPanelBytes), lane, 4), sum;
  for (int64_t warp = 0; warp < b.warps(); ++warp) {
    Value part = b.load(b.getF32Type(), b.at(from, warp * kPanelBytes), 4);
    sum = sum ? b.add(sum, part) : part;
  }
  return bias ? b.add(sum, bias) : sum;
}

void LaneLinear::finish(Value value, unsigned weight, Value panel) {
  Value output = outputOf(panel), exists = b.compare(arith::CmpIPredicate::slt, output, b.constant(outputs(weight)));
  Value isFirst = b.compare(arith::CmpIPredicate::slt, b.lane(), b.constant(tile::kPanelOutputs));
  switch (kernel.getResults()) {
  case tile::Results::rows:
    return b.onlyIf(arith::AndIOp::create(b, exists, isFirst), [&] { b.store(value, b.at(rowAt(results[weight], outputs(weight) * 4), output, 4), 4); });
  case tile::Results::keys: {
    Value key = b.maximumOfWarp(b.select(exists, keysOf(value), b.constant(b.getI32Type(), tile::kGoneKey)));
    return b.onThread(0, [&] { b.store(key, b.at(rowAt(results[0], tile::keyRowBytes(outputs(0))), panel, 4), 4); });
  }
  case tile::Results::panel:
    value = b.select(exists, value, b.constant(b.getF32Type(), -std::numeric_limits<double>::infinity()));
    return b.onlyIf(isFirst, [&] { b.store(value, b.at(rowAt(results[0], kPanelBytes), lane, 4), 4); });
  }
}

bool usesMatrices(tile::LinearAttr kernel) { return !kernel.getSingle() && kernel.getArithmetic() != tile::Arithmetic::f32; }

bool takesFormat(tile::LinearAttr kernel, llm::Format format, int64_t threads) {
  if (!usesMatrices(kernel))
    return hasLaneProduct(format, kernel.getArithmetic(), threads);
  bool isHalf = format == llm::Format::bf16 || format == llm::Format::f16;
  return kernel.getArithmetic() == tile::Arithmetic::bf16 ? isHalf : llm::isQuantised(format);
}

bool takesLinear(Attribute attribute, tile::TargetAttr target) {
  auto kernel = cast<tile::LinearAttr>(attribute);
  for (size_t weight = 0; weight < kernel.getWeights().size(); ++weight)
    for (llm::Format format : formatsOf(weightType(kernel, weight)))
      if (!takesFormat(kernel, format, target.getThreads()))
        return false;
  return true;
}

void emitBlockLinear(BlockBuilder &b, tile::LinearAttr kernel) {
  if (usesMatrices(kernel))
    return emitTileLinear(b, kernel);
  LaneLinear(b, kernel).emit();
}

} // namespace

ArrayRef<BlockKind> blockLinearKinds() {
  static const BlockKind kinds[] = {blockKind<tile::LinearAttr, emitBlockLinear>(takesLinear)};
  return kinds;
}

} // namespace llmc::kernels
