// --llm-specialize: see Passes.td.
#include "dialects/llm/LLM.h"
#include "passes/specialize/Passes.h"

namespace llmc {
#define GEN_PASS_DEF_LLMSPECIALIZE
#include "passes/specialize/Passes.h.inc"
} // namespace llmc

using namespace mlir;
using namespace llmc;
using namespace llmc::llm;

namespace {

struct Specialize : llmc::impl::LLMSpecializeBase<Specialize> {
  using LLMSpecializeBase::LLMSpecializeBase;

  void runOnOperation() override {
    ModuleOp module = getOperation();
    auto step = module.lookupSymbol<func::FuncOp>("step");
    if (!step) {
      module.emitError("llm-specialize: the module has no function @step");
      return signalPassFailure();
    }
    if (exact)
      module->setAttr("llm.exact", UnitAttr::get(&getContext()));
    if (exact || allMatricesAreF32(module))
      widenCaches(module);
    if (failed(makeVersions(step)))
      signalPassFailure();
  }

  static bool allMatricesAreF32(ModuleOp module) {
    return llvm::all_of(module.getOps<WeightOp>(), [](WeightOp weight) {
      return weight.getWeights().getShape().size() < 2 || weight.getWeights().getElement().isF32();
    });
  }

  bool hasQuantisedMatrices() {
    return llvm::any_of(getOperation().getOps<WeightOp>(), [](WeightOp weight) { return isa<QuantType>(weight.getWeights().getElement()); });
  }

  void widenCaches(ModuleOp module) {
    for (auto state : module.getOps<StateOp>()) {
      auto cache = dyn_cast<KVCacheType>(state.getType());
      if (!cache || cache.getElement().isF32())
        continue;
      state.setType(KVCacheType::get(&getContext(), cache.getLayers(), cache.getKvHeads(), cache.getHeadDim(), cache.getValueDim(),
                                     Float32Type::get(&getContext())));
      ++widened;
    }
  }

  LogicalResult makeVersions(func::FuncOp step) {
    SmallVector<int64_t> limits(tokens.begin(), tokens.end());
    if (limits.empty())
      limits = few && !exact && hasQuantisedMatrices() ? SmallVector<int64_t>{1, few, 512} : SmallVector<int64_t>{1, 512};
    for (auto [i, limit] : llvm::enumerate(limits))
      if (limit < 1 || limit > (1 << 16) || (i && limit <= limits[i - 1]))
        return step.emitError("llm-specialize: tokens must ascend within 1 … 65536, got ") << limit;
    OpBuilder builder(step);
    for (int64_t limit : limits) {
      auto version = cast<func::FuncOp>(builder.clone(*step));
      version.setName(("step_" + Twine(limit)).str());
      version->setAttr("llm.max_tokens", builder.getI64IntegerAttr(limit));
      ++versions;
    }
    step.erase();
    return success();
  }
};

} // namespace
