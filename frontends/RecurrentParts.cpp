// Mixers that carry a state of fixed size from token to token: convolutions and scans. Roles are those of Model::rowsOf.
#include "frontends/RecurrentParts.h"

#include <cmath>

using namespace mlir;
using namespace llmc;
using namespace llmc::frontends;

//===----------------------------------------------------------------------===//
// What they share
//===----------------------------------------------------------------------===//

static Type tailType(const Model &model, int64_t layers, int64_t taps, MLIRContext *context, int64_t channels) {
  return llm::ConvTailType::get(context, layers, channels, taps);
}

static Type convType(const Model &model, int64_t layers, bool, MLIRContext *context) {
  return tailType(model, layers, model.ssm.taps - 1, context, model.ssm.convChannels);
}
static Type shiftType(const Model &model, int64_t layers, bool, MLIRContext *context) {
  return tailType(model, layers, 1, context, model.hidden);
}
const PartState frontends::convTail = {"conv_tail", convType};
static const PartState timeShift = {"time_shift", shiftType}, channelShift = {"channel_shift", shiftType};

static Value convolution(LayerBuilder &b, Value x, std::optional<llm::Activation> activation) {
  Value bias = b.has("blk.conv_bias") ? b.load("blk.conv_bias") : Value();
  return llm::CausalConvOp::create(b.builder, b.at("conv"), x, b.load("blk.conv"), bias, b.layer, b.batch, "conv_tail",
                                   activation);
}

static void convolutionWeights(const Model &model, WeightList &list) {
  list.linear("blk.conv", model.ssm.convChannels, model.ssm.taps);
}

static Value columns(LayerBuilder &b, Value x, int64_t begin, int64_t count, llvm::StringRef name) {
  return llm::ColumnsOp::create(b.builder, b.at(name), x, begin, count);
}

static Value activated(LayerBuilder &b, Value x, llm::Activation activation, llvm::StringRef name) {
  return llm::ActivationOp::create(b.builder, b.at(name), x, activation);
}

// activation(gate) * x
static Value gated(LayerBuilder &b, Value gate, Value x, llm::Activation activation, llvm::StringRef name) {
  return llm::GLUOp::create(b.builder, b.at(name), gate, x, activation);
}

namespace {
// The operands of llm.scan; a value that the kind has not is null.
struct Scan {
  llm::ScanKind kind;
  llm::DecayForm form;
  Value a, step, input, output, beta, skip;
};
} // namespace

static Value scan(LayerBuilder &b, Value x, const Scan &operands) {
  DenseF64ArrayAttr limit;
  const Recurrence &ssm = b.model.ssm;
  constexpr double unbounded = std::numeric_limits<float>::max();
  if (operands.step && (ssm.minStep > 0 || std::isfinite(ssm.maxStep)))
    limit = b.builder.getDenseF64ArrayAttr({ssm.minStep, std::min(ssm.maxStep, unbounded)});
  return llm::ScanOp::create(b.builder, b.at("scan"), x.getType(), operands.kind, x, b.layer, b.batch, "recurrent",
                             operands.form, operands.a, operands.step, operands.input, operands.output, operands.beta,
                             operands.skip, limit, uint64_t(0));
}

//===----------------------------------------------------------------------===//
// Short convolution (LFM2): out(C * conv(B * x)), (B, C, x) = in(x)
//===----------------------------------------------------------------------===//

static constexpr llvm::StringRef shortIn[] = {"blk.ssm_b_gate", "blk.ssm_c_gate", "blk.ssm_in"};

static void shortWeights(const Model &model, WeightList &list) {
  for (llvm::StringRef role : shortIn)
    list.linear(role, model.hidden, model.hidden);
  convolutionWeights(model, list);
  list.linear("blk.ssm_out", model.hidden, model.hidden);
}

static Value buildShort(LayerBuilder &b, Value x) {
  Value before = b.linear(x, "blk.ssm_b_gate"), after = b.linear(x, "blk.ssm_c_gate"), inner = b.linear(x, "blk.ssm_in");
  inner = llm::MulOp::create(b.builder, b.at("gated_in"), inner, before);
  inner = convolution(b, inner, std::nullopt);
  return b.linear(llm::MulOp::create(b.builder, b.at("gated_out"), inner, after), "blk.ssm_out");
}

