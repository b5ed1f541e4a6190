// --llm-quantize: weights of products and tables of tokens get a format of fewer bits.
#include "passes/quantization/Passes.h"

#include "dialects/llm/StoredFormat.h"
#include "passes/quantization/Schemes.h"
#include "passes/quantization/Uses.h"

#include "llvm/Support/GlobPattern.h"

using namespace mlir;
using namespace llmc::llm;

namespace llmc {
#define GEN_PASS_DEF_LLMQUANTIZE
#include "passes/quantization/Passes.h.inc"

namespace {

struct LLMQuantizePass : impl::LLMQuantizeBase<LLMQuantizePass> {
  using LLMQuantizeBase::LLMQuantizeBase;

  void runOnOperation() override {
    std::optional<Scheme> found = findScheme(scheme);
    if (!found) {
      getOperation().emitError("llm-quantize: want scheme q8, q6, q5, q4 or q4a, got '") << scheme << "'";
      return signalPassFailure();
    }
    bool changed = false, calibrated = getOperation()->hasAttr(kCalibration);
    auto inputs = calibrated ? productInputs(getOperation()) : llvm::MapVector<Operation *, WeightOp>();
    for (auto &[op, use] : weightUses(getOperation())) {
      auto weight = cast<WeightOp>(op);
      if (!isFloatMatrix(weight))
        continue;
      std::optional<Format> format = use.isQuantisable() && !isKept(weight) ? formatFor(weight, use, *found) : std::nullopt;
      ++(format ? numQuantised : numKept);
      if (!format)
        continue;
      quantize(weight, use, *format);
      changed = true;
      if (WeightOp leader = inputs.lookup(op))
        weight->setAttr(kMoments, leader.getSymNameAttr());
    }
    if (changed)
      narrowCaches();
  }

  // As of every model with quantised weights; --exact widens them again.
  void narrowCaches() {
    for (auto state : getOperation().getOps<StateOp>())
      if (auto cache = dyn_cast<KVCacheType>(state.getType()); cache && cache.getElement().isF32())
        state.setType(KVCacheType::get(&getContext(), cache.getLayers(), cache.getKvHeads(), cache.getHeadDim(), cache.getValueDim(),
                                       Float16Type::get(&getContext())));
  }

  // A pattern that names tensors of some layers only is refused before the passes run.
  bool isKept(WeightOp weight) {
    return llvm::any_of(keep, [&](const std::string &pattern) {
      llvm::Expected<llvm::GlobPattern> glob = llvm::GlobPattern::create(pattern);
      if (glob)
        return glob->match(weight.sourceName(0));
      llvm::consumeError(glob.takeError());
      return false;
    });
  }

  std::optional<Format> formatFor(WeightOp weight, const WeightUse &use, const Scheme &scheme) {
    ArrayRef<int64_t> shape = weight.getWeights().getShape();
    return scheme.formatFor(use.asTable || shape[0] == vocabulary(), shape.back());
  }

  int64_t vocabulary() {
    auto size = getOperation()->getAttrOfType<IntegerAttr>("llm.vocab");
    return size ? size.getInt() : 0;
  }

  void quantize(WeightOp weight, const WeightUse &use, Format format) {
    WeightsType type = weight.getWeights();
    auto element = QuantType::get(&getContext(), ArrayRef<Format>(format));
    auto quantised = WeightsType::get(&getContext(), type.getLayers(), type.getShape(), element);
    weight->setAttr(kStored, TypeAttr::get(type.getElement()));
    weight.setTypeAttr(TypeAttr::get(quantised));
    for (WeightLoadOp load : use.loads)
      load->getResult(0).setType(quantised.getValueType());
  }
};

} // namespace
} // namespace llmc
