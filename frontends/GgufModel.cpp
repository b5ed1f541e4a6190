// Keys: the GGUF specification. What files leave unsaid (default bases, window patterns, yarn's attention factor) is as
// llama.cpp has it.
#include "frontends/GgufModel.h"

#include "frontends/Alibi.h"
#include "runtime/support/Text.h"

#include "llvm/ADT/StringSwitch.h"

#include <cmath>

using namespace llmc;
using namespace llmc::frontends;
using llm::RopeScalingKind;

namespace {

// Keys of the file's architecture: `integer("block_count")` reads "llama.block_count".
class Metadata {
public:
  Metadata(const Gguf &gguf, Report &report) : gguf(gguf), report(report) {
    architecture = std::string(gguf.getString("general.architecture").value_or(""));
  }

  std::string key(llvm::StringRef name) const { return architecture + "." + name.str(); }
  bool has(llvm::StringRef name) const { return llvm::is_contained(gguf.keys(), std::string_view(key(name))); }
  int64_t integer(llvm::StringRef name, std::optional<int64_t> fallback = {}, bool ofSomeLayers = false) const;
  // A number for each layer; nullopt if the file has none, or one for all.
  std::optional<std::vector<int64_t>> perLayer(llvm::StringRef name, int64_t layers) const;
  double number(llvm::StringRef name, std::optional<double> fallback = {}) const;
  std::string text(llvm::StringRef name, llvm::StringRef fallback) const;
  std::optional<bool> flag(llvm::StringRef name) const { return gguf.getBool(key(name)); }

private:
  template <class T> T need(llvm::StringRef name, std::optional<T> value, std::optional<T> fallback) const;
  const Gguf &gguf;
  Report &report;
  std::string architecture;
};

} // namespace

template <class T> T Metadata::need(llvm::StringRef name, std::optional<T> value, std::optional<T> fallback) const {
  if (!value && !has(name))
    value = fallback;
  if (!value)
    report.invalid("metadata '" + key(name) + "': want a number, " +
                   (has(name) ? "got something else" : "it is missing"));
  return value.value_or(T());
}

// Some writers store one number for each layer. `ofSomeLayers`: 0 stands for layers that have nothing of the kind.
int64_t Metadata::integer(llvm::StringRef name, std::optional<int64_t> fallback, bool ofSomeLayers) const {
  std::optional<int64_t> value = gguf.getInt(key(name));
  if (auto list = gguf.getInts(key(name)); !value && list && !list->empty()) {
    auto counts = [&](int64_t entry) { return !ofSomeLayers || entry != 0; };
    auto first = llvm::find_if(*list, counts);
    value = first == list->end() ? list->front() : *first;
    if (llvm::any_of(*list, [&](int64_t other) { return counts(other) && other != *value; }))
      report.unsupported("metadata '" + key(name) + "' that differs between layers");
  }
  return need(name, value, fallback);
}

std::optional<std::vector<int64_t>> Metadata::perLayer(llvm::StringRef name, int64_t layers) const {
  std::optional<std::vector<int64_t>> list = gguf.getInts(key(name));
  if (!list || gguf.getInt(key(name)))
    return std::nullopt;
  if (static_cast<int64_t>(list->size()) != layers)
    report.invalid("metadata '" + key(name) + "': want a list of " + llvm::Twine(layers) + " numbers, got " +
                   llvm::Twine(list->size()));
  list->resize(layers);
  return list;
}

double Metadata::number(llvm::StringRef name, std::optional<double> fallback) const {
  std::optional<double> value = gguf.getFloat(key(name));
  if (value && !std::isfinite(*value))
    value.reset();
  return need(name, value, fallback);
}

std::string Metadata::text(llvm::StringRef name, llvm::StringRef fallback) const {
  if (!has(name))
    return fallback.str();
  if (auto value = gguf.getString(key(name)))
    return std::string(*value);
  report.invalid("metadata '" + key(name) + "': want a string");
  return fallback.str();
}

