// The frame of a scheduled step: storage, loops over rows, loops over layers, and the ops that work row by row.
#include "passes/schedule/StepBuilder.h"

#include "passes/schedule/Passes.h"

#include "llvm/ADT/TypeSwitch.h"
#include "llvm/Support/FormatVariadic.h"

using namespace mlir;
using namespace llmc;
using namespace llmc::llm;
using namespace llmc::schedule;

// Of the step's results; a step without logits has the last alone.
static constexpr StringRef kResultFields[] = {"logits", "hidden"};

static int64_t channelsOf(Value value) { return cast<RankedTensorType>(value.getType()).getShape().back(); }

StepBuilder::StepBuilder(ModuleOp module, int64_t maxTokens, const Decisions &decisions, Counts &counts)
    : module(module), maxTokens(maxTokens), decisions(decisions), exact(module->hasAttr("llm.exact")), counts(counts), b(module.getContext()),
      loc(module.getLoc()) {}

//===----------------------------------------------------------------------===//
// The step function
//===----------------------------------------------------------------------===//

LogicalResult StepBuilder::build(func::FuncOp source) {
  auto pointer = LLVM::LLVMPointerType::get(b.getContext());
  b.setInsertionPoint(source);
  loc = source.getLoc();
  target = func::FuncOp::create(b, loc, source.getName(), b.getFunctionType({pointer, b.getI64Type()}, {}));
  target->setAttr("llm.max_tokens", source->getAttr("llm.max_tokens"));
  if (Attribute isEncoder = source->getAttr(kEncoderAttr))
    target->setAttr(kEncoderAttr, isEncoder);
  Block *entry = target.addEntryBlock();
  step = entry->getArgument(0), worker = entry->getArgument(1);
  b.setInsertionPointToStart(entry);
  layerIndex = i64(0);

  auto results = cast<func::ReturnOp>(source.front().getTerminator());
  ArrayRef<StringRef> fields = kResultFields;
  SmallVector<Stored> places;
  for (auto [value, name] : llvm::zip(results.getOperands(), fields.take_back(results.getNumOperands()))) {
    places.push_back({field(name), channelsOf(value), channelsOf(value) * 4, Rows::Wanted, /*owned=*/false});
    destinations.try_emplace(value, places.back());
  }
  if (failed(visitBlock(source.front())))
    return failure();
  for (auto [value, place] : llvm::zip(results.getOperands(), places)) {
    if (misplaced || stored(value).rows != Rows::Wanted)
      return source.emitError("tile-schedule: the step's results have one row per token; want those of llm.select_rows");
    if (stored(value).pointer != place.pointer) // the result of no op of its own, or twice the same
      copyRows(stored(value), place);
  }
  closeRows();
  func::ReturnOp::create(b, loc);
  source.erase();
  return success();
}

LogicalResult StepBuilder::visitBlock(Block &block) {
  for (Operation &op : block.without_terminator())
    if (failed(visit(op)))
      return failure();
  return success();
}

