#include "frontends/Model.h"

#include "runtime/support/Text.h"

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
  return hidden;
}

bool Model::hasBias(llvm::StringRef role) const {
  role.consume_back("_bias");
  if (role == "blk.q" || role == "blk.k" || role == "blk.v")
    return qkvBias;
  return role == "blk.o" ? outputBias : mlpBias;
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
