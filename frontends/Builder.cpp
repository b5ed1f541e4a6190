#include "frontends/Builder.h"

#include "frontends/Parts.h"
#include "frontends/Weights.h"
#include "runtime/support/Text.h"

#include <set>

using namespace mlir;
using namespace llmc;
using namespace llmc::frontends;

namespace {

// What sublayers and their norms need, noted for the layers of one kind.
class Collector : public WeightList {
public:
  Collector(Weights &weights, ArrayRef<int64_t> layers) : weights(weights), layers(layers) {}
  void require(llvm::StringRef role, ArrayRef<int64_t> shape) override {
    if (weights.exists(role))
      weights.use(role, shape, layers);
  }
  void linear(llvm::StringRef role, int64_t rows, int64_t columns) override {
    require(role, {rows, columns});
    require((role + "_bias").str(), {rows});
    require((role + "_adapter_in").str(), {weights.adapterRank(), columns});
    require((role + "_adapter_out").str(), {rows, weights.adapterRank()});
  }
  void norm(llvm::StringRef role, int64_t size) {
    if (role.empty())
      return;
    require(role, {size});
    require((role + "_bias").str(), {size});
  }

private:
  Weights &weights;
  ArrayRef<int64_t> layers;
};

class FunctionBuilder : public LayerBuilder {
public:
  FunctionBuilder(const Model &model, const LayerKind *kind, OpBuilder &builder, const Weights &weights, llvm::StringRef prefix)
      : LayerBuilder(model, kind, builder, prefix), weights(weights) {}
  bool has(llvm::StringRef role) const override { return static_cast<bool>(weights.valueType(role)); }
  Value load(llvm::StringRef role) override {
    return llm::WeightLoadOp::create(builder, at(role), weights.valueType(role), weights.symbol(role), weights.isOfModel(role) ? Value() : layer);
  }

private:
  const Weights &weights;
};

// The layers of one model with what stands before and behind them: all of a module, or one half of an encoder-decoder's. The encoder's symbols
// begin with "enc.".
class StackBuilder {
public:
  StackBuilder(OpBuilder &builder, const Model &model, Checkpoint &checkpoint, Report &report, bool isSource)
      : model(model), prefix(isSource ? "enc." : ""), isSource(isSource), weights(model, checkpoint, report, prefix), builder(builder),
        loc(builder.getUnknownLoc()), batchType(llm::BatchType::get(builder.getContext())), rowType(rows(model.hidden)) {}

  void declareWeights();
  void build();            // states, layers, `@step`
  // The same of an encoder; `@encode` ends with what `decoder` attends to.
  void buildSource(StackBuilder &decoder);

private:
  RankedTensorType rows(int64_t columns) {
    return RankedTensorType::get({ShapedType::kDynamic, columns}, builder.getF32Type());
  }
  bool hasHead() const { return !model.family->looksAhead || (!isSource && weights.isInFile("head_dense")); }
  void collectEmbeddings();
  void collectHead();
  void declareStates();
  void buildLayers();
  Value normBefore(FunctionBuilder &b, Value x, const Sublayer &sublayer);
  void buildKind(const LayerKind &kind);
  func::FuncOp buildCross();
  Value stack(FunctionBuilder &b);
  Value embed(FunctionBuilder &b);
  SmallVector<Value> ropeTables(FunctionBuilder &b);
  Value runLayers(FunctionBuilder &b, Value x);
  Value head(FunctionBuilder &b, Value x);
  func::FuncOp function(const llvm::Twine &name, ArrayRef<Type> inputs, ArrayRef<Type> results);

  const Model &model;
  llvm::StringRef prefix;
  bool isSource;
  Weights weights;
  OpBuilder &builder;
  Location loc;
  Type batchType;
  RankedTensorType rowType;
};

class ModuleBuilder {
public:
  ModuleBuilder(MLIRContext &context, const Model &model, Checkpoint &checkpoint, Report &report)
      : model(model), report(report), checkpoint(checkpoint), builder(&context), loc(builder.getUnknownLoc()) {}

  OwningOpRef<ModuleOp> build(ArrayRef<Asset> assets);

private:
  void describe(ModuleOp module);
  void declareAssets(ArrayRef<Asset> assets);
  void reportLeftovers();

  const Model &model;
  Report &report;
  Checkpoint &checkpoint;
  OpBuilder builder;
  Location loc;
};

} // namespace