//===----------------------------------------------------------------------===//
// Rope
//===----------------------------------------------------------------------===//

static std::optional<RopeScalingKind> scalingKind(llvm::StringRef name) {
  return llvm::StringSwitch<std::optional<RopeScalingKind>>(name)
      .Case("none", RopeScalingKind::none)
      .Case("linear", RopeScalingKind::linear)
      .Case("yarn", RopeScalingKind::yarn)
      .Default(std::nullopt);
}

static double positive(double value, llvm::StringRef what, Report &report) {
  if (value > 0 && value <= 1e12)
    return value;
  report.invalid("metadata '" + what + "': want a positive number, got " + std::to_string(value));
  return 1;
}

// A tensor of one factor for each of `count` frequencies.
static llvm::SmallVector<llm::Real> readFactorTensor(const Gguf &gguf, llvm::StringRef name, int64_t count, Report &report) {
  llvm::SmallVector<llm::Real> factors;
  const TensorView *tensor = gguf.find(name.str());
  std::vector<float> values(count);
  const int64_t shape[] = {count};
  bool fits = tensor && tensor->format == Format::F32 && holdsShape(*tensor, shape);
  if (fits)
    llmc::decodeRow(tensor->format, tensor->data.data(), values);
  if (!fits || !llvm::all_of(values, [](float value) { return value > 0 && value <= 1e12f; }))
    report.invalid("tensor '" + name + "': want f32[" + llvm::Twine(count) + "] of positive numbers");
  for (float value : values)
    factors.push_back(static_cast<double>(value));
  return factors;
}

static int64_t originalContext(const Model &model, const Metadata &data, Report &report) {
  int64_t original = data.integer("rope.scaling.original_context_length", model.context);
  if (original < 2 || original > maxContext)
    report.invalid("metadata '" + data.key("rope.scaling.original_context_length") + "': out of range");
  return original;
}

static llm::RopeScalingAttr readLongrope(mlir::MLIRContext &context, const Model &model, int64_t dim, const Metadata &data, const Gguf &gguf,
                                         Report &report) {
  double attention = positive(data.number("rope.scaling.attn_factor", 1), "attn_factor", report);
  auto longs = readFactorTensor(gguf, ggufLongFactors, dim / 2, report), shorts = readFactorTensor(gguf, ggufShortFactors, dim / 2, report);
  return llm::RopeScalingAttr::get(&context, RopeScalingKind::longrope, 1, 0, 0, originalContext(model, data, report), 32, 1, attention, true, shorts,
                                   longs);
}

static llm::RopeScalingAttr readScaling(mlir::MLIRContext &context, const Model &model, const Metadata &data,
                                        Report &report) {
  bool legacy = data.has("rope.scale_linear") && !data.has("rope.scaling.type");
  std::string name = data.text("rope.scaling.type", legacy ? "linear" : "none");
  std::optional<RopeScalingKind> kind = scalingKind(name);
  if (!kind)
    report.unsupported("metadata '" + data.key("rope.scaling.type") + "' " + quoteText(name));
  if (!kind || *kind == RopeScalingKind::none)
    return {};
  double factor = positive(legacy ? data.number("rope.scale_linear") : data.number("rope.scaling.factor", 1),
                           "rope.scaling.factor", report);
  if (*kind == RopeScalingKind::linear)
    return factor == 1 ? llm::RopeScalingAttr()
                       : llm::RopeScalingAttr::get(&context, *kind, factor, 0, 0, 0, 32, 1, 1, true, {}, {});
  int64_t original = originalContext(model, data, report);
  double attention = data.number("rope.scaling.attn_factor", 1) * data.number("rope.scaling.yarn_attn_factor", 1) *
                     (factor > 1 && !model.mla.rank ? 1 + 0.1 * std::log(factor) : 1);
  return llm::RopeScalingAttr::get(&context, *kind, factor, 0, 0, original,
                                   positive(data.number("rope.scaling.yarn_beta_fast", 32), "yarn_beta_fast", report),
                                   positive(data.number("rope.scaling.yarn_beta_slow", 1), "yarn_beta_slow", report),
                                   positive(attention, "attn_factor", report), model.family->ggufYarnTruncates, {}, {});
}