static const PartState *const shortStates[] = {&convTail};
const Part frontends::shortConvolution = {shortWeights, buildShort, shortStates};

//===----------------------------------------------------------------------===//
// Mamba: one state for each channel
//===----------------------------------------------------------------------===//

// GGUF stores the rates themselves.
static llm::DecayForm decayForm(LayerBuilder &b) {
  return b.model.container == Container::Gguf ? llm::DecayForm::rate : llm::DecayForm::neg_exp;
}

static Type diagonalType(const Model &model, int64_t layers, bool, MLIRContext *context) {
  return llm::RecurrentType::get(context, layers, {model.ssm.channels, model.ssm.stateSize});
}
static const PartState diagonalState = {"recurrent", diagonalType};

static void mambaWeights(const Model &model, WeightList &list) {
  const Recurrence &ssm = model.ssm;
  list.linear("blk.ssm_x", ssm.channels, model.hidden);
  list.linear("blk.ssm_z", ssm.channels, model.hidden);
  convolutionWeights(model, list);
  list.require("blk.ssm_rank", {ssm.rank, ssm.channels});
  list.require("blk.ssm_b", {ssm.stateSize, ssm.channels});
  list.require("blk.ssm_c", {ssm.stateSize, ssm.channels});
  list.require("blk.ssm_rank_norm", {ssm.rank});
  list.require("blk.ssm_b_norm", {ssm.stateSize});
  list.require("blk.ssm_c_norm", {ssm.stateSize});
  list.linear("blk.ssm_step", ssm.channels, ssm.rank);
  list.require("blk.ssm_a", {ssm.channels, ssm.stateSize});
  list.require("blk.ssm_d", {ssm.channels});
  list.linear("blk.ssm_out", model.hidden, ssm.channels);
}

// The products that follow the convolution, normalised where the family has it (Jamba, Falcon Mamba).
static Value selected(LayerBuilder &b, Value x, llvm::StringRef role) {
  Value y = b.linear(x, role);
  std::string norm = (role + "_norm").str();
  if (b.model.ssm.selectedEps > 0) {
    auto all = static_cast<uint64_t>(llvm::cast<RankedTensorType>(y.getType()).getDimSize(1));
    return llm::UnitNormOp::create(b.builder, b.at(norm), y, all, llvm::APFloat(b.model.ssm.selectedEps));
  }
  return b.has(norm) ? b.norm(y, norm) : y;
}

static Value buildMamba(LayerBuilder &b, Value x) {
  Value z = b.linear(x, "blk.ssm_z");
  Value inner = convolution(b, b.linear(x, "blk.ssm_x"), b.model.activation);
  Value step = b.linear(selected(b, inner, "blk.ssm_rank"), "blk.ssm_step");
  step = activated(b, step, llm::Activation::softplus, "step");
  Value y = scan(b, inner,
                 {.kind = llm::ScanKind::diagonal,
                  .form = decayForm(b),
                  .a = b.load("blk.ssm_a"),
                  .step = step,
                  .input = selected(b, inner, "blk.ssm_b"),
                  .output = selected(b, inner, "blk.ssm_c"),
                  .beta = {},
                  .skip = b.load("blk.ssm_d")});
  return b.linear(gated(b, z, y, llm::Activation::silu, "gated"), "blk.ssm_out");
}

static const PartState *const mambaStates[] = {&convTail, &diagonalState};
const Part frontends::mamba = {mambaWeights, buildMamba, mambaStates};

//===----------------------------------------------------------------------===//
// Mamba-2: a matrix for each head, one decay a head
//===----------------------------------------------------------------------===//

static Type scalarType(const Model &model, int64_t layers, bool, MLIRContext *context) {
  const Recurrence &ssm = model.ssm;
  return llm::RecurrentType::get(context, layers, {ssm.heads, ssm.channels / ssm.heads, ssm.stateSize});
}
const PartState frontends::mamba2State = {"recurrent", scalarType};

