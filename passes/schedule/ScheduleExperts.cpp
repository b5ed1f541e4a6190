// Experts: only those that a step's tokens chose are read. One token's experts are tiles of one loop; many tokens are grouped by
// expert first, so that each expert's panels are read once for all of its tokens. Either way a token's results are summed in the
// order in which it chose, and no row depends on another.
#include "dialects/tile/Tables.h"
#include "passes/lowering/kernels/Kernels.h"
#include "passes/schedule/StepBuilder.h"

using namespace mlir;
using namespace llmc;
using namespace llmc::llm;
using namespace llmc::schedule;

// Which rows go through which of `count` matrices. Either matrix i has the row i, its number being entry i of `experts` (i itself
// if that is null), or it has the rows [starts[i], starts[i + 1]) of what was gathered, or all `rows` rows of its own input.
struct StepBuilder::Choices {
  int64_t count = 0;       // matrices that run, each over its tiles
  int64_t matrices = 0;    // in the stack
  int64_t choicesOfRow = 0; // matrices that a row of the step goes through
  Value experts, starts;   // i32 arrays; null: see above
  Value rows;              // where every matrix has its own input of so many rows
};

static ArrayRef<int64_t> shapeOf(Value value) { return cast<RankedTensorType>(value.getType()).getShape(); }

// The type of one matrix of a stack, as it is packed.
static RankedTensorType matrixOf(Value stack) {
  auto type = cast<RankedTensorType>(stack.getType());
  Type element = type.getElementType();
  if (type.getShape()[2] == 1 && isa<FloatType>(element))
    element = Float32Type::get(type.getContext());
  return RankedTensorType::get(type.getShape().drop_front(), element);
}

static ArrayAttr typesOf(Builder &b, ArrayRef<Value> stacks) {
  SmallVector<Attribute> types;
  for (Value stack : stacks)
    types.push_back(TypeAttr::get(matrixOf(stack)));
  return b.getArrayAttr(types);
}

Value StepBuilder::memory(int64_t bytes, StringRef name) {
  OpBuilder::InsertionGuard guard(b);
  if (openRows) // it may be used within
    b.setInsertionPoint(openRows);
  return tile::BufferOp::create(b, loc, pointerType(), step, tile::alignTo(bytes, tile::kAlignment), name, IntegerAttr());
}

//===----------------------------------------------------------------------===//
// Routing
//===----------------------------------------------------------------------===//

void StepBuilder::route(RouteOp op) {
  Stored logits = stored(op.getLogits());
  int64_t top = op.getTop();
  Stored experts = buffer(top, logits.rows, "experts");
  storage[op.getExperts()] = experts;
  Stored weights = destination(op.getWeights(), logits.rows, "expert_weights");
  auto kernel = tile::RouteAttr::get(b.getContext(), logits.channels, top, op.getScores(), op.getGroups(), op.getTopGroups(),
                                     op.getGroupScore(), op.getNormalize(), op.getEpsilon().convertToDouble(),
                                     op.getScale().convertToDouble(), static_cast<bool>(op.getBias()));
  rowOp(logits.rows, [&](Value row) {
    SmallVector<Value> operands{rowPointer(logits, row)};
    if (op.getBias())
      operands.push_back(vectorWeight(op.getBias()));
    operands.append({rowPointer(experts, row), rowPointer(weights, row)});
    call("route", kernel, operands);
  });
}

//===----------------------------------------------------------------------===//
// Products of a stack of matrices
//===----------------------------------------------------------------------===//

// The stack's matrix number `index`, at its distance in the format that this layer has.
static Value matrixPointer(OpBuilder &b, Location loc, Value stack, Value index, Value bytes) {
  Value distance = arith::MulIOp::create(b, loc, index, bytes);
  return tile::RowOp::create(b, loc, stack.getType(), stack, distance, 1, 0);
}

