// Products: which arithmetic, how the input is prepared, how outputs are cut into tiles.
#include "passes/lowering/kernels/Kernels.h"
#include "passes/schedule/Passes.h"
#include "passes/schedule/StepBuilder.h"

using namespace mlir;
using namespace llmc;
using namespace llmc::llm;
using namespace llmc::schedule;

// A tile should stream at least this many bytes of weights, so that claiming it costs nothing beside reading it, if a loop then still has
// a few tiles; and more, since the first bytes of a tile are waited for, if it still has enough for many workers.
constexpr int64_t kTileBytes = 48 << 10, kFewTiles = 8, kLongTileBytes = 256 << 10, kManyTiles = 32;
// Panels of a tile of many rows.
constexpr int64_t kPanelsOfRows = 4;
// And where they are multiplied by matrix tiles: they share the rows, which come from L3 once for all of them. Fewer where there would
// be too few tiles for the workers to share.
constexpr int64_t kPanelsOfTiles = 8, kFewestTiles = 10;
// On a GPU many rows are cut into blocks, and a tile has so many pairs of panels, one for each warp: fewer where there would be too few tiles
// for the multiprocessors of a card, some hundred.
constexpr int64_t kRowsOfBlock = 64, kMostPairs = 8, kFewestPairs = 2, kTilesOfCard = 128;

static SmallVector<Format> formatsOf(Type type) {
  return WeightsType::get(type.getContext(), 1, cast<RankedTensorType>(type).getShape(), cast<RankedTensorType>(type).getElementType())
      .getFormats();
}

static bool isHalf(Format format) { return format == Format::bf16 || format == Format::f16; }

static bool allFormats(ValueRange weights, bool (*holds)(Format)) {
  return llvm::all_of(weights, [&](Value weight) { return llvm::all_of(formatsOf(weight.getType()), holds); });
}

tile::TargetAttr StepBuilder::machine() const { return module->getAttrOfType<tile::TargetAttr>("tile.target"); }

// CPUs with tiles multiply pairs of bf16 in vectors at half the rate of float32 (111 against 236 GFLOP/s a thread), which rounds nothing. GPUs
// multiply matrices of bf16, and no vectors.
bool StepBuilder::bf16VectorsPay() const { return machine().getBf16() && !machine().hasTiles() && !machine().isDevice(); }

// Where a processor has no dot product of pairs of bf16, float32 is as fast and rounds nothing. Matrix tiles multiply bf16 faster than
// vectors multiply int8, but first weights must be unpacked: that pays for a version of the step that takes many tokens. The version
// alone decides, not how many tokens there are.
tile::Arithmetic StepBuilder::arithmeticFor(ValueRange weights) {
  if (exact)
    return tile::Arithmetic::f32;
  bool tiles = decisions.bf16Rows && machine().hasTiles() && maxTokens > kFewTokens;
  if (allFormats(weights, isQuantised))
    return tiles ? tile::Arithmetic::bf16 : decisions.int8Rows ? tile::Arithmetic::int8 : tile::Arithmetic::f32;
  return decisions.bf16Rows && machine().getBf16() && allFormats(weights, isHalf) ? tile::Arithmetic::bf16 : tile::Arithmetic::f32;
}

// The rows that the product reads: normalised if the op says so, rounded once for all products that read the same value.
Stored StepBuilder::linearInput(LinearOp op, tile::Arithmetic arithmetic) {
  Stored x = stored(op.getX());
  if (op.getNorm()) {
    Stored normed = buffer(x.channels, x.rows, "normed");
    norm(op.getX(), op.getNormGain(), op.getNormBias(), *op.getNorm(), normed);
    x = normed;
  }
  return productInput(x, arithmetic);
}

Stored StepBuilder::productInput(const Stored &x, tile::Arithmetic arithmetic) {
  if (arithmetic == tile::Arithmetic::f32)
    return dense(x, "dense");
  Stored rounded = bytesBuffer(x.channels, kernels::inputRowBytes(arithmetic, x.channels), x.rows, tile::stringifyArithmetic(arithmetic));
  rowOp(x.rows, [&](Value row) {
    call("quantize", tile::QuantizeAttr::get(b.getContext(), x.channels, arithmetic), {rowPointer(x, row), rowPointer(rounded, row)});
  });
  return rounded;
}