void frontends::mamba2Weights(const Model &model, WeightList &list) {
  const Recurrence &ssm = model.ssm;
  for (llvm::StringRef role : {"blk.ssm_z", "blk.ssm_x", "blk.ssm_dt"})
    list.linear(role, model.rowsOf(role), model.hidden);
  convolutionWeights(model, list);
  list.require("blk.ssm_dt_offset", {ssm.heads});
  list.require("blk.ssm_a", {ssm.heads});
  list.require("blk.ssm_d", {ssm.heads});
  list.require("blk.ssm_norm", {ssm.channels});
  list.linear("blk.ssm_out", model.hidden, ssm.channels);
}

// softplus(dt + offset)
static Value timeStep(LayerBuilder &b, Value dt, llvm::StringRef offset) {
  dt = llm::AddBiasOp::create(b.builder, b.at("dt"), dt, b.load(offset));
  return activated(b, dt, llm::Activation::softplus, "step");
}

Value frontends::buildMamba2(LayerBuilder &b, Value x) {
  const Recurrence &ssm = b.model.ssm;
  int64_t states = ssm.groups * ssm.stateSize;
  Value z = b.linear(x, "blk.ssm_z"), mixed = b.linear(x, "blk.ssm_x");
  Value step = timeStep(b, b.linear(x, "blk.ssm_dt"), "blk.ssm_dt_offset");
  mixed = convolution(b, mixed, llm::Activation::silu);
  Value y = scan(b, columns(b, mixed, 0, ssm.channels, "ssm_inner"),
                 {.kind = llm::ScanKind::scalar,
                  .form = decayForm(b),
                  .a = b.load("blk.ssm_a"),
                  .step = step,
                  .input = columns(b, mixed, ssm.channels, states, "ssm_b"),
                  .output = columns(b, mixed, ssm.channels + states, states, "ssm_c"),
                  .beta = {},
                  .skip = b.load("blk.ssm_d")});
  y = gated(b, z, y, llm::Activation::silu, "gated");
  y = llm::UnitNormOp::create(b.builder, b.at("unit"), y, static_cast<uint64_t>(ssm.channels / ssm.groups),
                              llvm::APFloat(ssm.normEps));
  y = llm::ScaleChannelsOp::create(b.builder, b.at("ssm_norm"), y, b.load("blk.ssm_norm"));
  return b.linear(y, "blk.ssm_out");
}

static const PartState *const mamba2States[] = {&convTail, &mamba2State};
const Part frontends::mamba2 = {frontends::mamba2Weights, buildMamba2, mamba2States};

//===----------------------------------------------------------------------===//
// A transformer block that serves at several depths, before a Mamba-2 mixer (Zamba2)
//===----------------------------------------------------------------------===//

static void sharedWeights(const Model &model, WeightList &list) {
  list.require("blk.shared_norm", {2 * model.hidden});
  attention.weights(model, list);
  list.require("blk.shared_ffn_norm", {model.hidden});
  gatedMlp.weights(model, list);
  list.require("blk.shared_out", {model.hidden, model.hidden});
  list.require("blk.attn_norm", {model.hidden});
  mamba2Weights(model, list);
}

// The block has no residual stream of its own.
static Value buildShared(LayerBuilder &b, Value x) {
  Value y = llm::ConcatOp::create(b.builder, b.at("shared_input"), ValueRange{x, b.embedding});
  y = attention.build(b, b.norm(y, "blk.shared_norm"));
  y = gatedMlp.build(b, b.norm(y, "blk.shared_ffn_norm"));
  y = llm::AddOp::create(b.builder, b.at("shared_sum"), x, b.linear(y, "blk.shared_out"));
  return buildMamba2(b, b.norm(y, "blk.attn_norm"));
}

static const PartState *const sharedStates[] = {&kvCache, &convTail, &mamba2State};
const Part frontends::sharedBlockAndMamba2 = {sharedWeights, buildShared, sharedStates};

//===----------------------------------------------------------------------===//
// RG-LRU (Griffin): a gated recurrence of each channel, its gates block-diagonal
//===----------------------------------------------------------------------===//

static Type gatedType(const Model &model, int64_t layers, bool, MLIRContext *context) {
  return llm::RecurrentType::get(context, layers, {model.ssm.channels});
}
static const PartState gatedState = {"recurrent", gatedType};

