#include "frontends/Model.h"

#include "runtime/support/Text.h"

#include "llvm/ADT/StringSwitch.h"

#include <cmath>

using namespace llmc::frontends;

static std::string typeSymbol(const LayerType &type) {
  llvm::StringRef name = type.type;
  name.consume_back("_attention");
  return name.str() + (type.experts ? "_experts" : "") + (type.turns ? "" : "_still");
}

int64_t Model::rowsOf(llvm::StringRef role) const {
  role.consume_back("_bias");
  role.consume_back("_adapter_out");
  return llvm::StringSwitch<int64_t>(role)
      .Cases({"blk.q", "blk.attn_gate"}, heads * headDim)
      .Cases({"blk.k", "blk.v"}, kvHeads * headDim)
      .Cases({"blk.gate", "blk.up"}, ffn)
      .Cases({"blk.ssm_z", "blk.delta_v", "blk.delta_z", "blk.conv_v"}, ssm.channels)
      .Cases({"blk.gate_exps", "blk.up_exps"}, moe.ffn)
      .Case("blk.k_b", mla.still)
      .Case("blk.v_b", mla.value)
      .Cases({"blk.gate_shexp", "blk.up_shexp"}, moe.sharedFfn)
      .Case("blk.ssm_x", ssm.convChannels)
      .Cases({"blk.ssm_dt", "blk.delta_a", "blk.delta_b"}, ssm.heads)
      .Cases({"blk.ssm_b", "blk.ssm_c"}, ssm.groups * ssm.stateSize)
      .Case("blk.ssm_rank", ssm.rank)
      .Cases({"blk.delta_q", "blk.delta_k"}, ssm.keyHeads * ssm.keyDim)
      .Default(hidden);
}

bool Model::hasAdapter(llvm::StringRef role) const {
  bool ofAttention = role.starts_with("blk.q_") || role.starts_with("blk.k_") || role.starts_with("blk.v_");
  return adapterRank > 0 && (attentionAdapters || !ofAttention);
}

bool Model::hasBias(llvm::StringRef role) const {
  role.consume_back("_bias");
  if (role == "blk.q" || role == "blk.k" || role == "blk.v")
    return qkvBias;
  if (role == "blk.q_a" || role == "blk.kv_a")
    return qkvBias;
  if (role == "blk.router")
    return family->expertShape.routerBias;
  if (role.ends_with("_exps"))
    return family->expertShape.biases;
  if (role.starts_with("blk.cross_"))
    return qkvBias;
  if (role == "blk.o")
    return outputBias;
  if (role == "head")
    return headBias;
  if (role == "blk.conv")
    return ssm.convBias;
  if (role.starts_with("blk.lru_") || role == "blk.ssm_step")
    return true;
  return role.starts_with("blk.ssm_") ? ssm.projectionBias : mlpBias;
}

bool Model::sharesNorm(const Sublayer &sublayer) const {
  return parallel && sharedNorm && llvm::none_of(kinds, [&](const LayerKind &kind) { return kind.spec->sublayers.begin() == &sublayer; });
}

static void checkRecurrence(const Model &model, Report &report) {
  const Recurrence &ssm = model.ssm;
  auto inRange = [&](const char *what, int64_t value, int64_t least, int64_t most) {
    if (value < least || value > most)
      report.invalid(llvm::Twine("recurrence: ") + what + ": want " + llvm::Twine(least) + " to " + llvm::Twine(most) +
                     ", got " + llvm::Twine(value));
  };
  constexpr int64_t maxTaps = 1024, maxState = 65536;
  const RecurrenceKeys &keys = model.family->ssm;
  auto least = [](const Key &key, int64_t ifRead) { return key.name.empty() ? 0 : ifRead; };
  inRange("channels", ssm.channels, 1, maxSize);
  inRange("heads", ssm.heads, 1, maxHeads);
  inRange("groups", ssm.groups, 1, maxHeads);
  inRange("state size", ssm.stateSize, least(keys.stateSize, 1), maxState);
  inRange("convolution taps", ssm.taps, least(keys.taps, 2), maxTaps);
  inRange("time step rank", ssm.rank, least(keys.rank, 1), maxSize);
  inRange("key heads", ssm.keyHeads, least(keys.keyHeads, 1), maxHeads);
  inRange("key size", ssm.keyDim, least(keys.keyDim, 1), maxState);
  if (!report.ok())
    return;
  inRange("channels of the convolution", ssm.convChannels, 1, maxSize);
  if (ssm.channels % ssm.heads || ssm.heads % ssm.groups || (ssm.keyHeads && ssm.heads % ssm.keyHeads))
    report.invalid("recurrence: " + llvm::Twine(ssm.channels) + " channels, " + llvm::Twine(ssm.heads) +
                   " heads and " + llvm::Twine(ssm.keyHeads ? ssm.keyHeads : ssm.groups) +
                   " groups: want each a multiple of the next");
  if (!(ssm.minStep >= 0 && ssm.minStep <= ssm.maxStep))
    report.invalid("recurrence: the bounds of the time step are out of order");
}

