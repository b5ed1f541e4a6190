// --llm-specialize: see Passes.td.
#include "dialects/llm/CacheLayout.h"
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

constexpr int64_t kMostTokens = 1 << 16; // of a version

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
    if (failed(settleCaches(module)))
      return signalPassFailure();
    if (looksAhead(step))
      module->setAttr("llm.looks_ahead", UnitAttr::get(&getContext()));
    if (step.getNumResults() == 1)
      module->setAttr("llm.no_logits", UnitAttr::get(&getContext()));
    if (failed(makeVersions(step)))
      return signalPassFailure();
    if (auto encode = module.lookupSymbol<func::FuncOp>("encode"))
      if (failed(makeVersions(encode)))
        signalPassFailure();
  }

  // Whether tokens attend to later ones in a function or in the layers that it runs.
  bool looksAhead(func::FuncOp function) {
    bool found = false;
    function.walk([&](Operation *op) {
      if (auto attention = dyn_cast<AttentionOp>(op))
        found |= attention.getMask() == Mask::full;
      if (auto layers = dyn_cast<LayersOp>(op))
        for (auto kind : layers.getKinds().getAsRange<FlatSymbolRefAttr>())
          found |= looksAhead(getOperation().lookupSymbol<func::FuncOp>(kind.getAttr()));
    });
    return found;
  }

  // One version, for as many tokens as a sequence may have: it must be in one step.
  SmallVector<int64_t> wholeSequence() {
    auto context = getOperation()->getAttrOfType<IntegerAttr>("llm.context");
    return {std::clamp<int64_t>(context ? context.getInt() : 512, 1, kMostTokens)};
  }

  static bool allMatricesAreF32(ModuleOp module) {
    return llvm::all_of(module.getOps<WeightOp>(), [](WeightOp weight) {
      return weight.getWeights().getShape().size() < 2 || weight.getWeights().getElement().isF32();
    });
  }

  bool hasQuantisedMatrices() {
    return llvm::any_of(getOperation().getOps<WeightOp>(), [](WeightOp weight) { return isa<QuantType>(weight.getWeights().getElement()); });
  }

  // Null: caches stay what they are.
  FailureOr<Type> cacheElement(ModuleOp module) {
    MLIRContext *context = &getContext();
    if (exact && !cacheType.empty() && cacheType != "f32")
      return module.emitError("llm-specialize: with exact caches are f32, got cache-type ") << cacheType, failure();
    if (exact || cacheType == "f32")
      return Type(Float32Type::get(context));
    if (cacheType == "f16")
      return Type(Float16Type::get(context));
    if (cacheType == "q8_0")
      return Type(QuantType::get(context, ArrayRef<Format>(Format::q8_0)));
    if (!cacheType.empty())
      return module.emitError("llm-specialize: want cache-type f32, f16 or q8_0, got '") << cacheType << "'", failure();
    return allMatricesAreF32(module) ? Type(Float32Type::get(context)) : Type();
  }

  LogicalResult settleCaches(ModuleOp module) {
    FailureOr<Type> element = cacheElement(module);
    if (failed(element) || !*element)
      return element;
    for (auto state : module.getOps<StateOp>())
      if (auto cache = dyn_cast<KVCacheType>(state.getType()))
        setElement(state, cache, *element);
    return success();
  }

  void setElement(StateOp state, KVCacheType cache, Type element) {
    if (cache.getValueDim() && isQ8Cache(element)) // of latent attention: few numbers, of which each goes into every head
      element = Float16Type::get(&getContext());
    if (cache.getElement() == element)
      return;
    state.setType(KVCacheType::get(&getContext(), cache.getLayers(), cache.getKvHeads(), cache.getHeadDim(), cache.getValueDim(), element));
    widened += element.isF32();
    quantised += isQ8Cache(element);
  }

  LogicalResult makeVersions(func::FuncOp step) {
    SmallVector<int64_t> limits(tokens.begin(), tokens.end());
    if (looksAhead(step))
      limits = wholeSequence();
    else if (limits.empty())
      limits = few && !exact && (hasQuantisedMatrices() || (fewOfHalves && !allMatricesAreF32(getOperation()))) ? SmallVector<int64_t>{1, few, 512} : SmallVector<int64_t>{1, 512};
    for (auto [i, limit] : llvm::enumerate(limits))
      if (limit < 1 || limit > kMostTokens || (i && limit <= limits[i - 1]))
        return step.emitError("llm-specialize: tokens must ascend within 1 … 65536, got ") << limit;
    OpBuilder builder(step);
    for (int64_t limit : limits) {
      auto version = cast<func::FuncOp>(builder.clone(*step));
      version.setName((step.getName() + "_" + Twine(limit)).str());
      if (step.getName() == "encode")
        version->setAttr(kEncoderAttr, builder.getUnitAttr());
      version->setAttr("llm.max_tokens", builder.getI64IntegerAttr(limit));
      ++versions;
    }
    step.erase();
    return success();
  }
};

} // namespace