static void unitWeights(const Model &model, WeightList &list) {
  int64_t channels = model.ssm.channels, width = channels / model.heads;
  list.linear("blk.lru_x", channels, model.hidden);
  list.linear("blk.lru_y", channels, model.hidden);
  convolutionWeights(model, list);
  for (std::string role : {"blk.lru_input_gate", "blk.lru_decay_gate"}) {
    list.require(role, {model.heads, width, width});
    list.require(role + "_bias", {model.heads, width, 1});
  }
  list.require("blk.lru_a", {channels});
  list.linear("blk.lru_out", model.hidden, channels);
}

static Value blockGate(LayerBuilder &b, Value x, llvm::StringRef role) {
  return llm::GroupedLinearOp::create(b.builder, b.at(role), x.getType(), x, b.load(role), b.load((role + "_bias").str()));
}

static Value buildUnit(LayerBuilder &b, Value x) {
  Value outer = b.linear(x, "blk.lru_y");
  Value inner = convolution(b, b.linear(x, "blk.lru_x"), std::nullopt);
  Value step = activated(b, blockGate(b, inner, "blk.lru_decay_gate"), llm::Activation::sigmoid, "step");
  inner = gated(b, blockGate(b, inner, "blk.lru_input_gate"), inner, llm::Activation::sigmoid, "gated_in");
  Value y = scan(b, inner,
                 {.kind = llm::ScanKind::gated,
                  .form = llm::DecayForm::softplus8,
                  .a = b.load("blk.lru_a"),
                  .step = step,
                  .input = {},
                  .output = {},
                  .beta = {},
                  .skip = {}});
  return b.linear(gated(b, outer, y, b.model.activation, "gated_out"), "blk.lru_out");
}

static const PartState *const unitStates[] = {&convTail, &gatedState};
const Part frontends::realGatedUnit = {unitWeights, buildUnit, unitStates};

//===----------------------------------------------------------------------===//
// Gated delta rule (Qwen3-Next)
//===----------------------------------------------------------------------===//

static Type deltaType(const Model &model, int64_t layers, bool, MLIRContext *context) {
  const Recurrence &ssm = model.ssm;
  return llm::RecurrentType::get(context, layers, {ssm.heads, ssm.keyDim, ssm.channels / ssm.heads});
}
static const PartState deltaState = {"recurrent", deltaType};

static void deltaWeights(const Model &model, WeightList &list) {
  const Recurrence &ssm = model.ssm;
  for (llvm::StringRef role : {"blk.delta_q", "blk.delta_k", "blk.delta_v", "blk.delta_z", "blk.delta_b", "blk.delta_a"})
    list.require(role, {model.rowsOf(role), model.hidden});
  convolutionWeights(model, list);
  list.require("blk.delta_dt_offset", {ssm.heads});
  list.require("blk.delta_decay", {ssm.heads});
  list.require("blk.delta_norm", {ssm.channels / ssm.heads});
  list.linear("blk.delta_out", model.hidden, ssm.channels);
}

// x / sqrt(sum(x^2) + 1e-6) over the channels of each head of keys, times `factor`.
static Value unitLength(LayerBuilder &b, Value x, double factor, llvm::StringRef name) {
  constexpr double eps = 1e-6;
  auto size = static_cast<double>(b.model.ssm.keyDim);
  x = llm::UnitNormOp::create(b.builder, b.at(name), x, static_cast<uint64_t>(b.model.ssm.keyDim), llvm::APFloat(eps / size));
  return b.scaled(x, factor / std::sqrt(size), (name + "_scaled").str());
}

static Value buildDelta(LayerBuilder &b, Value x) {
  const Recurrence &ssm = b.model.ssm;
  int64_t keys = ssm.keyHeads * ssm.keyDim;
  Value q = b.linear(x, "blk.delta_q"), k = b.linear(x, "blk.delta_k"), v = b.linear(x, "blk.delta_v");
  Value z = b.linear(x, "blk.delta_z");
  Value beta = activated(b, b.linear(x, "blk.delta_b"), llm::Activation::sigmoid, "beta");
  Value step = timeStep(b, b.linear(x, "blk.delta_a"), "blk.delta_dt_offset");
  Value mixed = llm::ConcatOp::create(b.builder, b.at("qkv"), ValueRange{q, k, v});
  mixed = convolution(b, mixed, b.model.activation);
  q = unitLength(b, columns(b, mixed, 0, keys, "q"), 1 / std::sqrt(static_cast<double>(ssm.keyDim)), "q_unit");
  k = unitLength(b, columns(b, mixed, keys, keys, "k"), 1, "k_unit");
  Value y = scan(b, columns(b, mixed, 2 * keys, ssm.channels, "v"),
                 {.kind = llm::ScanKind::delta,
                  .form = decayForm(b),
                  .a = b.load("blk.delta_decay"),
                  .step = step,
                  .input = k,
                  .output = q,
                  .beta = beta,
                  .skip = {}});
  y = llm::RMSNormOp::create(b.builder, b.at("delta_norm"), y, b.load("blk.delta_norm"), llvm::APFloat(ssm.normEps),
                             llvm::APFloat(0.0));
  return b.linear(gated(b, z, y, llm::Activation::silu, "gated"), "blk.delta_out");
}