LogicalResult StepBuilder::visit(Operation &op) {
  loc = op.getLoc();
  auto constant = [&](tile::Pointwise kind, double value) {
    return tile::PointwiseKernelAttr::get(b.getContext(), kind, channelsOf(op.getResult(0)), value, {});
  };
  auto activation = [&](tile::Pointwise kind, Activation function) {
    return tile::PointwiseKernelAttr::get(b.getContext(), kind, channelsOf(op.getResult(0)), 0.0,
                                          ActivationAttr::get(b.getContext(), function));
  };
  if (visitScan(op))
    return success();
  return TypeSwitch<Operation *, LogicalResult>(&op)
      .Case([&](LayersOp op) { return layers(op); })
      .Case([&](WeightLoadOp op) { return weightLoad(op), success(); })
      .Case([&](EmbeddingOp op) { return embedding(op), success(); })
      .Case([&](SelectRowsOp op) { return selectRows(op), success(); })
      .Case([&](RopeTableOp op) { return ropeTable(op), success(); })
      .Case([&](RopeOp op) { return rope(op), success(); })
      .Case([&](LinearOp op) { return linear(op), success(); })
      .Case([&](AttentionOp op) { return attention(op), success(); })
      .Case([&](LatentAttentionOp op) { return latentAttention(op), success(); })
      .Case([&](AppendOp op) { return append(op), success(); })
      .Case([&](CrossAttentionOp op) { return crossAttention(op), success(); })
      .Case([&](RouteOp op) { return route(op), success(); })
      .Case([&](ExpertsOp op) { return experts(op), success(); })
      .Case([&](GroupedLinearOp op) { return groupedLinear(op), success(); })
      .Case([&](ClampOp op) { return pointwise(op, constant(tile::Pointwise::clamp, op.getLimit().convertToDouble())), success(); })
      .Case([&](RMSNormOp op) {
        auto attr = NormAttr::get(b.getContext(), NormKind::rms, op.getEps().convertToDouble(), op.getOffset().convertToDouble());
        Stored to = destination(op.getY(), stored(op.getX()).rows, "norm");
        return norm(op.getX(), op.getGain(), {}, attr, to), success();
      })
      .Case([&](LayerNormOp op) {
        auto attr = NormAttr::get(b.getContext(), NormKind::layer, op.getEps().convertToDouble(), 0.0);
        Stored to = destination(op.getY(), stored(op.getX()).rows, "norm");
        return norm(op.getX(), op.getGain(), op.getBias(), attr, to), success();
      })
      .Case([&](AddOp op) { return pointwise(op, constant(tile::Pointwise::add, 0.0)), success(); })
      .Case([&](ScaleOp op) { return pointwise(op, constant(tile::Pointwise::scale, op.getFactor().convertToDouble())), success(); })
      .Case([&](SoftcapOp op) { return pointwise(op, constant(tile::Pointwise::softcap, op.getCap().convertToDouble())), success(); })
      .Case([&](ActivationOp op) { return pointwise(op, activation(tile::Pointwise::activation, op.getKind())), success(); })
      .Case([&](GLUOp op) { return pointwise(op, activation(tile::Pointwise::glu, op.getKind())), success(); })
      .Default([](Operation *op) { return op->emitOpError("tile-schedule: has no schedule"); });
}

//===----------------------------------------------------------------------===//
// Layers
//===----------------------------------------------------------------------===//

LogicalResult StepBuilder::layers(LayersOp op) {
  Stored x = ownCopy(op.getX(), "x"); // the loop overwrites it
  closeRows();

  Value outside = layerIndex;
  auto order = op.getOrder();
  auto loop = scf::ForOp::create(b, loc, i64(0), i64(order.size()), i64(1));
  b.setInsertionPointToStart(loop.getBody());
  layerIndex = loop.getInductionVar();
  auto function = [&](Attribute kind) { return module.lookupSymbol<func::FuncOp>(cast<FlatSymbolRefAttr>(kind)); };
  if (op.getKinds().size() == 1) {
    if (failed(layer(function(op.getKinds()[0]), op, x)))
      return failure();
  } else {
    SmallVector<int64_t> cases = llvm::to_vector(llvm::seq<int64_t>(1, op.getKinds().size()));
    Value kind = arith::IndexCastOp::create(b, loc, b.getIndexType(), lookup(SmallVector<int64_t>(order.begin(), order.end()), layerIndex));
    auto choice = scf::IndexSwitchOp::create(b, loc, TypeRange(), kind, cases, cases.size());
    for (auto [i, region] : llvm::enumerate(choice->getRegions())) { // the default region comes first: kind 0
      b.createBlock(&region);
      if (failed(layer(function(op.getKinds()[i]), op, x)))
        return failure();
      scf::YieldOp::create(b, loc);
    }
  }
  layerIndex = outside;
  storage[op.getY()] = x;
  b.setInsertionPointAfter(loop);
  return success();
}

// May `producer` write its result over `x`? Only as the last reader of x, and when it reads x element by element.
static bool mayOverwrite(Operation *producer, Value x) {
  for (OpOperand &use : x.getUses()) {
    Operation *reader = use.getOwner();
    if (reader != producer && (reader->getBlock() != producer->getBlock() || !reader->isBeforeInBlock(producer)))
      return false;
    if (reader != producer)
      continue;
    auto linear = dyn_cast<LinearOp>(producer);
    if (linear ? use.get() == linear.getX() : !isa<AddOp>(producer))
      return false;
  }
  return true;
}