// y[row] = the kernel's product of row x[row] with the matrix that has the row. `sharedRow`: all matrices read row 0.
void StepBuilder::stackedProduct(const Choices &choices, ArrayRef<Value> weights, ArrayRef<Value> biases, Value x, int64_t xRowBytes,
                                 bool sharedRow, Value y, tile::LinearAttr kernel) {
  int64_t tiles = tileCount(kernel), yRowBytes = shapeOf(weights[0])[1] * 4;
  auto product = [&](Value tile, Value matrix, Value first, Value rows) {
    Value input = sharedRow ? x : tile::RowOp::create(b, loc, pointerType(), x, first, xRowBytes, 0).getResult();
    SmallVector<Value> operands{tile, rows, input, scratch(linearScratchBytes(kernel))}, formats;
    for (Value weight : weights) {
      LoadedWeight stack = loaded(weight);
      SmallVector<int64_t> bytes;
      for (auto [i, format] : llvm::enumerate(stack.weight.getWeights().getFormats()))
        bytes.push_back(tile::isPackedAsVectors(shapeOf(weight), format) ? tile::alignTo(shapeOf(weight)[1] * 4, tile::kAlignment)
                                                                         : tile::packedBytes(format, shapeOf(weight)[1], shapeOf(weight)[2]));
      operands.push_back(matrixPointer(b, loc, stack.pointer, matrix, lookup(bytes, stack.format)));
      formats.push_back(stack.format);
    }
    operands.append(formats);
    for (Value bias : biases)
      operands.push_back(matrixPointer(b, loc, vectorWeight(bias), matrix, i64(tile::alignTo(shapeOf(bias)[1] * 4, tile::kAlignment))));
    operands.push_back(tile::RowOp::create(b, loc, pointerType(), y, first, yRowBytes, 0));
    func::CallOp done = call("linear", kernel, operands);
    done->setAttr("tile.calls", b.getI64IntegerAttr(choices.matrices * tiles)); // for --tile-profile
    done->setAttr("tile.choices", b.getI64IntegerAttr(choices.choicesOfRow));
    done->setAttr("tile.matrices", b.getI64IntegerAttr(choices.matrices));
  };
  auto tileOfRun = [&](Value index) {
    Value run = arith::DivUIOp::create(b, loc, index, i64(tiles)), tile = arith::RemUIOp::create(b, loc, index, i64(tiles));
    auto entry = [&](Value array, Value at) -> Value { return tile::EntryOp::create(b, loc, b.getI64Type(), array, at); };
    if (choices.rows)
      return product(tile, run, arith::MulIOp::create(b, loc, run, choices.rows), choices.rows);
    if (!choices.starts)
      return product(tile, choices.experts ? entry(choices.experts, run) : run, run, i64(1));
    Value first = entry(choices.starts, run), end = entry(choices.starts, arith::AddIOp::create(b, loc, run, i64(1)));
    Value rows = arith::SubIOp::create(b, loc, end, first);
    auto any = scf::IfOp::create(b, loc, arith::CmpIOp::create(b, loc, arith::CmpIPredicate::sgt, rows, i64(0)));
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(any.thenBlock());
    product(tile, run, first, rows);
  };
  // What is gathered for an expert may be many rows or none; otherwise all runs are alike.
  if (choices.starts)
    parallel(i64(choices.count * tiles), tileOfRun);
  else
    streams(choices.count * tiles, tileOfRun);
}

//===----------------------------------------------------------------------===//
// Experts
//===----------------------------------------------------------------------===//

// Copies rows of `rowBytes` bytes, whole floats.
static tile::PointwiseKernelAttr copyOf(MLIRContext *context, int64_t rowBytes) {
  return tile::PointwiseKernelAttr::get(context, tile::Pointwise::copy, rowBytes / 4, 0.0, {});
}