static const PartState *const deltaStates[] = {&convTail, &deltaState};
const Part frontends::deltaNet = {deltaWeights, buildDelta, deltaStates};

//===----------------------------------------------------------------------===//
// RWKV-4: each token mixed with the one before it
//===----------------------------------------------------------------------===//

static Type wkvType(const Model &model, int64_t layers, bool, MLIRContext *context) {
  return llm::RecurrentType::get(context, layers, {3, model.ssm.channels});
}
static const PartState wkvState = {"recurrent", wkvType};

static Value shifted(LayerBuilder &b, Value x, const PartState &state) {
  return llm::ShiftOp::create(b.builder, b.at(state.symbol), x.getType(), x, b.layer, b.batch, state.symbol);
}

// The product of a mixture: `mix` interpolates x and the token before.
static Value mixed(LayerBuilder &b, Value x, Value before, llvm::StringRef mix, llvm::StringRef role) {
  return b.linear(llm::MixOp::create(b.builder, b.at(mix), x, before, b.load(mix)), role);
}

static void timeWeights(const Model &model, WeightList &list) {
  int64_t channels = model.ssm.channels;
  for (llvm::StringRef role : {"blk.mix_k", "blk.mix_v", "blk.mix_r"})
    list.require(role, {model.hidden});
  for (llvm::StringRef role : {"blk.time_k", "blk.time_v", "blk.time_r"})
    list.require(role, {channels, model.hidden});
  list.require("blk.time_decay", {channels});
  list.require("blk.time_first", {channels});
  list.require("blk.time_out", {model.hidden, channels});
}

static Value buildTime(LayerBuilder &b, Value x) {
  Value before = shifted(b, x, timeShift);
  Value k = mixed(b, x, before, "blk.mix_k", "blk.time_k"), v = mixed(b, x, before, "blk.mix_v", "blk.time_v");
  Value r = mixed(b, x, before, "blk.mix_r", "blk.time_r");
  Value y = scan(b, v,
                 {.kind = llm::ScanKind::wkv,
                  .form = llm::DecayForm::neg_exp,
                  .a = b.load("blk.time_decay"),
                  .step = {},
                  .input = k,
                  .output = {},
                  .beta = {},
                  .skip = b.load("blk.time_first")});
  return b.linear(gated(b, r, y, llm::Activation::sigmoid, "gated"), "blk.time_out");
}

static const PartState *const timeStates[] = {&timeShift, &wkvState};
const Part frontends::timeMix = {timeWeights, buildTime, timeStates};

static void channelWeights(const Model &model, WeightList &list) {
  list.require("blk.channel_mix_k", {model.hidden});
  list.require("blk.channel_mix_r", {model.hidden});
  list.require("blk.channel_k", {model.ffn, model.hidden});
  list.require("blk.channel_r", {model.hidden, model.hidden});
  list.require("blk.channel_v", {model.hidden, model.ffn});
}

static Value buildChannel(LayerBuilder &b, Value x) {
  Value before = shifted(b, x, channelShift);
  Value k = mixed(b, x, before, "blk.channel_mix_k", "blk.channel_k");
  Value r = mixed(b, x, before, "blk.channel_mix_r", "blk.channel_r");
  k = activated(b, k, llm::Activation::relu2, "channel_key");
  return gated(b, r, b.linear(k, "blk.channel_v"), llm::Activation::sigmoid, "channel_gated");
}

static const PartState *const channelStates[] = {&channelShift};
const Part frontends::channelMix = {channelWeights, buildChannel, channelStates};