static RopeTable readRope(mlir::MLIRContext &context, const Model &model, const LayerSpec &type, const Metadata &data,
                          const Checkpoint &checkpoint, Report &report) {
  const Family &family = *model.family;
  bool local = type.windowed && !family.localThetaKey.empty();
  RopeTable table;
  table.dim = data.integer("rope.dimension_count", model.headDim);
  if (table.dim < 2 || table.dim > model.headDim || table.dim % 2)
    report.invalid("metadata '" + data.key("rope.dimension_count") + "': want an even number from 2 to " +
                   llvm::Twine(model.headDim) + ", got " + llvm::Twine(table.dim));
  table.theta = positive(local ? data.number("rope.freq_base_swa", family.localTheta)
                               : data.number("rope.freq_base", family.ropeTheta),
                         "rope.freq_base", report);
  if (local)
    return table;
  // Converters turn whole heads to pairs side by side, which is no order of rope over part of them (Bamba's files).
  if (!family.rotarySwitch.empty() && family.ggufRotary == llm::RotaryStyle::interleaved && table.dim != model.headDim)
    report.unsupported("metadata '" + data.key("rope.dimension_count") + "' " + llvm::Twine(table.dim) + " of " +
                       llvm::Twine(model.headDim));
  bool isLong = llvm::is_contained(family.ignoredTensors, ggufLongFactors) && checkpoint.contains(ggufLongFactors);
  table.scaling = isLong ? readLongrope(context, model, table.dim, data, *checkpoint.gguf(), report) : readScaling(context, model, data, report);
  table.fileFactors = findTensor(family, "rope_factors", /*gguf=*/true) && checkpoint.contains("rope_freqs.weight");
  return table;
}

//===----------------------------------------------------------------------===//
// The model
//===----------------------------------------------------------------------===//

static void readBlockSizes(Model &model, const Metadata &data, Report &report) {
  model.heads = data.integer("attention.head_count");
  bool chosen = model.family->layerRule == LayerRule::Chosen; // layers without attention, or without a feed-forward part
  model.kvHeads = data.integer("attention.head_count_kv", model.heads, chosen);
  int64_t derived = model.heads > 0 ? model.hidden / model.heads : 0;
  model.headDim = data.integer("attention.key_length", derived);
  if (int64_t values = data.integer("attention.value_length", model.headDim); values != model.headDim && !model.family->latentAttention)
    report.unsupported("metadata '" + data.key("attention.value_length") + "' that differs from the key length");
  model.ffn = data.integer("feed_forward_length", data.has("expert_feed_forward_length")
                                                      ? std::optional(data.integer("expert_feed_forward_length"))
                                                      : std::nullopt,
                           chosen);
}

static void readSizes(Model &model, const Metadata &data, const Checkpoint &checkpoint, Report &report) {
  model.hidden = data.integer("embedding_length");
  model.layers = data.integer("block_count");
  if (model.family->heads.name.empty()) // neither attention nor a feed-forward part; files say 0
    model.heads = model.kvHeads = model.headDim = model.ffn = 1;
  else
    readBlockSizes(model, data, report);
  model.context = data.integer("context_length");
  model.eps = data.number(model.family->norm == llm::NormKind::rms ? "attention.layer_norm_rms_epsilon"
                                                                   : "attention.layer_norm_epsilon");
  for (const TensorView &tensor : checkpoint.gguf()->tensors())
    if (tensor.name == "token_embd.weight" && tensor.shape.size() == 2)
      model.vocab = tensor.shape[0];
  if (!model.vocab)
    report.unsupported("missing tensor 'token_embd.weight'");
}

