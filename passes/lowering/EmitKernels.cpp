// --tile-emit-kernels: see Passes.td. The bodies are written by passes/lowering/kernels.
#include "passes/lowering/Passes.h"
#include "passes/lowering/kernels/Kernels.h"

namespace llmc {
#define GEN_PASS_DEF_TILEEMITKERNELS
#include "passes/lowering/Passes.h.inc"
} // namespace llmc

using namespace mlir;
using namespace llmc;

namespace {

struct EmitKernels : llmc::impl::TileEmitKernelsBase<EmitKernels> {
  using TileEmitKernelsBase::TileEmitKernelsBase;

  void getDependentDialects(DialectRegistry &registry) const override {
    TileEmitKernelsBase::getDependentDialects(registry);
    kernels::insertKernelDialects(registry);
  }

  void runOnOperation() override {
    ModuleOp module = getOperation();
    auto target = module->getAttrOfType<tile::TargetAttr>("tile.target");
    if (!target) {
      module.emitError("tile-emit-kernels: the module has no tile.target");
      return signalPassFailure();
    }
    // Emitting one kernel may declare more.
    while (func::FuncOp next = firstDeclared(module)) {
      if (failed(kernels::emitKernel(next, target)))
        return signalPassFailure();
      ++emitted;
    }
  }

  func::FuncOp firstDeclared(ModuleOp module) {
    for (auto function : module.getOps<func::FuncOp>())
      if (Attribute kernel = function->getAttr(kernels::kKernelAttr); kernel && function.isExternal() && !staysDeclared(kernel))
        return function;
    return {};
  }

  bool staysDeclared(Attribute kernel) { return llvm::is_contained(external, kernel.getAbstractAttribute().getName()); }
};

} // namespace
