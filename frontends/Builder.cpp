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
  FunctionBuilder(const Model &model, const LayerKind *kind, OpBuilder &builder, const Weights &weights)
      : LayerBuilder(model, kind, builder), weights(weights) {}
  bool has(llvm::StringRef role) const override { return static_cast<bool>(weights.valueType(role)); }
  Value load(llvm::StringRef role) override {
    return llm::WeightLoadOp::create(builder, at(role), weights.valueType(role), role, weights.isOfModel(role) ? Value() : layer);
  }

private:
  const Weights &weights;
};

class ModuleBuilder {
public:
  ModuleBuilder(MLIRContext &context, const Model &model, Checkpoint &checkpoint, Report &report)
      : model(model), report(report), checkpoint(checkpoint), weights(model, checkpoint, report), builder(&context),
        loc(builder.getUnknownLoc()), batchType(llm::BatchType::get(&context)), rowType(rows(model.hidden)) {}

  OwningOpRef<ModuleOp> build(ArrayRef<Asset> assets);

private:
  RankedTensorType rows(int64_t columns) {
    return RankedTensorType::get({ShapedType::kDynamic, columns}, builder.getF32Type());
  }
  void describe(ModuleOp module);
  void declareAssets(ArrayRef<Asset> assets);
  void collectWeights();
  void reportLeftovers();
  void declareStates();
  Value normBefore(FunctionBuilder &b, Value x, const Sublayer &sublayer);
  void buildKind(const LayerKind &kind);
  void buildStep();
  Value embed(FunctionBuilder &b);
  SmallVector<Value> ropeTables(FunctionBuilder &b);
  Value runLayers(FunctionBuilder &b, Value x);
  Value head(FunctionBuilder &b, Value x);
  func::FuncOp function(llvm::StringRef name, ArrayRef<Type> inputs, ArrayRef<Type> results);

  const Model &model;
  Report &report;
  Checkpoint &checkpoint;
  Weights weights;
  OpBuilder builder;
  Location loc;
  Type batchType;
  RankedTensorType rowType;
};

} // namespace

