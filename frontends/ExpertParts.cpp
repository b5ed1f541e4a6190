// Feed-forward parts of experts: a router, the experts that it chooses, and perhaps one that all tokens share.
#include "frontends/Parts.h"

using namespace mlir;
using namespace llmc;
using namespace llmc::frontends;

static void routedWeights(const Model &model, WeightList &list) {
  const Experts &moe = model.moe;
  list.linear("blk.router", moe.count, model.hidden);
  list.require("blk.router_correction", {moe.count});
  auto experts = [&](llvm::StringRef role, int64_t rows, int64_t columns) {
    list.require(role, {moe.count, rows, columns});
    list.require((role + "_bias").str(), {moe.count, rows, 1});
  };
  if (model.family->expertShape.gated)
    experts("blk.gate_exps", moe.ffn, model.hidden);
  experts("blk.up_exps", moe.ffn, model.hidden);
  experts("blk.down_exps", model.hidden, moe.ffn);
  if (!moe.sharedFfn)
    return;
  if (model.family->expertShape.gated)
    list.linear("blk.gate_shexp", moe.sharedFfn, model.hidden);
  list.linear("blk.up_shexp", moe.sharedFfn, model.hidden);
  list.linear("blk.down_shexp", model.hidden, moe.sharedFfn);
  list.linear("blk.shexp_gate", 1, model.hidden);
}

static llm::RouteOp route(LayerBuilder &b, Value x) {
  const Experts &moe = b.model.moe;
  Value logits = b.linear(x, "blk.router");
  Value correction = b.has("blk.router_correction") ? b.load("blk.router_correction") : Value();
  auto chosen = [&](Type element) { return RankedTensorType::get({ShapedType::kDynamic, moe.top}, element); };
  return llm::RouteOp::create(b.builder, b.at("route"), chosen(b.builder.getI32Type()), chosen(b.builder.getF32Type()), logits,
                              correction, moe.scores, static_cast<uint64_t>(moe.top), static_cast<uint64_t>(moe.groups),
                              static_cast<uint64_t>(moe.topGroups), moe.groupScore, moe.normalize, llvm::APFloat(moe.epsilon),
                              llvm::APFloat(moe.scale));
}

static Value routedExperts(LayerBuilder &b, Value x) {
  const Experts &moe = b.model.moe;
  llm::RouteOp chosen = route(b, x);
  auto orNone = [&](llvm::StringRef role) { return b.has(role) ? b.load(role) : Value(); };
  auto limits = moe.limit > 0 ? llm::GLULimitsAttr::get(b.builder.getContext(), moe.alpha, moe.limit, moe.offset) : nullptr;
  Value gate = orNone("blk.gate_exps"), up = b.load("blk.up_exps"), down = b.load("blk.down_exps");
  return llm::ExpertsOp::create(b.builder, b.at("experts"), x.getType(), x, chosen.getExperts(), chosen.getWeights(), gate, up, down,
                                orNone("blk.gate_exps_bias"), orNone("blk.up_exps_bias"), orNone("blk.down_exps_bias"),
                                b.model.activation, limits);
}

static Value sharedExpert(LayerBuilder &b, Value x) {
  Value gate = b.has("blk.gate_shexp") ? b.linear(x, "blk.gate_shexp") : Value(), hidden = b.linear(x, "blk.up_shexp");
  if (gate)
    hidden = llm::GLUOp::create(b.builder, b.at("shexp_glu"), gate, hidden, b.model.activation);
  else
    hidden = llm::ActivationOp::create(b.builder, b.at("shexp_activation"), hidden, b.model.activation);
  Value y = b.linear(hidden, "blk.down_shexp");
  if (!b.has("blk.shexp_gate"))
    return y;
  Value share = llm::ActivationOp::create(b.builder, b.at("shexp_share"), b.linear(x, "blk.shexp_gate"), llm::Activation::sigmoid);
  return llm::MulOp::create(b.builder, b.at("shexp_shared"), y, share);
}

static Value buildRouted(LayerBuilder &b, Value x) {
  Value y = routedExperts(b, x);
  return b.model.moe.sharedFfn ? llm::AddOp::create(b.builder, b.at("experts_sum"), y, sharedExpert(b, x)).getResult() : y;
}

const Part frontends::routedMlp = {routedWeights, buildRouted};