// Latent attention. "key_length" and "value_length" are those of the absorbed form, "…_mla" those of a head.
static void readLatent(Model &model, const Metadata &data) {
  Latent &mla = model.mla;
  model.headDim = data.integer("rope.dimension_count");
  model.kvHeads = model.heads;
  mla.queryRank = data.integer("attention.q_lora_rank", 0);
  mla.rank = data.integer("attention.kv_lora_rank");
  mla.still = data.integer("attention.key_length_mla") - model.headDim;
  mla.value = data.integer("attention.value_length_mla");
  mla.normEps = model.eps;
}

// Yarn's temperature is in the scale of scores, not in the cosines.
static double latentScale(const Model &model, const Metadata &data) {
  double factor = data.number("rope.scaling.factor", 1), share = data.number("rope.scaling.yarn_log_multiplier", 0);
  double mscale = factor > 1 ? 1 + share * std::log(factor) : 1;
  return mscale * mscale / std::sqrt(static_cast<double>(model.mla.still) + static_cast<double>(model.headDim));
}

// Scoring functions by their numbers. Source: llama.cpp's llama_expert_gating_func_type.
static void readGating(Experts &moe, const Metadata &data, Report &report) {
  switch (int64_t gating = data.integer("expert_gating_func", 0)) {
  case 0: // the architecture's own
    return;
  case 1:
    moe.scores = llm::RouterScores::softmax;
    return;
  case 2:
    moe.scores = llm::RouterScores::sigmoid;
    return;
  case 3:
    moe.scores = llm::RouterScores::logits;
    moe.normalize = llm::RouterNormalize::softmax;
    return;
  default:
    report.unsupported("metadata '" + data.key("expert_gating_func") + "' " + llvm::Twine(gating));
  }
}

static void readExperts(Model &model, const Metadata &data, Report &report) {
  const ExpertShape &shape = model.family->expertShape;
  Experts &moe = model.moe;
  moe.count = data.integer("expert_count", 0);
  if (!moe.count)
    return;
  moe.top = data.integer("expert_used_count");
  moe.ffn = data.integer("expert_feed_forward_length", model.ffn);
  int64_t copies = data.integer("expert_shared_count", 0);
  bool known = copies >= 0 && copies <= maxSize && moe.ffn >= 0 && moe.ffn <= maxSize;
  moe.sharedFfn = data.integer("expert_shared_feed_forward_length", known ? copies * moe.ffn : 0);
  if (!shape.sharedFfn.name.empty() && !moe.sharedFfn) // llama.cpp's default
    moe.sharedFfn = model.ffn;
  moe.scores = shape.ggufScores;
  moe.groupScore = shape.groupScore;
  moe.epsilon = shape.epsilon;
  moe.limit = shape.ggufUnit.limit, moe.alpha = shape.ggufUnit.alpha, moe.offset = shape.ggufUnit.offset;
  moe.normalize = shape.ggufNormalize;
  if (std::optional<bool> normalizes = data.flag("expert_weights_norm"))
    moe.normalize = *normalizes ? llm::RouterNormalize::sum : llm::RouterNormalize::none;
  moe.scale = data.number("expert_weights_scale", 1);
  if (moe.scale == 0) // written where there is none
    moe.scale = 1;
  moe.groups = std::max<int64_t>(data.integer("expert_group_count", 1), 1);
  moe.topGroups = std::max<int64_t>(data.integer("expert_group_used_count", 1), 1);
  if (moe.groups > 1 && !data.has("expert_group_used_count"))
    report.unsupported("metadata '" + data.key("expert_group_count") + "' without '" + data.key("expert_group_used_count") + "'");
  readGating(moe, data, report);
}

static void markStill(std::vector<LayerType> &types, const Family &family) {
  auto interval = static_cast<int64_t>(family.ropeInterval.fallback.value_or(0)); // files do not say
  for (auto [layer, type] : llvm::enumerate(types))
    type.turns = interval < 1 || (static_cast<int64_t>(layer) + 1) % interval != 0;
}