void ModuleBuilder::describe(ModuleOp module) {
  auto number = [&](llvm::StringRef name, int64_t value) { module->setAttr(name, builder.getI64IntegerAttr(value)); };
  module->setAttr("llm.family", builder.getStringAttr(model.family->name));
  number("llm.vocab", model.vocab);
  number("llm.hidden", model.outputSize());
  number("llm.layers", model.layers);
  number("llm.context", model.context);
  if (model.bos >= 0)
    number("llm.bos", model.bos);
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

void ModuleBuilder::collectWeights() {
  Collector whole(weights, {});
  whole.require("embed", {model.vocab, model.outputSize()});
  if (model.embeddingSize)
    whole.linear("embed_in", model.hidden, model.embeddingSize);
  whole.norm("embed_norm", model.hidden);
  if (model.family->learnedPositions)
    whole.require("position_embed", {model.context + model.family->positionOffset, model.hidden});
  if (model.family->unitNorms)
    weights.useConstant(unitGain, model.hidden, {1.0f});
  if (!model.slopes.empty())
    weights.useConstant("slopes", model.heads, model.slopes);
  for (const RopeTable &table : model.ropes)
    if (table.fileFactors)
      whole.require("rope_factors", {table.dim / 2});
  for (const LayerKind &kind : model.kinds) {
    Collector collector(weights, kind.layers);
    for (const Sublayer &sublayer : kind.spec->sublayers) {
      if (!model.sharesNorm(sublayer))
        collector.norm(sublayer.norm, model.hidden);
      sublayer.part->weights(model, collector);
      collector.norm(sublayer.postNorm, model.hidden);
    }
  }
  if (!model.normAfter)
    whole.norm("norm", model.hidden);
  if (model.embeddingSize)
    whole.linear("embed_out", model.embeddingSize, model.hidden);
  if (!model.tied)
    whole.require("head", {model.vocab, model.outputSize()});
  whole.require("head_bias", {model.vocab});
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

void ModuleBuilder::declareStates() {
  llvm::MapVector<const PartState *, std::set<int64_t>> users;
  for (const LayerKind &kind : model.kinds)
    for (const Sublayer &sublayer : kind.spec->sublayers)
      for (const PartState *state : sublayer.part->states)
        users[state].insert(kind.layers.begin(), kind.layers.end());
  for (auto &[state, layers] : users) {
    int64_t count = layers.size();
    Type type = state->type(model, count, weights.allFloat32(), builder.getContext());
    SmallVector<int64_t> list(layers.begin(), layers.end());
    llm::StateOp::create(builder, loc, builder.getStringAttr(state->symbol), TypeAttr::get(type),
                         count == model.layers ? nullptr : builder.getDenseI64ArrayAttr(list));
  }
}

func::FuncOp ModuleBuilder::function(llvm::StringRef name, ArrayRef<Type> inputs, ArrayRef<Type> results) {
  auto function = func::FuncOp::create(builder, loc, name, builder.getFunctionType(inputs, results));
  builder.setInsertionPointToStart(function.addEntryBlock());
  return function;
}

// What a part reads of `x`, if the layer normalises first.
Value ModuleBuilder::normBefore(FunctionBuilder &b, Value x, const Sublayer &sublayer) {
  return sublayer.norm.empty() || model.normAfter ? x : b.norm(x, sublayer.norm);
}

void ModuleBuilder::buildKind(const LayerKind &kind) {
  OpBuilder::InsertionGuard guard(builder);
  SmallVector<Type> inputs{rowType, builder.getIndexType(), batchType};
  for (const RopeTable &table : model.ropes)
    inputs.push_back(rows(table.dim));
  if (model.family->embeddingReachesLayers)
    inputs.push_back(rowType);
  func::FuncOp layer = function(kind.symbol, inputs, rowType);
  layer.setPrivate();
  FunctionBuilder b(model, &kind, builder, weights);
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

Value ModuleBuilder::embed(FunctionBuilder &b) {
  Value x = llm::EmbeddingOp::create(builder, b.at("embed"), rows(model.outputSize()), b.batch, b.load("embed"),
                                     llm::IndexSource::tokens, llvm::APFloat(static_cast<float>(model.embeddingScale)));
  if (model.embeddingSize)
    x = b.linear(x, "embed_in");
  if (model.family->learnedPositions) {
    Value position =
        llm::EmbeddingOp::create(builder, b.at("position_embed"), rowType, b.batch, b.load("position_embed"),
                                 llm::IndexSource::positions, llvm::APFloat(1.0f), model.family->positionOffset);
    x = llm::AddOp::create(builder, b.at("embed_sum"), x, position);
  }
  return b.has("embed_norm") ? b.norm(x, "embed_norm") : x;
}

SmallVector<Value> ModuleBuilder::ropeTables(FunctionBuilder &b) {
  SmallVector<Value> tables;
  for (auto [i, table] : llvm::enumerate(model.ropes)) {
    Value factors = table.fileFactors ? b.load("rope_factors") : Value();
    tables.push_back(llm::RopeTableOp::create(builder, b.at("rope" + std::to_string(i)), rows(table.dim), b.batch,
                                              factors, llvm::APFloat(table.theta), table.scaling));
  }
  return tables;
}

Value ModuleBuilder::runLayers(FunctionBuilder &b, Value x) {
  SmallVector<Attribute> kinds;
  SmallVector<int32_t> order(model.layers);
  for (auto [i, kind] : llvm::enumerate(model.kinds)) {
    kinds.push_back(FlatSymbolRefAttr::get(builder.getContext(), kind.symbol));
    for (int64_t layer : kind.layers)
      order[layer] = i;
  }
  SmallVector<Value> extra(b.ropes);
  if (model.family->embeddingReachesLayers)
    extra.push_back(x);
  return llm::LayersOp::create(builder, b.at("layers"), rowType, x, b.batch, extra, builder.getArrayAttr(kinds), order);
}

// The vocabulary product of the rows that are wanted.
Value ModuleBuilder::head(FunctionBuilder &b, Value x) {
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

void ModuleBuilder::buildStep() {
  OpBuilder::InsertionGuard guard(builder);
  func::FuncOp step = function("step", batchType, {rows(model.vocab), rows(model.outputSize())});
  FunctionBuilder b(model, nullptr, builder, weights);
  b.batch = step.getArgument(0);
  Value x = embed(b);
  SmallVector<Value> tables = ropeTables(b);
  b.ropes = tables;
  x = runLayers(b, x);
  x = llm::SelectRowsOp::create(builder, b.at("selected"), rowType, x, b.batch);
  b.normEps = model.family->finalNormEps ? model.family->finalNormEps : model.eps;
  Value hidden = model.normAfter ? x : b.norm(x, "norm");
  if (model.embeddingSize)
    hidden = b.linear(hidden, "embed_out");
  func::ReturnOp::create(builder, loc, ValueRange{head(b, hidden), hidden});
}

OwningOpRef<ModuleOp> ModuleBuilder::build(ArrayRef<Asset> assets) {
  OwningOpRef<ModuleOp> module = ModuleOp::create(loc);
  builder.setInsertionPointToEnd(module->getBody());
  describe(*module);
  declareAssets(assets);
  collectWeights();
  weights.declare(builder, loc);
  reportLeftovers();
  if (!report.ok())
    return module;
  declareStates();
  for (const LayerKind &kind : model.kinds)
    buildKind(kind);
  buildStep();
  return module;
}

OwningOpRef<ModuleOp> frontends::buildModule(MLIRContext &context, const Model &model, Checkpoint &checkpoint,
                                             ArrayRef<Asset> assets, Report &report) {
  return ModuleBuilder(context, model, checkpoint, report).build(assets);
}