static int64_t panelsOfTiles(TypeRange weights, int64_t copies) {
  int64_t most = 0; // of one weight
  for (Type weight : weights)
    most = std::max(most, tile::panelCount(cast<RankedTensorType>(weight).getShape()[0]));
  return std::clamp<int64_t>(most * copies / kFewestTiles / 2 * 2, 2, kPanelsOfTiles);
}

// One row, or few, or rows of float32: a block of threads shares out one panel.
int64_t StepBuilder::panelsOnDevice(TypeRange weights, tile::Arithmetic arithmetic, bool glu, int64_t copies) const {
  if (maxTokens <= kFewTokens || arithmetic == tile::Arithmetic::f32)
    return 1;
  int64_t blocks = (maxTokens + kRowsOfBlock - 1) / kRowsOfBlock;
  auto tiles = [&](int64_t pairs) {
    int64_t count = 0;
    for (Type weight : glu ? TypeRange(weights.take_front(1)) : weights) {
      int64_t panels = tile::panelCount(cast<RankedTensorType>(weight).getShape()[0]), ofTile = glu ? pairs : 2 * pairs;
      count += (panels + ofTile - 1) / ofTile;
    }
    return count * blocks * copies;
  };
  int64_t pairs = kMostPairs;
  while (pairs > kFewestPairs && tiles(pairs) < kTilesOfCard)
    pairs /= 2;
  return glu ? pairs : 2 * pairs;
}

int64_t StepBuilder::panelsPerTile(TypeRange weights, tile::Arithmetic arithmetic, bool glu, int64_t copies) const {
  bool tiled = machine().hasTiles() && arithmetic == tile::Arithmetic::bf16;
  if (machine().isDevice())
    return panelsOnDevice(weights, arithmetic, glu, copies);
  if (maxTokens > 1) // the rows of a panel are work enough; a few panels take turns with rows that stay in L2
    return tiled ? panelsOfTiles(weights, copies) : decisions.panelTurns ? kPanelsOfRows : 1;
  if (!decisions.largeTiles)
    return tiled ? 2 : 1;
  int64_t smallest = INT64_MAX, panels = INT64_MAX;
  for (Type weight : weights) {
    ArrayRef<int64_t> shape = cast<RankedTensorType>(weight).getShape();
    for (Format format : formatsOf(weight))
      smallest = std::min(smallest, tile::panelBytes(format, shape[1]));
    panels = std::min(panels, tile::panelCount(shape[0]));
  }
  auto panelsOf = [&](int64_t bytes, int64_t tiles) {
    return std::clamp<int64_t>((bytes + smallest - 1) / smallest, 1, std::clamp<int64_t>(panels * copies / tiles, 1, panels));
  };
  int64_t count = std::max(panelsOf(kTileBytes, kFewTiles), panelsOf(kLongTileBytes, kManyTiles));
  return tiled ? tile::alignTo(count, 2) : count; // tiles take panels in pairs
}

int64_t llmc::schedule::tileCount(tile::LinearAttr kernel) {
  int64_t count = 0;
  for (Attribute weight : kernel.getWeights()) {
    int64_t panels = tile::panelCount(cast<RankedTensorType>(cast<TypeAttr>(weight).getValue()).getShape()[0]);
    count += (panels + kernel.getPanels() - 1) / kernel.getPanels();
    if (kernel.getGlu()) // both weights in one tile
      break;
  }
  return count;
}

int64_t StepBuilder::linearScratchBytes(tile::LinearAttr kernel) const { return kernels::linearScratchBytes(kernel, machine(), maxTokens); }

tile::LinearAttr StepBuilder::linearKernel(LinearOp op, tile::Arithmetic arithmetic, tile::Results results) {
  SmallVector<Attribute> types;
  for (Value weight : op.getWeights())
    types.push_back(TypeAttr::get(weight.getType()));
  auto activation = op.getActivation() ? ActivationAttr::get(b.getContext(), *op.getActivation()) : ActivationAttr();
  auto real = [](std::optional<APFloat> value) { return Real(value ? value->convertToDouble() : 0.0); };
  int64_t panels = results == tile::Results::panel ? 1 : panelsPerTile(op.getWeights().getTypes(), arithmetic, op.getGlu());
  if (results == tile::Results::keys && machine().isDevice()) // of few rows; and blocks sum single panels in an order of their own
    panels = 1;
  return tile::LinearAttr::get(b.getContext(), b.getArrayAttr(types), arithmetic, maxTokens == 1, panels, !op.getBiases().empty(), op.getGlu(),
                               static_cast<bool>(op.getResidual()), activation, GLULimitsAttr(), real(op.getScale()), real(op.getSoftcap()), results);
}

