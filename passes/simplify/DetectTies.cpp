// --llm-detect-ties: weights that read the same bytes become one symbol.
#include "passes/simplify/Passes.h"

using namespace mlir;
using namespace llmc::llm;

namespace llmc {
#define GEN_PASS_DEF_DETECTTIES
#include "passes/simplify/Passes.h.inc"

namespace {

// All that tells which bytes a weight reads, as one attribute: equal keys, equal bytes.
Attribute identityOf(WeightOp weight) {
  Builder builder(weight.getContext());
  SmallVector<int64_t> layers;
  if (std::optional<ArrayRef<int64_t>> listed = weight.getLayers())
    layers = llvm::to_vector(*listed);
  else
    layers = llvm::to_vector(llvm::seq<int64_t>(0, weight.getWeights().getLayers()));
  auto orUnit = [&](Attribute attribute) { return attribute ? attribute : builder.getUnitAttr(); };
  return builder.getArrayAttr({weight.getTypeAttr(), weight.getSourceAttr(), builder.getDenseI64ArrayAttr(layers),
                               orUnit(weight.getFormatsAttr()), orUnit(weight.getRowsAttr()), orUnit(weight.getColumnsAttr()),
                               builder.getBoolAttr(weight.getTranspose()), orUnit(weight.getEntriesAttr()),
                               orUnit(weight.getNamesAttr()), orUnit(weight.getValuesAttr())});
}

// A weight with attributes of somebody else's (a plug-in's marks) is not merged: they may tell it from its twin.
bool onlyOwnAttributes(WeightOp weight) { return weight->getDiscardableAttrDictionary().empty(); }

struct DetectTiesPass : impl::DetectTiesBase<DetectTiesPass> {
  void runOnOperation() override {
    llvm::DenseMap<Attribute, WeightOp> first;
    SmallVector<std::pair<WeightOp, WeightOp>> ties;
    for (WeightOp weight : getOperation().getOps<WeightOp>()) {
      if (!onlyOwnAttributes(weight))
        continue;
      auto [at, isNew] = first.try_emplace(identityOf(weight), weight);
      if (!isNew)
        ties.push_back({weight, at->second});
    }
    for (auto [twin, kept] : ties)
      replace(twin, kept);
  }

  void replace(WeightOp twin, WeightOp kept) {
    if (failed(SymbolTable::replaceAllSymbolUses(twin, kept.getSymNameAttr(), getOperation())))
      return; // some op of an unregistered dialect: what it names is unknown, so the twin stays
    twin.erase();
    ++numTied;
  }
};

} // namespace
} // namespace llmc