LogicalResult StepBuilder::layer(func::FuncOp function, LayersOp op, const Stored &x) {
  Block &body = function.front();
  storage[body.getArgument(0)] = x;
  storage[body.getArgument(0)].owned = false;
  for (auto [argument, value] : llvm::zip(body.getArguments().drop_front(3), op.getExtra())) {
    Stored shared = stored(value); // a copy: the map may grow below
    shared.owned = false;
    storage[argument] = shared;
  }
  Value result = body.getTerminator()->getOperand(0);
  Operation *producer = result.getDefiningOp();
  destinations.erase(result);
  if (producer && mayOverwrite(producer, body.getArgument(0)))
    destinations[result] = x;
  if (failed(visitBlock(body)))
    return failure();
  if (stored(result).pointer != x.pointer || !stored(result).isDense())
    copyRows(stored(result), x);
  closeRows();
  return success();
}

//===----------------------------------------------------------------------===//
// Weights
//===----------------------------------------------------------------------===//

void StepBuilder::weightLoad(WeightLoadOp) {} // read where it is used: `loaded`

SmallVector<int64_t> llmc::schedule::layerTable(ArrayRef<int64_t> layers, ArrayRef<int64_t> entries) {
  SmallVector<int64_t> table(layers.back() + 1, 0);
  for (auto [index, layer] : llvm::enumerate(layers))
    table[layer] = entries.empty() ? index : entries[index];
  return table;
}

LoadedWeight StepBuilder::loaded(Value value) {
  auto load = value.getDefiningOp<WeightLoadOp>();
  auto weight = module.lookupSymbol<WeightOp>(load.getWeightAttr());
  Value index = load.getLayer() ? layerIndex : i64(0);
  if (load.getLayer() && weight.getLayers())
    index = lookup(layerTable(*weight.getLayers(), weight.getEntries().value_or(ArrayRef<int64_t>())), layerIndex);
  Value pointer = tile::WeightOp::create(b, loc, pointerType(), step, weight.getSymNameAttr(), index);
  Value format = i64(0);
  if (std::optional<ArrayRef<int32_t>> formats = weight.getFormats())
    format = lookup(SmallVector<int64_t>(formats->begin(), formats->end()), index);
  return {weight, pointer, format};
}

//===----------------------------------------------------------------------===//
// Ops that work row by row
//===----------------------------------------------------------------------===//

static StringRef indexField(IndexSource source) {
  return source == IndexSource::tokens ? "token_ids" : source == IndexSource::positions ? "position_ids" : "token_types";
}

void StepBuilder::embedding(EmbeddingOp op) {
  Stored to = destination(op.getY(), Rows::Tokens, "embedding");
  auto table = cast<RankedTensorType>(op.getTable().getType());
  rowOp(Rows::Tokens, [&](Value row) {
    LoadedWeight weight = loaded(op.getTable());
    Value index = op.getIndex() == IndexSource::first ? i64(0) : tile::EntryOp::create(b, loc, b.getI64Type(), field(indexField(op.getIndex())), row).getResult();
    if (int64_t offset = op.getOffset())
      index = arith::AddIOp::create(b, loc, index, i64(offset));
    auto kernel = tile::DecodeRowAttr::get(b.getContext(), weight.weight.formatOf(0), table.getShape()[1]);
    Value out = rowPointer(to, row);
    call("decode_row", kernel, {weight.pointer, index, out});
    double scale = op.getScale().convertToDouble();
    if (scale != 1.0)
      call("scale", tile::PointwiseKernelAttr::get(b.getContext(), tile::Pointwise::scale, to.channels, scale, {}), {out, out});
  });
}

