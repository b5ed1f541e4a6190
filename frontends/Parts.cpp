#include "frontends/Parts.h"

using namespace mlir;
using namespace llmc;
using namespace llmc::frontends;

Value LayerBuilder::linear(Value x, llvm::StringRef role) {
  std::string bias = (role + "_bias").str();
  Value weight = load(role);
  SmallVector<Value> biases;
  if (has(bias))
    biases.push_back(load(bias));
  Value y = llm::LinearOp::create(builder, at(role), x, ValueRange(weight), biases).getResult(0);
  std::string in = (role + "_adapter_in").str(), out = (role + "_adapter_out").str();
  if (!has(out))
    return y;
  Value inner = llm::LinearOp::create(builder, at(in), x, ValueRange(load(in))).getResult(0);
  Value delta = llm::LinearOp::create(builder, at(out), inner, ValueRange(load(out))).getResult(0);
  return llm::AddOp::create(builder, at((role + "_adapted").str()), y, delta);
}

Value LayerBuilder::norm(Value x, llvm::StringRef role) {
  llvm::APFloat eps(normEps);
  Value gain = load(has(role) ? role : unitGain);
  if (model.family->norm == llm::NormKind::layer) {
    std::string bias = (role + "_bias").str();
    return llm::LayerNormOp::create(builder, at(role), x, gain, has(bias) ? load(bias) : Value(), eps);
  }
  double offset = model.container == Container::HuggingFace ? model.family->normOffset : 0;
  return llm::RMSNormOp::create(builder, at(role), x, gain, eps, llvm::APFloat(offset));
}

Value LayerBuilder::scaled(Value x, double factor, llvm::StringRef name) {
  return factor == 1 ? x : llm::ScaleOp::create(builder, at(name), x, llvm::APFloat(factor)).getResult();
}

Location LayerBuilder::at(llvm::StringRef name) const {
  name.consume_front("blk.");
  return NameLoc::get(builder.getStringAttr(prefix + (kind ? kind->symbol + "." + name : llvm::Twine(name))));
}

//===----------------------------------------------------------------------===//
// Attention
//===----------------------------------------------------------------------===//

static void attentionWeights(const Model &model, WeightList &list) {
  for (llvm::StringRef role : {"blk.q", "blk.k", "blk.v"})
    list.linear(role, model.rowsOf(role), model.attentionInput ? model.attentionInput : model.hidden);
  list.require("blk.attn_gate", {model.heads * model.headDim, model.hidden});
  list.linear("blk.o", model.hidden, model.heads * model.headDim);
  bool wide = model.family->wideHeadNorms;
  list.require("blk.q_norm", {wide ? model.rowsOf("blk.q") : model.headDim});
  list.require("blk.k_norm", {wide ? model.rowsOf("blk.k") : model.headDim});
  list.require("blk.sinks", {model.heads});
}

static Value clamped(LayerBuilder &b, Value x, llvm::StringRef name) {
  if (b.model.qkvClamp == 0)
    return x;
  return llm::ClampOp::create(b.builder, b.at(name), x, llvm::APFloat(b.model.qkvClamp));
}

static Value turned(LayerBuilder &b, Value x, llvm::StringRef normRole, llvm::StringRef name) {
  if (b.has(normRole))
    x = b.norm(x, normRole);
  x = clamped(b, x, name);
  if (b.kind->rope < 0)
    return x;
  const Model &model = b.model;
  llm::RotaryStyle style = model.container == Container::Gguf ? model.family->ggufRotary : model.family->rotary;
  auto rotary = llm::RotaryAttr::get(b.builder.getContext(), style, model.ropes[b.kind->rope].dim);
  return llm::RopeOp::create(b.builder, b.at(name), x, b.ropes[b.kind->rope], static_cast<uint64_t>(model.headDim),
                             rotary);
}

static llm::RelativeAttr relativeOf(const Model &model, MLIRContext *context) {
  return model.buckets ? llm::RelativeAttr::get(context, model.maxDistance, model.family->relative.both) : llm::RelativeAttr();
}

