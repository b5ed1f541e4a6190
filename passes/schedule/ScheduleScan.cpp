// The ops of LLMScanOps.td.
#include "dialects/llm/Shapes.h"
#include "passes/lowering/kernels/Kernels.h"
#include "passes/schedule/StepBuilder.h"

#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace llmc;
using namespace llmc::llm;
using namespace llmc::schedule;

bool StepBuilder::visitScan(Operation &op) {
  auto kernel = [&](tile::Pointwise kind, int64_t group = 1) {
    return tile::PointwiseKernelAttr::get(b.getContext(), kind, channels(op.getResult(0)), 0.0, {}, group);
  };
  return TypeSwitch<Operation *, bool>(&op)
      .Case([&](ColumnsOp op) { return columns(op), true; })
      .Case([&](ConcatOp op) { return concat(op), true; })
      .Case([&](UnitNormOp op) { return unitNorm(op), true; })
      .Case([&](CausalConvOp op) { return causalConv(op), true; })
      .Case([&](ShiftOp op) { return shift(op), true; })
      .Case([&](ScanOp op) { return scan(op), true; })
      .Case([&](AddBiasOp op) { return pointwise(op, kernel(tile::Pointwise::add)), true; })
      .Case([&](MixOp op) { return pointwise(op, kernel(tile::Pointwise::mix)), true; })
      .Case([&](MulOp op) {
        return pointwise(op, kernel(tile::Pointwise::mul, channels(op.getX()) / channels(op.getFactor()))), true;
      })
      .Case([&](ScaleChannelsOp op) {
        return pointwise(op, kernel(tile::Pointwise::mul, channels(op.getX()) / channels(op.getWeight()))), true;
      })
      .Default(false);
}

// A view: its rows are parts of the rows of `x`.
void StepBuilder::columns(ColumnsOp op) {
  Stored view = stored(op.getX());
  view.channels = channels(op.getY());
  view.offset += op.getBegin() * 4;
  view.owned = false;
  storage[op.getY()] = view;
}

// Each part is copied to its place.
void StepBuilder::concat(ConcatOp op) {
  Stored to = destination(op.getY(), stored(op.getParts()[0]).rows, "concat");
  for (Value part : op.getParts()) {
    Stored from = stored(part);
    to.channels = from.channels;
    copyRows(from, to);
    to.offset += from.channels * 4;
  }
}

void StepBuilder::unitNorm(UnitNormOp op) {
  Stored x = stored(op.getX()), to = destination(op.getY(), x.rows, "norm");
  auto kernel = tile::UnitNormAttr::get(b.getContext(), x.channels, op.getGroup(), op.getEps().convertToDouble());
  rowOp(x.rows, [&](Value row) { call("unit_norm", kernel, {rowPointer(x, row), rowPointer(to, row)}); });
}

//===----------------------------------------------------------------------===//
// Recurrences: the tiles of a loop are channels; each goes through all tokens of the step
//===----------------------------------------------------------------------===//

static int64_t panelsIn(int64_t channels) { return (channels + tile::kPanelOutputs - 1) / tile::kPanelOutputs; }

// With one token a panel is little work: enough of them that claiming a tile costs nothing beside, and enough tiles for some workers. On a
// device a block has a panel with many states, and a channel for each lane of a warp where there are few.
int64_t StepBuilder::panelsOfTile(int64_t panels, bool hasStates) const {
  constexpr int64_t kPanelsOfWarp = 2;
  if (machine().isDevice())
    return hasStates ? 1 : kPanelsOfWarp;
  return maxTokens > 1 ? 1 : std::clamp<int64_t>(panels / 16, 1, 8);
}

void StepBuilder::recurrence(StatefulOpInterface op, StringRef name, Attribute kernel, int64_t tiles, ValueRange operands,
                             const Stored &y, int64_t scratchBytes, ValueRange more) {
  auto state = module.lookupSymbol<StateOp>(op.getStateSymbol());
  closeRows();
  Value index = state.getLayers() ? lookup(layerTable(*state.getLayers()), layerIndex) : layerIndex;
  SmallVector<Value> fixed{rowCount(Rows::Tokens), field("positions"), field("slots")}, places;
  for (int64_t slot : {0, 1})
    places.push_back(tile::StateOp::create(b, loc, pointerType(), step, state.getSymNameAttr(), index, i64(slot)));
  streams(tiles, [&](Value tile) {
    SmallVector<Value> all{tile};
    llvm::append_range(all, fixed);
    llvm::append_range(all, operands);
    llvm::append_range(all, places);
    all.push_back(y.pointer);
    if (scratchBytes >= 0)
      all.push_back(scratch(std::max<int64_t>(scratchBytes, tile::kAlignment)));
    llvm::append_range(all, more);
    call(name, kernel, all);
  });
}

static Format formatOf(LoadedWeight weight) { return weight.weight.formatOf(0); }

void StepBuilder::causalConv(CausalConvOp op) {
  Stored x = stored(op.getX()), y = destination(op.getY(), Rows::Tokens, "conv");
  LoadedWeight weight = loaded(op.getWeight());
  int64_t panels = panelsIn(x.channels), perTile = panelsOfTile(panels);
  auto activation = op.getActivation() ? ActivationAttr::get(b.getContext(), *op.getActivation()) : ActivationAttr();
  auto kernel = tile::ConvAttr::get(b.getContext(), x.channels, channels(op.getWeight()), formatOf(weight), static_cast<bool>(op.getBias()),
                                    x.rowBytes, perTile, activation);
  SmallVector<Value> operands{rowPointer(x, i64(0)), weight.pointer};
  if (op.getBias())
    operands.push_back(vectorWeight(op.getBias()));
  recurrence(op, "conv", kernel, (panels + perTile - 1) / perTile, operands, y, -1);
}