void StepBuilder::selectRows(SelectRowsOp op) {
  Stored from = stored(op.getX()), to = destination(op.getY(), Rows::Wanted, "wanted");
  closeRows(); // a wanted row may come from any token
  rowOp(Rows::Wanted, [&](Value row) {
    Value token = tile::EntryOp::create(b, loc, b.getI64Type(), field("row_tokens"), row);
    auto kernel = tile::PointwiseKernelAttr::get(b.getContext(), tile::Pointwise::copy, to.channels, 0.0, {});
    call("copy", kernel, {rowPointer(from, token), rowPointer(to, row)});
  });
}

void StepBuilder::ropeTable(RopeTableOp op) {
  Stored to = destination(op.getY(), Rows::Tokens, "rope_table");
  auto kernel = tile::RopeTableAttr::get(b.getContext(), to.channels, op.getTheta().convertToDouble(),
                                         op.getScaling().value_or(RopeScalingAttr()), static_cast<bool>(op.getFactors()));
  rowOp(Rows::Tokens, [&](Value row) {
    SmallVector<Value> operands{tile::EntryOp::create(b, loc, b.getI64Type(), field("position_ids"), row),
                                tile::EntryOp::create(b, loc, b.getI64Type(), field("lengths"), row)};
    if (op.getFactors())
      operands.push_back(vectorWeight(op.getFactors()));
    operands.push_back(rowPointer(to, row));
    call("rope_table", kernel, operands);
  });
}

void StepBuilder::rope(RopeOp op) {
  Stored x = stored(op.getX()), table = stored(op.getTable()), to = destination(op.getY(), x.rows, "rope");
  auto kernel = tile::RopeAttr::get(b.getContext(), x.channels, op.getHeadDim(), op.getRotary());
  rowOp(x.rows, [&](Value row) {
    call("rope", kernel, {rowPointer(x, row), rowPointer(table, row), rowPointer(to, row)});
  });
}

void StepBuilder::pointwise(Operation *op, tile::PointwiseKernelAttr kernel) {
  Stored to = destination(op->getResult(0), stored(op->getOperand(0)).rows, tile::stringifyPointwise(kernel.getKind()));
  rowOp(to.rows, [&](Value row) {
    SmallVector<Value> operands;
    for (Value operand : op->getOperands())
      operands.push_back(operand.getDefiningOp<WeightLoadOp>() ? vectorWeight(operand) : rowPointer(stored(operand), row));
    operands.push_back(rowPointer(to, row));
    call(tile::stringifyPointwise(kernel.getKind()), kernel, operands);
  });
}

void StepBuilder::norm(Value x, Value gain, Value bias, NormAttr norm, const Stored &to) {
  Stored from = stored(x);
  int64_t group = cast<RankedTensorType>(gain.getType()).getShape()[0];
  auto kernel = tile::NormAttr::get(b.getContext(), from.channels, group, norm, static_cast<bool>(bias));
  rowOp(from.rows, [&](Value row) {
    SmallVector<Value> operands{rowPointer(from, row), vectorWeight(gain)};
    if (bias)
      operands.push_back(vectorWeight(bias));
    operands.push_back(rowPointer(to, row));
    call("norm", kernel, operands);
  });
}

//===----------------------------------------------------------------------===//
// Storage
//===----------------------------------------------------------------------===//

Stored StepBuilder::bytesBuffer(int64_t channels, int64_t rowBytes, Rows rows, StringRef name) {
  // Buffers are declared where the row loop they may belong to begins: outside of it.
  OpBuilder::InsertionGuard guard(b);
  if (openRows)
    b.setInsertionPoint(openRows);
  Value pointer = tile::BufferOp::create(b, loc, pointerType(), step, tile::alignTo(rowBytes * maxTokens, tile::kAlignment), name, IntegerAttr());
  return {pointer, channels, rowBytes, rows, true};
}

Stored StepBuilder::buffer(int64_t channels, Rows rows, StringRef name) { return bytesBuffer(channels, channels * 4, rows, name); }

Stored StepBuilder::destination(Value result, Rows rows, StringRef name) {
  auto fixed = destinations.find(result);
  misplaced |= fixed != destinations.end() && fixed->second.rows != rows;
  Stored to = fixed != destinations.end() ? fixed->second : buffer(channelsOf(result), rows, name);
  storage[result] = to;
  return to;
}