void StepBuilder::experts(ExpertsOp op) {
  bool single = maxTokens == 1;
  int64_t top = shapeOf(op.getExperts())[1], count = op.getExpertCount(), hidden = shapeOf(op.getUp())[1];
  SmallVector<Value> ups{op.getUp()}, upBiases, downs{op.getDown()}, downBiases;
  if (op.getGate())
    ups.insert(ups.begin(), op.getGate());
  for (Value bias : {op.getGateBias(), op.getUpBias()})
    if (bias)
      upBiases.push_back(bias);
  if (op.getDownBias())
    downBiases.push_back(op.getDownBias());

  auto kernelOf = [&](ArrayRef<Value> weights, bool bias, ActivationAttr activation) {
    tile::Arithmetic arithmetic = arithmeticFor(weights);
    counts.int8Products += arithmetic == tile::Arithmetic::int8;
    SmallVector<Type> matrices;
    for (Value weight : weights)
      matrices.push_back(matrixOf(weight));
    bool glu = weights.size() == 2;
    return tile::LinearAttr::get(b.getContext(), typesOf(b, weights), arithmetic, single, panelsPerTile(matrices, arithmetic, glu, top), bias, glu,
                                 /*residual=*/false, activation, glu ? op.getLimitsAttr() : GLULimitsAttr());
  };
  tile::LinearAttr upKernel = kernelOf(ups, !upBiases.empty(), op.getActivationAttr());
  tile::LinearAttr downKernel = kernelOf(downs, !downBiases.empty(), {});

  Stored x = productInput(stored(op.getX()), upKernel.getArithmetic());
  const Stored chosen = stored(op.getExperts()), weights = stored(op.getWeights());
  closeRows();
  Value choiceCount = arith::MulIOp::create(b, loc, rowCount(x.rows), i64(top));
  Choices choices{.count = single ? top : count, .matrices = count, .choicesOfRow = top, .experts = single ? chosen.pointer : Value()};
  Value gathered = x.pointer, places;
  if (!single) {
    choices.starts = memory((count + 1) * 4, "expert_starts");
    Value order = memory(maxTokens * top * 4, "expert_order");
    places = memory(maxTokens * top * 4, "expert_places");
    auto group = tile::GroupTokensAttr::get(b.getContext(), count, top);
    Value rows = rowCount(x.rows);
    parallel(i64(1), [&](Value) { call("group_tokens", group, {rows, chosen.pointer, choices.starts, order, places}); });
    gathered = memory(maxTokens * top * x.rowBytes, "expert_rows");
    parallel(choiceCount, [&](Value place) {
      Value choice = tile::EntryOp::create(b, loc, b.getI64Type(), order, place);
      Value to = tile::RowOp::create(b, loc, pointerType(), gathered, place, x.rowBytes, 0);
      call("copy", copyOf(b.getContext(), x.rowBytes), {rowPointer(x, arith::DivUIOp::create(b, loc, choice, i64(top))), to});
    });
  }

  Value hiddenRows = memory(maxTokens * top * hidden * 4, "expert_hidden");
  stackedProduct(choices, ups, upBiases, gathered, x.rowBytes, /*sharedRow=*/single, hiddenRows, upKernel);
  int64_t hiddenBytes = hidden * 4;
  if (tile::Arithmetic arithmetic = downKernel.getArithmetic(); arithmetic != tile::Arithmetic::f32) {
    int64_t roundedBytes = kernels::inputRowBytes(arithmetic, hidden);
    Value rounded = memory(maxTokens * top * roundedBytes, "expert_rounded");
    parallel(choiceCount, [&](Value place) {
      call("quantize", tile::QuantizeAttr::get(b.getContext(), hidden, arithmetic),
           {tile::RowOp::create(b, loc, pointerType(), hiddenRows, place, hiddenBytes, 0),
            tile::RowOp::create(b, loc, pointerType(), rounded, place, roundedBytes, 0)});
    });
    hiddenRows = rounded, hiddenBytes = roundedBytes;
  }
  Stored y = destination(op.getY(), x.rows, "experts_sum");
  Value results = memory(maxTokens * top * y.channels * 4, "expert_results");
  stackedProduct(choices, downs, downBiases, hiddenRows, hiddenBytes, /*sharedRow=*/false, results, downKernel);
  auto combine = tile::CombineAttr::get(b.getContext(), y.channels, top, /*places=*/!single);
  rowOp(x.rows, [&](Value row) {
    SmallVector<Value> operands{results};
    if (!single)
      operands.push_back(tile::RowOp::create(b, loc, pointerType(), places, row, top * 4, 0));
    operands.append({rowPointer(weights, row), rowPointer(y, row)});
    call("combine", combine, operands);
  });
}