void StepBuilder::shift(ShiftOp op) {
  Stored x = stored(op.getX()), y = destination(op.getY(), Rows::Tokens, "shift");
  int64_t panels = panelsIn(x.channels), perTile = panelsOfTile(panels);
  auto kernel = tile::ShiftAttr::get(b.getContext(), x.channels, x.rowBytes, perTile);
  recurrence(op, "shift", kernel, (panels + perTile - 1) / perTile, {rowPointer(x, i64(0))}, y, -1);
}

namespace {
struct HeadShape {
  int64_t heads, width, states;
};
} // namespace

static HeadShape headShape(ScanOp op) {
  SmallVector<int64_t> shape = op.getStateShape();
  switch (op.getKind()) {
  case ScanKind::diagonal:
    return {1, shape[0], shape[1]};
  case ScanKind::scalar:
    return {shape[0], shape[1], shape[2]};
  case ScanKind::delta:
    return {shape[0], shape[2], shape[1]};
  case ScanKind::gated:
  case ScanKind::wkv:
    return {1, shape.back(), 1};
  }
  llvm_unreachable("every kind is listed");
}

void StepBuilder::scan(ScanOp op) {
  Stored x = stored(op.getX()), y = destination(op.getY(), Rows::Tokens, "scan");
  HeadShape shape = headShape(op);
  LoadedWeight a = loaded(op.getA());
  SmallVector<Value> operands{rowPointer(x, i64(0)), a.pointer};
  auto take = [&](Value value) -> int64_t { // row bytes; 0: not there
    if (!value)
      return 0;
    operands.push_back(rowPointer(stored(value), i64(0)));
    return stored(value).rowBytes;
  };
  int64_t stepBytes = take(op.getStep()), inputBytes = take(op.getInput()), outputBytes = take(op.getOutput()), betaBytes = take(op.getBeta());
  if (op.getSkip())
    operands.push_back(vectorWeight(op.getSkip()));
  bool grouped = op.getKind() == ScanKind::scalar || op.getKind() == ScanKind::delta;
  int64_t groups = grouped ? channels(op.getInput()) / shape.states : 1;
  int64_t panels = shape.heads * panelsIn(shape.width), perTile = panelsOfTile(panels, shape.states > 1);
  auto kernel = tile::ScanAttr::get(b.getContext(), op.getKind(), op.getForm(), op.getKind() == ScanKind::diagonal ? formatOf(a) : Format::f32,
                                    shape.heads, shape.width, shape.states, groups, x.rowBytes, stepBytes, inputBytes, outputBytes, betaBytes,
                                    static_cast<bool>(op.getSkip()), perTile, op.getStepLimitAttr());
  // Exact mode sums in one order whatever the step's size. The blocks of a device have the states in registers: without matrices the products
  // of chunks are as many multiply-adds.
  bool byChunks = !exact && !machine().isDevice() && op.getKind() == ScanKind::scalar && op.getChunk() && shape.width % tile::kPanelOutputs == 0;
  if (byChunks && maxTokens >= static_cast<int64_t>(op.getChunk()))
    return chunkScan(op, kernel, operands, y);
  recurrence(op, "scan", kernel, (panels + perTile - 1) / perTile, operands, y, kernels::scanScratchBytes(kernel, maxTokens));
}

// Where weights are quantised, what goes into products is rounded too (docs/architecture/numerics.md).
static bool hasQuantised(ModuleOp module) {
  return llvm::any_of(module.getOps<WeightOp>(), [](WeightOp weight) { return isa<QuantType>(weight.getWeights().getElement()); });
}

// First what no head has to itself, chunk by chunk; then the heads.
void StepBuilder::chunkScan(ScanOp op, tile::ScanAttr kernel, ValueRange operands, const Stored &y) {
  int64_t chunk = op.getChunk(), groups = kernel.getGroups(), states = kernel.getStates(), tiles = (maxTokens + chunk - 1) / chunk;
  bool bf16 = hasQuantised(module) && bf16VectorsPay();
  Stored scores = bytesBuffer(groups * chunk, groups * chunk * 4, Rows::Tokens, "scores");
  Stored inputs = bytesBuffer(groups * states, groups * states * 4, Rows::Tokens, "inputs");
  Stored outputs = bytesBuffer(groups * states, groups * states * 4, Rows::Tokens, "outputs");
  closeRows();
  auto scoring = tile::ChunkScoresAttr::get(b.getContext(), groups, states, chunk, kernel.getInputBytes(), kernel.getOutputBytes(), tiles, bf16);
  SmallVector<Value> fixed{rowCount(Rows::Tokens), field("positions"), field("slots")};
  parallel(i64(tiles), [&](Value tile) {
    SmallVector<Value> all{tile};
    llvm::append_range(all, fixed);
    all.append({rowPointer(stored(op.getInput()), i64(0)), rowPointer(stored(op.getOutput()), i64(0)), scores.pointer, inputs.pointer,
                outputs.pointer, scratch(kernels::chunkScratchBytes(scoring))});
    call("chunk_scores", scoring, all);
  });
  auto scan = tile::ChunkScanAttr::get(b.getContext(), kernel, chunk, bf16);
  recurrence(op, "chunk_scan", scan, kernel.getHeads(), operands, y, kernels::chunkScratchBytes(scan, maxTokens),
             {scores.pointer, inputs.pointer, outputs.pointer});
}