Stored StepBuilder::ownCopy(Value value, StringRef name) {
  Stored from = stored(value);
  if (from.owned && value.hasOneUse())
    return from;
  Stored copy = buffer(from.channels, from.rows, name);
  copyRows(from, copy);
  return copy;
}

void StepBuilder::copyRows(Stored from, Stored to) {
  auto kernel = tile::PointwiseKernelAttr::get(b.getContext(), tile::Pointwise::copy, from.channels, 0.0, {});
  rowOp(from.rows, [&](Value row) { call("copy", kernel, {rowPointer(from, row), rowPointer(to, row)}); });
}

Stored StepBuilder::dense(const Stored &from, StringRef name) {
  if (from.isDense())
    return from;
  Stored copy = buffer(from.channels, from.rows, name);
  copyRows(from, copy);
  return copy;
}

Value StepBuilder::rowPointer(const Stored &from, Value row) {
  return tile::RowOp::create(b, loc, pointerType(), from.pointer, row, from.rowBytes, from.offset);
}

//===----------------------------------------------------------------------===//
// Loops
//===----------------------------------------------------------------------===//

Value StepBuilder::rowCount(Rows rows) { return field(rows == Rows::Tokens ? "tokens" : "rows"); }

scf::ForallOp StepBuilder::parallel(Value count, ForallBody body) {
  ++counts.loops;
  Value bound = arith::IndexCastOp::create(b, loc, b.getIndexType(), count);
  auto loop = scf::ForallOp::create(b, loc, ArrayRef<OpFoldResult>{bound}, ValueRange(), std::nullopt);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(loop.getBody());
  body(arith::IndexCastOp::create(b, loc, b.getI64Type(), loop.getInductionVar(0)));
  return loop;
}

void StepBuilder::streams(int64_t count, ForallBody body) {
  scf::ForallOp loop = parallel(i64(count), body);
  if (decisions.streams)
    loop->setAttr(kStreamsAttr, b.getUnitAttr());
}

void StepBuilder::rowOp(Rows rows, llvm::function_ref<void(Value)> body) {
  ++counts.rowOps;
  if (openRows && (openDomain != rows || !decisions.mergeRows))
    closeRows();
  if (!openRows) {
    openDomain = rows;
    openRows = parallel(rowCount(rows), [&](Value) {});
  }
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPoint(openRows.getBody()->getTerminator());
  body(openRows.getBody()->front().getResult(0));
}

void StepBuilder::closeRows() { openRows = {}; }

//===----------------------------------------------------------------------===//
// Values and kernels
//===----------------------------------------------------------------------===//

Value StepBuilder::i64(int64_t value) { return arith::ConstantIntOp::create(b, loc, value, 64); }

Value StepBuilder::field(StringRef name) {
  Type type = b.getI64Type();
  if (tile::stepField(name)->isPointer)
    type = LLVM::LLVMPointerType::get(b.getContext());
  return tile::FieldOp::create(b, loc, type, step, name);
}

Value StepBuilder::lookup(ArrayRef<int64_t> table, Value index) {
  if (llvm::all_equal(table))
    return i64(table.front());
  return tile::LookupOp::create(b, loc, b.getI64Type(), b.getDenseI64ArrayAttr(table), index);
}

Value StepBuilder::scratch(int64_t bytes) { return tile::ScratchOp::create(b, loc, pointerType(), step, worker, tile::alignTo(bytes, tile::kAlignment)); }

func::CallOp StepBuilder::call(StringRef name, Attribute kernel, ValueRange operands) {
  FunctionType type = b.getFunctionType(operands.getTypes(), {});
  for (auto declared : module.getOps<func::FuncOp>())
    if (declared->getAttr("tile.kernel") == kernel && declared.getFunctionType() == type)
      return func::CallOp::create(b, loc, declared, operands);
  func::FuncOp declaration;
  {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToEnd(module.getBody());
    declaration = func::FuncOp::create(b, loc, llvm::formatv("{0}_{1}", name, counts.kernels++).str(), type);
    declaration.setPrivate();
    declaration->setAttr("tile.kernel", kernel);
  }
  return func::CallOp::create(b, loc, declaration, operands);
}