void ModuleBuilder::describe(ModuleOp module) {
  auto number = [&](llvm::StringRef name, int64_t value) { module->setAttr(name, builder.getI64IntegerAttr(value)); };
  module->setAttr("llm.family", builder.getStringAttr(model.family->name));
  number("llm.vocab", model.vocab);
  number("llm.hidden", model.hiddenSize());
  number("llm.layers", model.layers);
  number("llm.context", model.context);
  if (model.bos >= 0)
    number("llm.bos", model.bos);
  if (model.start >= 0)
    number("llm.decoder_start", model.start);
  if (model.family->padsMovePositions)
    module->setAttr("llm.pads_move_positions", builder.getUnitAttr());
  if (!model.eos.empty())
    module->setAttr("llm.eos", builder.getDenseI64ArrayAttr(model.eos));
}

void ModuleBuilder::declareAssets(ArrayRef<Asset> assets) {
  int64_t weightFiles = 0;
  for (const Asset &asset : assets) {
    std::string symbol = llm::stringifyAssetKind(asset.kind).str();
    if (asset.kind == llm::AssetKind::weights)
      symbol += std::to_string(weightFiles++);
    llm::AssetOp::create(builder, loc, symbol, asset.kind, asset.path);
  }
}

void StackBuilder::collectEmbeddings() {
  Collector whole(weights, {});
  int64_t size = model.family->embeddingWidenedLast ? model.outputSize() : model.hidden; // of what is summed
  whole.require("embed", {model.vocab, model.outputSize()});
  if (model.embeddingSize)
    whole.linear("embed_in", model.hidden, model.embeddingSize);
  whole.norm("embed_norm", size);
  if (model.family->learnedPositions)
    whole.require("position_embed", {model.context + model.family->positionOffset, size});
  if (model.tokenTypes)
    whole.require("type_embed", {model.tokenTypes, size});
  if (model.taskTypes)
    whole.require("task_embed", {model.taskTypes, size});
  if (model.buckets)
    whole.require("relative_bias", {model.buckets * model.heads});
  if (model.family->unitNorms)
    weights.useConstant(unitGain, model.hidden, {1.0f});
  if (!model.slopes.empty())
    weights.useConstant("slopes", model.heads, model.slopes);
  for (const RopeTable &table : model.ropes)
    if (table.fileFactors)
      whole.require("rope_factors", {table.dim / 2});
}

void StackBuilder::collectHead() {
  Collector whole(weights, {});
  if (!model.normAfter)
    whole.norm("norm", model.hidden);
  if (isSource || !hasHead())
    return;
  if (model.family->looksAhead) {
    whole.linear("head_dense", model.outputSize(), model.hidden);
    whole.norm("head_norm", model.outputSize());
  } else if (model.embeddingSize) {
    whole.linear("embed_out", model.embeddingSize, model.hidden);
  }
  if (!model.tied)
    whole.require("head", {model.vocab, model.outputSize()});
  whole.require("head_bias", {model.vocab});
}

void StackBuilder::declareWeights() {
  collectEmbeddings();
  for (const LayerKind &kind : model.kinds) {
    Collector collector(weights, kind.layers);
    for (const Sublayer &sublayer : kind.spec->sublayers) {
      if (!model.sharesNorm(sublayer))
        collector.norm(sublayer.norm, model.hidden);
      sublayer.part->weights(model, collector);
      collector.norm(sublayer.postNorm, model.hidden);
    }
  }
  collectHead();
  weights.declare(builder, loc);
}

void ModuleBuilder::reportLeftovers() {
  if (report.hasWrong()) // a tensor of a wrong shape has a place, though it was not taken
    return;
  SmallVector<llvm::StringRef> ignored(model.family->ignoredTensors);
  if (model.tied && model.container == Container::HuggingFace)
    ignored.push_back("lm_head.weight");
  for (const std::string &name : checkpoint.leftovers(ignored))
    report.unsupported("tensor " + quoteText(name) + " has no place in the graph of family " + model.family->name);
}

void StackBuilder::declareStates() {
  llvm::MapVector<const PartState *, std::set<int64_t>> users;
  for (const LayerKind &kind : model.kinds)
    for (const Sublayer &sublayer : kind.spec->sublayers)
      for (const PartState *state : sublayer.part->states)
        users[state].insert(kind.layers.begin(), kind.layers.end());
  for (auto &[state, layers] : users) {
    int64_t count = layers.size();
    Type type = state->type(model, count, weights.allFloat32(), builder.getContext());
    SmallVector<int64_t> list(layers.begin(), layers.end());
    llm::StateOp::create(builder, loc, builder.getStringAttr(prefix + state->symbol), TypeAttr::get(type),
                         count == model.layers ? nullptr : builder.getDenseI64ArrayAttr(list));
  }
}

func::FuncOp StackBuilder::function(const llvm::Twine &name, ArrayRef<Type> inputs, ArrayRef<Type> results) {
  auto function = func::FuncOp::create(builder, loc, name.str(), builder.getFunctionType(inputs, results));
  builder.setInsertionPointToStart(function.addEntryBlock());
  return function;
}