static void markExperts(std::vector<LayerType> &types, const Model &model, const Metadata &data) {
  int64_t dense = data.integer("leading_dense_block_count", 0), step = data.integer("interleave_moe_layer_step", 1);
  for (auto [layer, type] : llvm::enumerate(types))
    type.experts = model.moe.count > 0 && static_cast<int64_t>(layer) >= dense && (step <= 1 || (layer + 1) % step == 0);
}

static std::vector<LayerType> layerTypes(const Model &model, int64_t window, int64_t pattern) {
  std::vector<LayerType> types;
  for (int64_t layer = 0; layer < model.layers; ++layer) {
    bool slides = window > 0 && (model.family->layerRule == LayerRule::Windowed ||
                                 (model.family->layerRule == LayerRule::Pattern && (layer + 1) % pattern != 0));
    types.push_back({slides ? "sliding_attention" : "full_attention"});
  }
  return types;
}

// A layer without KV heads is of the other type; where all have them, a period decides.
static std::vector<LayerType> chosenTypes(const Model &model, const Metadata &data, Report &report) {
  const LayerChoice &choice = model.family->layerChoice;
  std::optional<std::vector<int64_t>> kvHeads = data.perLayer("attention.head_count_kv", model.layers);
  int64_t period = 0, offset = static_cast<int64_t>(choice.offset.fallback.value_or(-1));
  if (!choice.period.name.empty())
    period = data.integer(choice.period.name, static_cast<int64_t>(choice.period.fallback.value_or(0)));
  if (period < 0)
    report.invalid("metadata '" + data.key(choice.period.name) + "': want a positive number, got " + llvm::Twine(period));
  std::optional<std::vector<int64_t>> ffn = data.perLayer("feed_forward_length", model.layers);
  std::vector<LayerType> types;
  for (int64_t layer = 0; layer < model.layers; ++layer) {
    bool inPeriod = period < 1 || layer % period == (offset < 0 ? period - 1 : offset);
    bool attends = kvHeads ? (*kvHeads)[layer] != 0 : inPeriod;
    bool ffnAlone = !choice.feedForward.empty() && ffn && (*ffn)[layer] != 0;
    if (ffnAlone && attends)
      report.unsupported("layer " + llvm::Twine(layer) + " with both attention and a feed-forward part");
    types.push_back({(ffnAlone ? choice.feedForward : attends ? choice.chosen : choice.other).str()});
  }
  return types;
}

// Where layers of both sorts occur, the router's tensor tells those of experts.
static void findExperts(std::vector<LayerType> &types, const Model &model, const Checkpoint &checkpoint) {
  const LayerChoice &choice = model.family->layerChoice;
  for (auto [layer, type] : llvm::enumerate(types)) {
    type.experts = model.moe.count > 0 && checkpoint.contains("blk." + std::to_string(layer) + ".ffn_gate_inp.weight");
    if (type.experts && type.type == choice.feedForward)
      type.type = choice.experts.str();
  }
}

static void readTokens(Model &model, const Gguf &gguf) {
  for (const char *key : {"tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id", "tokenizer.ggml.eom_token_id"})
    if (auto id = gguf.getInt(key); id && *id >= 0 && *id < model.vocab && !llvm::is_contained(model.eos, *id))
      model.eos.push_back(*id);
  if (auto id = gguf.getInt("tokenizer.ggml.bos_token_id"); id && *id >= 0 && *id < model.vocab)
    model.bos = *id;
}

// Sizes of convolutions and scans; what such models have beside attention and feed-forward parts, or instead of them.
static void readScan(Recurrence &ssm, const RecurrenceKeys &keys, const Metadata &data) {
  bool ofKeys = !keys.keyHeads.name.empty(); // a delta rule
  ssm.channels = data.integer("ssm.inner_size");
  ssm.taps = data.integer("ssm.conv_kernel");
  int64_t state = data.integer("ssm.state_size"), rank = data.integer("ssm.time_step_rank");
  int64_t groups = keys.mixesInputs || ofKeys ? data.integer("ssm.group_count") : 1;
  (ofKeys ? ssm.keyDim : ssm.stateSize) = state;
  (ofKeys ? ssm.keyHeads : ssm.groups) = groups;
  if (!ofKeys)
    ssm.rank = rank;
  ssm.heads = keys.mixesInputs || ofKeys ? rank : 1; // these have one step for each head
  bool small = ssm.channels <= maxSize && groups <= maxHeads && state <= maxSize;
  ssm.convChannels = !small ? 0 : keys.mixesInputs || ofKeys ? ssm.channels + 2 * groups * state : ssm.channels;
}