static Value buildAttention(LayerBuilder &b, Value x) {
  Value q = turned(b, b.linear(x, "blk.q"), "blk.q_norm", "q_rope");
  Value k = turned(b, b.linear(x, "blk.k"), "blk.k_norm", "k_rope");
  Value v = clamped(b, b.linear(x, "blk.v"), "v_clamp");
  auto orNone = [&](llvm::StringRef role) { return b.has(role) ? b.load(role) : Value(); };
  Value y = llm::AttentionOp::create(b.builder, b.at("attention"), q.getType(), q, k, v, b.layer, b.batch, Value(),
                                     Value(), Value(), orNone("blk.sinks"), orNone("slopes"), orNone("relative_bias"), (b.prefix + "kv").str(), llvm::APFloat(b.model.attentionScale),
                                     static_cast<uint64_t>(b.kind->window), llvm::APFloat(b.model.attentionSoftcap),
                                     llm::RotaryAttr(), llm::NormAttr(), relativeOf(b.model, b.builder.getContext()),
                                     b.model.family->looksAhead ? llm::Mask::full : llm::Mask::causal);
  if (b.has("blk.attn_gate"))
    y = llm::GLUOp::create(b.builder, b.at("attn_gated"), b.linear(x, "blk.attn_gate"), y, llm::Activation::sigmoid);
  return b.linear(y, "blk.o");
}

static Type cacheType(const Model &model, int64_t layers, bool floatCache, MLIRContext *context) {
  Type element = floatCache ? Type(Float32Type::get(context)) : Type(Float16Type::get(context));
  return llm::KVCacheType::get(context, layers, model.kvHeads, model.headDim, element);
}

const PartState frontends::kvCache = {"kv", cacheType};
static const PartState *const attentionStates[] = {&kvCache};
const Part frontends::attention = {attentionWeights, buildAttention, attentionStates};

static void crossWeights(const Model &model, WeightList &list) {
  list.linear("blk.cross_q", model.heads * model.headDim, model.hidden);
  list.linear("blk.cross_k", model.kvHeads * model.headDim, model.encoder->hidden);
  list.linear("blk.cross_v", model.kvHeads * model.headDim, model.encoder->hidden);
  list.linear("blk.cross_o", model.hidden, model.heads * model.headDim);
}

static Value buildCross(LayerBuilder &b, Value x) {
  Value q = b.linear(x, "blk.cross_q");
  Value y = llm::CrossAttentionOp::create(b.builder, b.at("cross_attention"), q, b.layer, b.batch, "cross", llvm::APFloat(b.model.attentionScale));
  return b.linear(y, "blk.cross_o");
}

static const PartState crossCache = {"cross", cacheType};
static const PartState *const crossStates[] = {&crossCache};
const Part frontends::crossAttention = {crossWeights, buildCross, crossStates};

//===----------------------------------------------------------------------===//
// Feed-forward
//===----------------------------------------------------------------------===//

static void gatedWeights(const Model &model, WeightList &list) {
  list.linear("blk.gate", model.ffn, model.hidden);
  list.linear("blk.up", model.ffn, model.hidden);
  list.linear("blk.down", model.hidden, model.ffn);
}

static Value buildGated(LayerBuilder &b, Value x) {
  Value gate = b.linear(x, "blk.gate"), up = b.linear(x, "blk.up");
  return b.linear(llm::GLUOp::create(b.builder, b.at("glu"), gate, up, b.model.activation), "blk.down");
}

const Part frontends::gatedMlp = {gatedWeights, buildGated};

static void plainWeights(const Model &model, WeightList &list) {
  list.linear("blk.up", model.ffn, model.hidden);
  list.linear("blk.down", model.hidden, model.ffn);
}

static Value buildPlain(LayerBuilder &b, Value x) {
  Value up = b.linear(x, "blk.up");
  return b.linear(llm::ActivationOp::create(b.builder, b.at("activation"), up, b.model.activation), "blk.down");
}

const Part frontends::plainMlp = {plainWeights, buildPlain};
