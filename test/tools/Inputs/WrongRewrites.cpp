// Ten rewrites with the mistakes that people make, for the test of llmc-equivalence: each must be caught.
#include "dialects/llm/LLM.h"

#include "mlir/IR/Builders.h"
#include "mlir/Pass/Pass.h"
#include "mlir/Tools/Plugins/PassPlugin.h"

using namespace mlir;
using namespace llmc::llm;

namespace {

using Rewrite = void (*)(func::FuncOp);

class Wrong : public PassWrapper<Wrong, OperationPass<func::FuncOp>> {
public:
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(Wrong)
  Wrong(StringRef name, Rewrite rewrite) : name(name), rewrite(rewrite) {}
  StringRef getArgument() const override { return name; }
  StringRef getDescription() const override { return "A rewrite with a mistake"; }
  void runOnOperation() override { rewrite(getOperation()); }

private:
  StringRef name;
  Rewrite rewrite;
};

FloatAttr number(Operation *op, double value) { return Builder(op).getF64FloatAttr(value); }

// A scale is folded away whatever its factor.
void dropScale(func::FuncOp f) {
  f.walk([](ScaleOp op) { op.replaceAllUsesWith(op.getX()); });
}

// softcap(softcap(x, a), b) is not softcap(x, max(a, b)).
void mergeSoftcaps(func::FuncOp f) {
  f.walk([](SoftcapOp op) {
    if (auto inner = op.getX().getDefiningOp<SoftcapOp>())
      op.setOperand(inner.getX());
  });
}

// The gain's offset is lost where a norm is made anew.
void loseOffset(func::FuncOp f) {
  f.walk([](RMSNormOp op) { op.setOffsetAttr(number(op, 0)); });
}

// A norm with another epsilon.
void defaultEps(func::FuncOp f) {
  f.walk([](RMSNormOp op) { op.setEpsAttr(number(op, 1e-6)); });
}

// Gate and up are not alike.
void swapGate(func::FuncOp f) {
  f.walk([](GLUOp op) {
    Value gate = op.getGate();
    op.setOperand(0, op.getUp());
    op.setOperand(1, gate);
  });
}

// The exact gelu is not its approximation.
void approximateGelu(func::FuncOp f) {
  f.walk([](ActivationOp op) {
    if (op.getKind() == Activation::gelu)
      op.setKind(Activation::gelu_tanh);
  });
}

// A product whose bias is lost when it is made anew.
void loseBias(func::FuncOp f) {
  f.walk([](LinearOp op) { op.getBiasesMutable().clear(); });
}

// A residual goes into a product that has other readers: they see it, too.
void sharedResidual(func::FuncOp f) {
  f.walk([](AddOp op) {
    auto linear = op.getA().getDefiningOp<LinearOp>();
    if (!linear || linear->hasOneUse() || linear.getResidual() || linear->getNumResults() != 1 || linear.getScale() || linear.getSoftcap())
      return;
    auto *maker = op.getB().getDefiningOp();
    if (maker && maker->getBlock() == linear->getBlock() && !maker->isBeforeInBlock(linear))
      return;
    linear.getResidualMutable().assign(op.getB());
    op.replaceAllUsesWith(linear.getResult(0));
  });
}

// A window is lost.
void loseWindow(func::FuncOp f) {
  f.walk([](AttentionOp op) { op.setWindow(0); });
}

// Pairs of neighbours are not pairs of halves.
void otherPairs(func::FuncOp f) {
  f.walk([](RopeOp op) { op.setRotaryAttr(RotaryAttr::get(op.getContext(), RotaryStyle::half, op.getRotary().getDim())); });
}

constexpr std::pair<StringLiteral, Rewrite> rewrites[] = {
    {"wrong-drop-scale", dropScale},   {"wrong-merge-softcaps", mergeSoftcaps},   {"wrong-lose-offset", loseOffset},       {"wrong-default-eps", defaultEps},
    {"wrong-swap-gate", swapGate},     {"wrong-approximate-gelu", approximateGelu}, {"wrong-lose-bias", loseBias},         {"wrong-shared-residual", sharedResidual},
    {"wrong-lose-window", loseWindow}, {"wrong-other-pairs", otherPairs}};

void registerAll() {
  for (auto &[name, rewrite] : rewrites)
    registerPass([name, rewrite]() -> std::unique_ptr<Pass> { return std::make_unique<Wrong>(name, rewrite); });
}

} // namespace

extern "C" LLVM_ATTRIBUTE_WEAK PassPluginLibraryInfo mlirGetPassPluginInfo() { return {MLIR_PLUGIN_API_VERSION, "wrong-rewrites", "1.0", registerAll}; }