static void readRecurrence(Model &model, const Metadata &data) {
  Recurrence &ssm = model.ssm;
  const RecurrenceKeys &keys = model.family->ssm;
  ssm.used = true;
  if (keys.stateSize.name.empty() && keys.keyHeads.name.empty()) { // a convolution alone
    ssm.channels = ssm.convChannels = model.hidden;
    ssm.taps = data.integer("shortconv.l_cache");
  } else {
    readScan(ssm, keys, data);
  }
  ssm.maxStep = std::numeric_limits<double>::infinity();
  ssm.normEps = model.eps;
  if (data.flag("ssm.dt_b_c_rms").value_or(false))
    ssm.selectedEps = model.eps;
}

static void checkRefusals(const Family &family, const Metadata &data, Report &report) {
  if (int64_t count = data.integer("expert_count", 0); count && !hasExperts(family))
    report.unsupported("metadata '" + data.key("expert_count") + "' " + llvm::Twine(count));
  if (int64_t size = data.integer("ssm.state_size", 0); size && !family.ssm.used)
    report.unsupported("metadata '" + data.key("ssm.state_size") + "' " + llvm::Twine(size));
  if (!data.flag("attention.causal").value_or(true))
    report.unsupported("metadata '" + data.key("attention.causal") + "' false");
  bool hasAlibi = family.alibi.when.when != BiasRule::Never, hasCap = !family.attentionSoftcap.name.empty();
  for (const auto &[key, isKnown] : {std::pair{"attn_logit_softcapping", hasCap}, std::pair{"attention.max_alibi_bias", hasAlibi},
                                     std::pair{"rope.scaling.yarn_ext_factor", false}})
    if (double value = data.number(key, 0); value != 0 && !isKnown)
      report.unsupported("metadata '" + data.key(key) + "' " + std::to_string(value));
}

// A factor that the architecture has, if `known`; files may say 0 where there is none.
static double readFactor(llvm::StringRef name, bool known, const Metadata &data, Report &report) {
  double value = data.number(name, 0);
  if (value != 0 && (!known || !(std::abs(value) <= 1e6 && std::abs(value) >= 1e-6)))
    report.unsupported("metadata '" + data.key(name) + "' " + std::to_string(value));
  return value == 0 ? 1 : value;
}

static void readFactors(Model &model, const Metadata &data, Report &report) {
  const Family &family = *model.family;
  double embedding = readFactor("embedding_scale", !family.embeddingScale.name.empty(), data, report);
  model.embeddingScale = family.embeddingScaled ? std::sqrt(static_cast<float>(model.hidden)) : embedding;
  model.residualScale = readFactor("residual_scale", !family.residualScale.name.empty(), data, report);
  bool divides = !family.logitDivisor.name.empty(), multiplies = !family.logitFactor.name.empty();
  double logits = readFactor("logit_scale", divides || multiplies, data, report);
  model.logitScale = multiplies ? logits : 1 / logits;
  model.logitSoftcap = data.number("final_logit_softcapping", family.logitSoftcap.fallback.value_or(0));
  if (!family.attentionSoftcap.name.empty())
    model.attentionSoftcap = data.number("attn_logit_softcapping", family.attentionSoftcap.fallback.value_or(0));
}