// What a part reads of `x`, if the layer normalises first.
Value StackBuilder::normBefore(FunctionBuilder &b, Value x, const Sublayer &sublayer) {
  return sublayer.norm.empty() || model.normAfter ? x : b.norm(x, sublayer.norm);
}

void StackBuilder::buildKind(const LayerKind &kind) {
  OpBuilder::InsertionGuard guard(builder);
  SmallVector<Type> inputs{rowType, builder.getIndexType(), batchType};
  for (const RopeTable &table : model.ropes)
    inputs.push_back(rows(table.dim));
  if (model.family->embeddingReachesLayers)
    inputs.push_back(rowType);
  func::FuncOp layer = function(prefix + kind.symbol, inputs, rowType);
  layer.setPrivate();
  FunctionBuilder b(model, &kind, builder, weights, prefix);
  b.layer = layer.getArgument(1), b.batch = layer.getArgument(2);
  SmallVector<Value> extra(layer.getArguments().drop_front(3));
  b.ropes = ArrayRef(extra).take_front(model.ropes.size());
  if (model.family->embeddingReachesLayers)
    b.embedding = extra.back();
  Value x = layer.getArgument(0), normed;
  for (auto [i, sublayer] : llvm::enumerate(kind.spec->sublayers)) {
    if (!model.sharesNorm(sublayer))
      normed = normBefore(b, model.parallel ? layer.getArgument(0) : x, sublayer);
    Value y = sublayer.part->build(b, normed);
    if (!sublayer.postNorm.empty())
      y = b.norm(y, sublayer.postNorm);
    y = b.scaled(y, model.residualScale, "scaled" + std::to_string(i));
    x = llm::AddOp::create(builder, b.at("residual" + std::to_string(i)), x, y);
    if (model.normAfter)
      x = b.norm(x, sublayer.norm);
  }
  func::ReturnOp::create(builder, loc, x);
}

Value StackBuilder::embed(FunctionBuilder &b) {
  Value x = llm::EmbeddingOp::create(builder, b.at("embed"), rows(model.outputSize()), b.batch, b.load("embed"),
                                     llm::IndexSource::tokens, llvm::APFloat(static_cast<float>(model.embeddingScale)));
  bool widenedLast = model.family->embeddingWidenedLast;
  if (model.embeddingSize && !widenedLast)
    x = b.linear(x, "embed_in");
  auto add = [&](llvm::StringRef role, llm::IndexSource index, int64_t offset, llvm::StringRef sum) {
    if (!b.has(role))
      return;
    Value row = llm::EmbeddingOp::create(builder, b.at(role), x.getType(), b.batch, b.load(role), index, llvm::APFloat(1.0f), offset);
    x = llm::AddOp::create(builder, b.at(sum), x, row);
  };
  add("type_embed", llm::IndexSource::token_types, 0, "type_sum");
  add("position_embed", llm::IndexSource::positions, model.family->positionOffset, "embed_sum");
  add("task_embed", llm::IndexSource::first, 0, "task_sum");
  if (b.has("embed_norm"))
    x = b.norm(x, "embed_norm");
  return model.embeddingSize && widenedLast ? b.linear(x, "embed_in") : x;
}

SmallVector<Value> StackBuilder::ropeTables(FunctionBuilder &b) {
  SmallVector<Value> tables;
  for (auto [i, table] : llvm::enumerate(model.ropes)) {
    Value factors = table.fileFactors ? b.load("rope_factors") : Value();
    tables.push_back(llm::RopeTableOp::create(builder, b.at("rope" + std::to_string(i)), rows(table.dim), b.batch,
                                              factors, llvm::APFloat(table.theta), table.scaling));
  }
  return tables;
}

Value StackBuilder::runLayers(FunctionBuilder &b, Value x) {
  SmallVector<Attribute> kinds;
  SmallVector<int32_t> order(model.layers);
  for (auto [i, kind] : llvm::enumerate(model.kinds)) {
    kinds.push_back(FlatSymbolRefAttr::get(builder.getContext(), (prefix + kind.symbol).str()));
    for (int64_t layer : kind.layers)
      order[layer] = i;
  }
  SmallVector<Value> extra(b.ropes);
  if (model.family->embeddingReachesLayers)
    extra.push_back(x);
  return llm::LayersOp::create(builder, b.at("layers"), rowType, x, b.batch, extra, builder.getArrayAttr(kinds), order);
}