func::CallOp StepBuilder::callLinear(const Product &product, Value tile, Value rows, Value x, ValueRange results) {
  LinearOp op = product.op;
  SmallVector<Value> operands{tile, rows, x, scratch(linearScratchBytes(product.kernel))};
  SmallVector<LoadedWeight> weights;
  for (Value weight : op.getWeights())
    weights.push_back(loaded(weight));
  for (LoadedWeight &weight : weights)
    operands.push_back(weight.pointer);
  for (LoadedWeight &weight : weights)
    operands.push_back(weight.format);
  for (Value bias : op.getBiases())
    operands.push_back(vectorWeight(bias));
  if (op.getResidual())
    operands.push_back(product.residual.pointer);
  llvm::append_range(operands, results);
  return call("linear", product.kernel, operands);
}

// Tiles of all blocks of rows; those of one tile of outputs follow one another, so that cards read their weights once.
void StepBuilder::blocksOfRows(const Product &product, ValueRange results) {
  auto minimum = [&](Value x, Value y) -> Value { return arith::MinSIOp::create(b, loc, x, y); };
  Value rows = rowCount(product.x.rows), size = i64(kRowsOfBlock);
  Value blocks = arith::DivUIOp::create(b, loc, arith::AddIOp::create(b, loc, rows, i64(kRowsOfBlock - 1)), size);
  parallel(arith::MulIOp::create(b, loc, blocks, i64(tileCount(product.kernel))), [&](Value index) {
    Value tile = arith::DivUIOp::create(b, loc, index, blocks);
    Value first = arith::MulIOp::create(b, loc, arith::RemUIOp::create(b, loc, index, blocks), size);
    auto rowOf = [&](Value base, int64_t bytes) -> Value { return tile::RowOp::create(b, loc, pointerType(), base, first, bytes, 0); };
    Product part = product;
    if (part.op.getResidual())
      part.residual.pointer = rowOf(product.residual.pointer, product.residual.rowBytes);
    SmallVector<Value> ofBlock;
    for (auto [i, result] : llvm::enumerate(results))
      ofBlock.push_back(rowOf(result, cast<RankedTensorType>(part.op.getWeights()[i].getType()).getShape()[0] * 4));
    callLinear(part, tile, minimum(arith::SubIOp::create(b, loc, rows, first), size), rowPointer(product.x, first), ofBlock);
  });
}

void StepBuilder::wholeProduct(const Product &product, ValueRange results) {
  if (machine().isDevice() && product.kernel.getPanels() > 1)
    return blocksOfRows(product, results);
  Value rows = rowCount(product.x.rows);
  streams(tileCount(product.kernel), [&](Value tile) { callLinear(product, tile, rows, product.x.pointer, results); });
}

// Its rows are those whose logits are wanted, and it is what the step returns: anywhere else top_k says nothing.
static bool givesLogits(LinearOp op, Rows rows) {
  Value result = op.getResult(0);
  return rows == Rows::Wanted && result.hasOneUse() && isa<func::ReturnOp>(*result.user_begin()) && result.use_begin()->getOperandNumber() == 0;
}

void StepBuilder::linear(LinearOp op) {
  tile::Arithmetic arithmetic = arithmeticFor(op.getWeights());
  counts.int8Products += arithmetic == tile::Arithmetic::int8;
  Stored x = linearInput(op, arithmetic);
  SmallVector<Value> results;
  for (Value result : op.getResults())
    results.push_back(destination(result, x.rows, "linear").pointer);
  Stored residual = op.getResidual() ? dense(stored(op.getResidual()), "residual") : Stored();
  closeRows();
  Product product{op, x, residual, linearKernel(op, arithmetic, tile::Results::rows)};
  op.getTopK() && givesLogits(op, x.rows) ? topK(product, results[0]) : wholeProduct(product, results);
}