static void checkExperts(const Experts &moe, Report &report) {
  constexpr int64_t maxExperts = 4096;
  auto inRange = [&](const char *what, int64_t value, int64_t least, int64_t most) {
    if (value < least || value > most)
      report.invalid(llvm::Twine(what) + ": want " + llvm::Twine(least) + " to " + llvm::Twine(most) + ", got " +
                     llvm::Twine(value));
    return value >= least && value <= most;
  };
  bool fits = inRange("number of experts", moe.count, 1, maxExperts) && inRange("groups of experts", moe.groups, 1, moe.count) &&
              inRange("chosen groups of experts", moe.topGroups, 1, moe.groups);
  if (fits && moe.count % moe.groups)
    report.invalid("number of experts " + llvm::Twine(moe.count) + " is no multiple of the number of groups " +
                   llvm::Twine(moe.groups));
  else if (fits)
    inRange("experts of a token", moe.top, 1, moe.topGroups * (moe.count / moe.groups));
  if (fits && moe.groupScore == llmc::llm::GroupScore::top2_sum && moe.count / moe.groups < 2)
    report.invalid("groups of experts: want at least two experts in each");
  inRange("feed-forward size of an expert", moe.ffn, 1, maxSize);
  inRange("feed-forward size of the shared expert", moe.sharedFfn, 0, maxSize);
  if (!(std::abs(moe.scale) <= 1e6) || !(moe.limit >= 0 && moe.limit <= 1e12) || !(moe.alpha > 0 && moe.alpha <= 1e6))
    report.invalid("factors of experts: out of range");
}

static void checkLatent(const Model &model, Report &report) {
  const Latent &mla = model.mla;
  int64_t sizes[] = {mla.rank, mla.still, mla.value, mla.queryRank + 1, model.headDim}, total = 0;
  for (int64_t size : sizes) {
    bool fits = size >= 1 && size <= maxSize;
    if (!fits)
      report.invalid("sizes of latent attention: want 1 to " + llvm::Twine(maxSize) + ", got " + llvm::Twine(size));
    total += fits ? size : 0;
  }
  if (model.heads >= 1 && model.heads <= maxHeads && model.heads * total > maxSize)
    report.invalid("sizes of latent attention: too large for " + llvm::Twine(model.heads) + " heads");
}

void llmc::frontends::checkModel(const Model &model, Report &report) {
  auto inRange = [&](const char *what, int64_t value, int64_t max) {
    if (value < 1 || value > max)
      report.invalid(llvm::Twine(what) + ": want 1 to " + llvm::Twine(max) + ", got " + llvm::Twine(value));
    return value >= 1 && value <= max;
  };
  inRange("number of heads", model.heads, maxHeads);
  inRange("number of KV heads", model.kvHeads, maxHeads);
  inRange("head size", model.headDim, maxSize);
  inRange("number of layers", model.layers, maxLayers);
  inRange("hidden size", model.hidden, maxSize);
  inRange("vocabulary", model.vocab, maxSize);
  inRange("context length", model.context, maxContext);
  inRange("feed-forward size", model.ffn, maxSize);
  if (model.embeddingSize)
    inRange("size of embeddings", model.embeddingSize, maxSize);
  if (!(model.attentionSoftcap >= 0 && model.attentionSoftcap <= 1e12) || !(model.logitSoftcap >= 0 && model.logitSoftcap <= 1e12))
    report.invalid("cap of scores or logits: want a positive number");
  if (model.mla.rank)
    checkLatent(model, report);
  if (model.moe.count)
    checkExperts(model.moe, report);
  if (!(model.qkvClamp >= 0 && model.qkvClamp <= 1e12))
    report.invalid("clamp of q, k and v: want a positive number, got " + std::to_string(model.qkvClamp));
  if (model.ssm.used)
    checkRecurrence(model, report);
  if (!report.ok())
    return; // products of the numbers are safe from here on
  inRange("heads x head size", model.heads * model.headDim, maxSize);
  if (model.heads % model.kvHeads)
    report.invalid("number of heads " + llvm::Twine(model.heads) + " is no multiple of the number of KV heads " +
                   llvm::Twine(model.kvHeads));
  if (!(model.eps > 0 && model.eps < 1))
    report.invalid("norm epsilon: want a number between 0 and 1, got " + std::to_string(model.eps));
  if (!(model.attentionScale > 0 && model.attentionScale <= 1e6))
    report.invalid("attention scale: want a positive number, got " + std::to_string(model.attentionScale));
}

void llmc::frontends::assignKinds(Model &model, llvm::ArrayRef<LayerType> types, int64_t window,
                                  llvm::function_ref<int64_t(const LayerSpec &)> ropeOf, Report &report) {
  for (auto [layer, type] : llvm::enumerate(types)) {
    auto isOfType = [&](const LayerSpec &spec) { return spec.type == type.type && spec.experts == type.experts; };
    auto isSame = [&](const LayerKind &kind) { return isOfType(*kind.spec) && kind.turns == type.turns; };
    auto kind = llvm::find_if(model.kinds, isSame);
    if (kind == model.kinds.end()) {
      auto spec = llvm::find_if(model.family->layers, isOfType);
      if (spec == model.family->layers.end()) {
        report.unsupported("layer type " + quoteText(type.type) + (type.experts ? " with experts" : ""));
        continue;
      }
      if (spec->windowed && (window < 1 || window > maxContext))
        report.invalid("sliding_window: want 1 to " + llvm::Twine(maxContext) + ", got " + llvm::Twine(window));
      model.kinds.push_back({spec, typeSymbol(type), spec->windowed ? window : 0, -1, type.turns, {}});
      kind = std::prev(model.kinds.end());
    }
    kind->layers.push_back(layer);
  }
  for (LayerKind &kind : model.kinds)
    kind.rope = kind.spec->rotary && kind.turns ? ropeOf(*kind.spec) : -1;
  if (model.kinds.size() == 1)
    model.kinds.front().symbol = "layer";
}

int64_t llmc::frontends::addRope(Model &model, const RopeTable &table) {
  auto at = llvm::find(model.ropes, table);
  if (at == model.ropes.end())
    at = model.ropes.insert(at, table);
  return at - model.ropes.begin();
}