// The vocabulary product of the rows that are wanted.
Value StackBuilder::head(FunctionBuilder &b, Value x) {
  if (model.family->looksAhead) {
    x = b.linear(x, "head_dense");
    x = b.norm(llm::ActivationOp::create(builder, b.at("head_activation"), x, model.activation), "head_norm");
  }
  Value weight = b.load(model.tied ? "embed" : "head");
  SmallVector<Value> biases;
  if (b.has("head_bias"))
    biases.push_back(b.load("head_bias"));
  Value logits = llm::LinearOp::create(builder, b.at("head"), x, ValueRange(weight), biases).getResult(0);
  logits = b.scaled(logits, model.logitScale, "scaled");
  if (model.logitSoftcap > 0)
    logits = llm::SoftcapOp::create(builder, b.at("logits"), logits, llvm::APFloat(model.logitSoftcap));
  return logits;
}

// From tokens to what the last layer gives.
Value StackBuilder::stack(FunctionBuilder &b) {
  Value x = embed(b);
  SmallVector<Value> tables = ropeTables(b);
  b.ropes = tables;
  return runLayers(b, x);
}

void StackBuilder::buildLayers() {
  declareStates();
  for (const LayerKind &kind : model.kinds)
    buildKind(kind);
}

void StackBuilder::build() {
  buildLayers();
  OpBuilder::InsertionGuard guard(builder);
  SmallVector<Type> results{rows(model.hiddenSize())};
  if (hasHead())
    results.insert(results.begin(), rows(model.vocab));
  func::FuncOp step = function("step", batchType, results);
  FunctionBuilder b(model, nullptr, builder, weights, prefix);
  b.batch = step.getArgument(0);
  Value x = stack(b);
  x = llm::SelectRowsOp::create(builder, b.at("selected"), rowType, x, b.batch);
  b.normEps = model.family->finalNormEps ? model.family->finalNormEps : model.eps;
  Value hidden = model.normAfter ? x : b.norm(x, "norm");
  if (b.has("embed_out"))
    hidden = b.linear(hidden, "embed_out");
  SmallVector<Value> values{hidden};
  if (hasHead())
    values.insert(values.begin(), head(b, hidden));
  func::ReturnOp::create(builder, loc, values);
}

void StackBuilder::buildSource(StackBuilder &decoder) {
  buildLayers();
  func::FuncOp cross = decoder.buildCross();
  OpBuilder::InsertionGuard guard(builder);
  func::FuncOp encode = function("encode", batchType, rowType);
  FunctionBuilder b(model, nullptr, builder, weights, prefix);
  b.batch = encode.getArgument(0);
  Value x = stack(b);
  Value hidden = model.normAfter ? x : b.norm(x, "norm");
  SmallVector<int32_t> order(decoder.model.layers, 0);
  Value left = llm::LayersOp::create(builder, b.at("cross"), rowType, hidden, b.batch, ValueRange(),
                                     builder.getArrayAttr(FlatSymbolRefAttr::get(cross)), order);
  func::ReturnOp::create(builder, loc, llm::SelectRowsOp::create(builder, b.at("selected"), rowType, left, b.batch).getResult());
}

// Keys and values of one of our layers, of what the encoder gives; passes that on.
func::FuncOp StackBuilder::buildCross() {
  OpBuilder::InsertionGuard guard(builder);
  RankedTensorType given = rows(model.encoder->hidden);
  func::FuncOp cross = function("enc.cross", {given, builder.getIndexType(), batchType}, given);
  cross.setPrivate();
  FunctionBuilder b(model, &model.kinds.front(), builder, weights, prefix);
  Value x = cross.getArgument(0);
  b.layer = cross.getArgument(1), b.batch = cross.getArgument(2);
  llm::AppendOp::create(builder, b.at("cross_append"), b.linear(x, "blk.cross_k"), b.linear(x, "blk.cross_v"), b.layer, b.batch, "cross");
  func::ReturnOp::create(builder, loc, x);
  return cross;
}

OwningOpRef<ModuleOp> ModuleBuilder::build(ArrayRef<Asset> assets) {
  OwningOpRef<ModuleOp> module = ModuleOp::create(loc);
  builder.setInsertionPointToEnd(module->getBody());
  describe(*module);
  declareAssets(assets);
  StackBuilder stack(builder, model, checkpoint, report, /*isSource=*/false);
  std::optional<StackBuilder> source;
  stack.declareWeights();
  if (model.encoder)
    source.emplace(builder, *model.encoder, checkpoint, report, /*isSource=*/true).declareWeights();
  reportLeftovers();
  if (!report.ok())
    return module;
  if (source)
    source->buildSource(stack);
  stack.build();
  return module;
}

OwningOpRef<ModuleOp> frontends::buildModule(MLIRContext &context, const Model &model, Checkpoint &checkpoint,
                                             ArrayRef<Asset> assets, Report &report) {
  return ModuleBuilder(context, model, checkpoint, report).build(assets);
}
