// count-weight-bytes: how many bytes of weights one token reads, per function (a layer kind is one). Decoding is bound
// by these bytes, so they bound tokens per second from above.
//
//   func.func private @block(…) -> … {                becomes
//   func.func private @block(…) -> … attributes {stats.weight_bytes = 98816 : i64} {
//
// Ops are asked through CostOpInterface, so the pass counts ops that it has never heard of, fused ones too.
#include "dialects/llm/LLM.h"
#include "passes/support/Statistic.h"

#include "mlir/Pass/Pass.h"
#include "mlir/Tools/Plugins/PassPlugin.h"

namespace {

class CountWeightBytes : public mlir::PassWrapper<CountWeightBytes, mlir::OperationPass<mlir::ModuleOp>> {
public:
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(CountWeightBytes)

  llvm::StringRef getArgument() const override { return "count-weight-bytes"; }
  llvm::StringRef getDescription() const override {
    return "Say how many bytes of weights a token reads in each function";
  }

  void runOnOperation() override {
    for (auto function : getOperation().getOps<mlir::func::FuncOp>()) {
      double bytes = 0;
      function.walk(
          [&](llmc::llm::CostOpInterface op) { bytes += op.getCost(/*tokens=*/1, /*contextTokens=*/1).weightBytes; });
      mlir::Builder builder(&getContext());
      function->setAttr("stats.weight_bytes", builder.getI64IntegerAttr(static_cast<int64_t>(bytes)));
      ++numFunctions;
    }
  }

private:
  llmc::Statistic numFunctions{this, "functions", "functions counted"};
};

} // namespace

extern "C" LLVM_ATTRIBUTE_WEAK mlir::PassPluginLibraryInfo mlirGetPassPluginInfo() {
  return {MLIR_PLUGIN_API_VERSION, "count-weight-bytes", "1.0", [] { mlir::PassRegistration<CountWeightBytes>(); }};
}
