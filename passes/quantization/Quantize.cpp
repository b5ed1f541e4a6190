// --llm-quantize: weights of products and tables of tokens get a format of fewer bits.
#include "passes/quantization/Passes.h"

#include "dialects/llm/StoredFormat.h"
#include "passes/quantization/Schemes.h"

#include "llvm/ADT/MapVector.h"

using namespace mlir;
using namespace llmc::llm;

namespace llmc {
#define GEN_PASS_DEF_LLMQUANTIZE
#include "passes/quantization/Passes.h.inc"

namespace {

// Whether a product's results choose experts: directly, or after a bias, a factor or a function of each channel.
bool leadsToRoute(Operation *op) {
  return llvm::any_of(op->getUsers(), [](Operation *user) {
    return isa<RouteOp>(user) || (isa<AddBiasOp, ActivationOp, ScaleOp, ClampOp>(user) && leadsToRoute(user));
  });
}

// What a weight is read for.
struct Use {
  bool asProduct = false, asTable = false, otherwise = false;

  void add(OpOperand &operand) {
    Operation *op = operand.getOwner();
    Value value = operand.get();
    if (auto linear = dyn_cast<LinearOp>(op))
      isMatrixOf(linear, value) && !leadsToRoute(op) ? asProduct = true : otherwise = true;
    else if (auto experts = dyn_cast<ExpertsOp>(op))
      value == experts.getGate() || value == experts.getUp() || value == experts.getDown() ? asProduct = true : otherwise = true;
    else if (auto embedding = dyn_cast<EmbeddingOp>(op); embedding && embedding.getIndex() == IndexSource::tokens)
      asTable = true;
    else
      otherwise = true;
  }

private:
  static bool isMatrixOf(LinearOp linear, Value value) { return llvm::is_contained(linear.getWeights(), value); }
};

struct LLMQuantizePass : impl::LLMQuantizeBase<LLMQuantizePass> {
  using LLMQuantizeBase::LLMQuantizeBase;

  void runOnOperation() override {
    std::optional<Scheme> found = findScheme(scheme);
    if (!found) {
      getOperation().emitError("llm-quantize: want scheme q8, q6, q5, q4 or q4a, got '") << scheme << "'";
      return signalPassFailure();
    }
    collectLoads();
    for (auto weight : getOperation().getOps<WeightOp>()) {
      if (!isFloatMatrix(weight))
        continue;
      std::optional<Format> format = formatFor(weight, *found);
      ++(format ? numQuantised : numKept);
      if (format)
        quantize(weight, *format);
    }
  }

  void collectLoads() {
    loads.clear();
    SymbolTable symbols(getOperation());
    getOperation().walk([&](WeightLoadOp load) {
      if (Operation *weight = symbols.lookup(load.getWeight()))
        loads[weight].push_back(load);
    });
  }

  static bool isFloatMatrix(WeightOp weight) {
    return weight.getWeights().getShape().size() >= 2 && !isa<QuantType>(weight.getWeights().getElement());
  }

  std::optional<Format> formatFor(WeightOp weight, const Scheme &scheme) {
    Use use;
    for (WeightLoadOp load : loads[weight])
      for (OpOperand &operand : load->getResult(0).getUses())
        use.add(operand);
    if (use.otherwise || !(use.asProduct || use.asTable))
      return std::nullopt;
    ArrayRef<int64_t> shape = weight.getWeights().getShape();
    return scheme.formatFor(use.asTable || shape[0] == vocabulary(), shape.back());
  }

  int64_t vocabulary() {
    auto size = getOperation()->getAttrOfType<IntegerAttr>("llm.vocab");
    return size ? size.getInt() : 0;
  }

  void quantize(WeightOp weight, Format format) {
    WeightsType type = weight.getWeights();
    auto element = QuantType::get(&getContext(), ArrayRef<Format>(format));
    auto quantised = WeightsType::get(&getContext(), type.getLayers(), type.getShape(), element);
    weight->setAttr(kStored, TypeAttr::get(type.getElement()));
    weight.setTypeAttr(TypeAttr::get(quantised));
    for (WeightLoadOp load : loads[weight])
      load->getResult(0).setType(quantised.getValueType());
  }

  llvm::MapVector<Operation *, SmallVector<WeightLoadOp>> loads;
};

} // namespace
} // namespace llmc
