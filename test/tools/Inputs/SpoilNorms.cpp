// spoil-norms: a pass with a mistake, for the test of llmc verify. It makes every eps a hundred times as large.
#include "dialects/llm/LLM.h"

#include "mlir/Pass/Pass.h"
#include "mlir/Tools/Plugins/PassPlugin.h"

namespace {

class SpoilNorms : public mlir::PassWrapper<SpoilNorms, mlir::OperationPass<mlir::ModuleOp>> {
public:
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(SpoilNorms)

  llvm::StringRef getArgument() const override { return "spoil-norms"; }
  llvm::StringRef getDescription() const override { return "Make a mistake in every norm"; }

  void runOnOperation() override {
    getOperation().walk([&](llmc::llm::RMSNormOp op) {
      op.setEpsAttr(mlir::FloatAttr::get(op.getEpsAttr().getType(), 100 * op.getEps().convertToDouble()));
    });
  }
};

} // namespace

extern "C" LLVM_ATTRIBUTE_WEAK mlir::PassPluginLibraryInfo mlirGetPassPluginInfo() {
  return {MLIR_PLUGIN_API_VERSION, "spoil-norms", "1.0", [] { mlir::PassRegistration<SpoilNorms>(); }};
}
