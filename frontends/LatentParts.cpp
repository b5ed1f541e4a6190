// Latent attention in its absorbed form: the projection of the latent to keys goes into the queries, that to values into the
// result, so that the cache holds latents alone. Source: arXiv:2405.04434, section 2.1.
#include "frontends/Parts.h"

using namespace mlir;
using namespace llmc;
using namespace llmc::frontends;

static void latentWeights(const Model &model, WeightList &list) {
  const Latent &mla = model.mla;
  int64_t queries = model.heads * (mla.still + model.headDim);
  if (mla.queryRank) {
    list.linear("blk.q_a", mla.queryRank, model.hidden);
    list.require("blk.q_a_norm", {mla.queryRank});
    list.require("blk.q_b", {queries, mla.queryRank});
  } else {
    list.require("blk.q", {queries, model.hidden});
  }
  list.linear("blk.kv_a", mla.rank + model.headDim, model.hidden);
  list.require("blk.kv_a_norm", {mla.rank});
  list.require("blk.k_b", {model.heads, mla.rank, mla.still});
  list.require("blk.v_b", {model.heads, mla.value, mla.rank});
  list.linear("blk.o", model.hidden, model.heads * mla.value);
}

static Value queries(LayerBuilder &b, Value x) {
  if (!b.model.mla.queryRank)
    return b.linear(x, "blk.q");
  Value low = b.linear(x, "blk.q_a");
  low = llm::RMSNormOp::create(b.builder, b.at("q_a_norm"), low, b.load("blk.q_a_norm"), llvm::APFloat(b.model.mla.normEps),
                               llvm::APFloat(0.0));
  return b.linear(low, "blk.q_b");
}

static Value grouped(LayerBuilder &b, Value x, llvm::StringRef role) {
  Value weight = b.load(role);
  ArrayRef<int64_t> shape = cast<RankedTensorType>(weight.getType()).getShape();
  auto type = RankedTensorType::get({ShapedType::kDynamic, shape[0] * shape[1]}, b.builder.getF32Type());
  return llm::GroupedLinearOp::create(b.builder, b.at(role), type, x, weight, Value());
}

static Value buildLatent(LayerBuilder &b, Value x) {
  const Latent &mla = b.model.mla;
  MLIRContext *context = b.builder.getContext();
  Value q = queries(b, x), kv = b.linear(x, "blk.kv_a"), absorbed = grouped(b, q, "blk.k_b");
  auto norm = llm::NormAttr::get(context, llm::NormKind::rms, mla.normEps, 0.0);
  auto rotary = llm::RotaryAttr::get(context, mla.interleaved ? llm::RotaryStyle::interleaved : llm::RotaryStyle::half, b.model.headDim);
  Value y = llm::LatentAttentionOp::create(b.builder, b.at("attention"), absorbed.getType(), q, absorbed, kv, b.load("blk.kv_a_norm"),
                                           b.ropes[b.kind->rope], b.layer, b.batch, "kv", llvm::APFloat(b.model.attentionScale), norm, rotary);
  return b.linear(grouped(b, y, "blk.v_b"), "blk.o");
}

static Type cacheType(const Model &model, int64_t layers, bool floatCache, MLIRContext *context) {
  Type element = floatCache ? Type(Float32Type::get(context)) : Type(Float16Type::get(context));
  return llm::KVCacheType::get(context, layers, /*kv_heads=*/1, model.mla.rank + model.headDim, model.mla.rank, element);
}

static const PartState latentCache = {"kv", cacheType};
static const PartState *const states[] = {&latentCache};
const Part frontends::latentAttention = {latentWeights, buildLatent, states};