// A layer without a second norm has its parts beside each other, behind the first, where the family may have them so.
static void readBlocks(Model &model, const Metadata &data, const Checkpoint &checkpoint) {
  const Family &family = *model.family;
  const BiasRule &rule = family.parallel;
  model.parallel = rule.when == BiasRule::Always ||
                   (rule.when == BiasRule::ByKey && data.flag("use_parallel_residual").value_or(rule.byDefault));
  const TensorName *second = findTensor(family, "blk.ffn_norm", /*gguf=*/true);
  auto [before, after] = (second ? second->gguf : "").split("{layer}");
  model.sharedNorm = family.sharedNorm && !checkpoint.contains((before + "0" + after).str());
  model.parallel |= model.sharedNorm;
}

static void readAlibi(Model &model, const Metadata &data, Report &report) {
  const AlibiRule &rule = model.family->alibi;
  if (rule.when.when == BiasRule::Never)
    return;
  bool isFixed = rule.when.when == BiasRule::Always && rule.mostBias.name.empty(); // files do not say
  double mostBias = data.number("attention.max_alibi_bias", isFixed ? rule.mostBias.fallback.value_or(0) : 0);
  if (mostBias == 0 && rule.when.when != BiasRule::Always)
    return;
  if (mostBias > 0 && mostBias <= maxAlibiBias)
    model.slopes = alibiSlopes(model.heads, mostBias, {}, model.attentionScale);
  else
    report.unsupported("metadata '" + data.key("attention.max_alibi_bias") + "' " + std::to_string(mostBias));
}

Model frontends::readGguf(mlir::MLIRContext &context, const Family &family, const Checkpoint &checkpoint,
                          Report &report) {
  const Gguf &gguf = *checkpoint.gguf();
  Metadata data(gguf, report);
  Model model;
  model.family = &family;
  model.container = Container::Gguf;
  model.activation = family.activation;
  if (int64_t parts = gguf.getInt("split.count").value_or(1); parts > 1)
    report.unsupported("a GGUF in " + llvm::Twine(parts) + " parts (join them with llama-gguf-split --merge)");
  readSizes(model, data, checkpoint, report);
  double base =
      family.ggufScaleBase && model.heads > 0 ? family.ggufScaleBase(model) : static_cast<double>(model.headDim);
  model.attentionScale = data.number("attention.scale", base > 0 ? 1 / std::sqrt(base) : 0);
  if (family.latentAttention) {
    readLatent(model, data);
    model.attentionScale = latentScale(model, data);
  }
  readFactors(model, data, report);
  readBlocks(model, data, checkpoint);
  model.tied = !checkpoint.contains("output.weight");
  readTokens(model, gguf);
  model.qkvClamp = data.number("attention.clamp_kqv", 0);
  if (hasExperts(family))
    readExperts(model, data, report);
  if (family.ssm.used)
    readRecurrence(model, data);
  checkRefusals(family, data, report);
  checkModel(model, report);
  int64_t pattern = data.integer("attention.sliding_window_pattern", family.windowPattern);
  if (pattern < 1)
    report.invalid("metadata '" + data.key("attention.sliding_window_pattern") + "': want at least 1, got " +
                   llvm::Twine(pattern));
  int64_t window = data.integer("attention.sliding_window", 0);
  bool chosen = family.layerRule == LayerRule::Chosen;
  if (chosen && window)
    report.unsupported("metadata '" + data.key("attention.sliding_window") + "' " + llvm::Twine(window));
  if (!report.ok())
    return model;
  readAlibi(model, data, report);
  bool rotary = !family.learnedPositions && model.slopes.empty() &&
                (family.rotarySwitch.empty() || data.flag("rope.scaling.finetuned").value_or(true));
  auto ropeOf = [&](const LayerSpec &spec) -> int64_t {
    return !rotary ? -1 : addRope(model, readRope(context, model, spec, data, checkpoint, report));
  };
  std::vector<LayerType> types = chosen ? chosenTypes(model, data, report) : layerTypes(model, window, pattern);
  if (chosen)
    findExperts(types, model, checkpoint);
  else
    markExperts(types, model, data);
  markStill(types, family);
  assignKinds(model, types, window, ropeOf, report);
  return model;
}