//===----------------------------------------------------------------------===//
// Groups of channels
//===----------------------------------------------------------------------===//

// Each group's channels become rows of their own, group after group, and so do its results.
void StepBuilder::groupedLinear(GroupedLinearOp op) {
  bool single = maxTokens == 1;
  int64_t groups = shapeOf(op.getWeight())[0], outputs = shapeOf(op.getWeight())[1], inputs = shapeOf(op.getWeight())[2];
  SmallVector<Value> weights{op.getWeight()}, biases;
  if (op.getBias())
    biases.push_back(op.getBias());
  tile::Arithmetic arithmetic = arithmeticFor(weights);
  counts.int8Products += arithmetic == tile::Arithmetic::int8;
  bool rounds = arithmetic != tile::Arithmetic::f32;
  auto kernel = tile::LinearAttr::get(b.getContext(), typesOf(b, weights), arithmetic, single, panelsPerTile(TypeRange(matrixOf(weights[0])), arithmetic, /*glu=*/false, groups),
                                      !biases.empty(), /*glu=*/false, /*residual=*/false, ActivationAttr(), GLULimitsAttr());
  Stored x = stored(op.getX()), y = destination(op.getY(), x.rows, "grouped");
  int64_t stride = x.channels / groups * 4, rowBytes = kernels::inputRowBytes(arithmetic, inputs);
  Value cut = memory(maxTokens * groups * rowBytes, "groups");
  // For each group of a row: where its channels are, in a row of the graph and among the group's rows. The loop over rows may
  // have begun before this op.
  auto eachGroup = [&](const Stored &whole, int64_t groupBytes, Value rowsOfGroups, int64_t bytes, auto body) {
    rowOp(x.rows, [&](Value row) {
      Value base = rowPointer(whole, row);
      auto loop = scf::ForOp::create(b, loc, i64(0), i64(groups), i64(1));
      OpBuilder::InsertionGuard guard(b);
      b.setInsertionPointToStart(loop.getBody());
      Value group = loop.getInductionVar();
      Value place = arith::AddIOp::create(b, loc, arith::MulIOp::create(b, loc, group, rowCount(x.rows)), row);
      body(tile::RowOp::create(b, loc, pointerType(), base, group, groupBytes, 0).getResult(),
           tile::RowOp::create(b, loc, pointerType(), rowsOfGroups, place, bytes, 0).getResult());
    });
  };
  eachGroup(x, stride, cut, rowBytes, [&](Value from, Value to) {
    if (rounds)
      call("quantize", tile::QuantizeAttr::get(b.getContext(), inputs, arithmetic), {from, to});
    else
      call("copy", copyOf(b.getContext(), rowBytes), {from, to});
  });
  closeRows();
  Value results = memory(maxTokens * groups * outputs * 4, "group_results");
  stackedProduct({.count = groups, .matrices = groups, .choicesOfRow = groups, .rows = rowCount(x.rows)}, weights, biases, cut, rowBytes, /*sharedRow=*/false, results, kernel);
  eachGroup(y, outputs * 4, results, outputs * 4,
            [&](Value to, Value from) { call("copy", copyOf(b.getContext(), outputs * 4), {from, to}); });
}
