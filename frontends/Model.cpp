#include "frontends/Model.h"

#include "runtime/support/Text.h"

#include <cmath>

using namespace llmc::frontends;

static std::string typeSymbol(const LayerType &type) {
  llvm::StringRef name = type.type;
  name.consume_back("_attention");
  return name.str() + (type.experts ? "_experts" : "");
}

int64_t Model::rowsOf(llvm::StringRef role) const {
  role.consume_back("_bias");
  if (role == "blk.q")
    return heads * headDim;
  if (role == "blk.k" || role == "blk.v")
    return kvHeads * headDim;
  if (role == "blk.gate" || role == "blk.up")
    return ffn;
  if (role == "blk.gate_exps" || role == "blk.up_exps")
    return moe.ffn;
  return hidden;
}

bool Model::hasBias(llvm::StringRef role) const {
  role.consume_back("_bias");
  if (role == "blk.q" || role == "blk.k" || role == "blk.v")
    return qkvBias;
  if (role == "blk.router")
    return family->expertShape.routerBias;
  if (role.ends_with("_exps"))
    return family->expertShape.biases;
  return role == "blk.o" ? outputBias : mlpBias;
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
  if (model.moe.count)
    checkExperts(model.moe, report);
  if (!(model.qkvClamp >= 0 && model.qkvClamp <= 1e12))
    report.invalid("clamp of q, k and v: want a positive number, got " + std::to_string(model.qkvClamp));
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
    auto kind = llvm::find_if(model.kinds, [&](const LayerKind &kind) { return isOfType(*kind.spec); });
    if (kind == model.kinds.end()) {
      auto spec = llvm::find_if(model.family->layers, isOfType);
      if (spec == model.family->layers.end()) {
        report.unsupported("layer type " + quoteText(type.type) + (type.experts ? " with experts" : ""));
        continue;
      }
      if (spec->windowed && (window < 1 || window > maxContext))
        report.invalid("sliding_window: want 1 to " + llvm::Twine(maxContext) + ", got " + llvm::Twine(window));
      model.kinds.push_back({spec, typeSymbol(type), spec->windowed ? window : 0, -1, {}});
      kind = std::prev(model.kinds.end());
    }
    kind->layers.push_back(layer);
  }
  for (LayerKind &kind : model.kinds)
    kind.rope = kind.spec->rotary ? ropeOf(*kind.spec) : -1;
  if (model.kinds.size() == 1)
    model.kinds.front().symbol = "layer";
}

int64_t llmc::frontends::addRope(Model &model, const RopeTable &table) {
  auto at = llvm::find(model.ropes, table);
  if (at == model.ropes.end())
    at = model.ropes.insert(at, table);
  return at - model.ropes.begin();
}
