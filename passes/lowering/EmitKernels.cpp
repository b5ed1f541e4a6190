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

using Leaves = std::function<bool(Attribute, tile::TargetAttr)>;

struct EmitKernels : llmc::impl::TileEmitKernelsBase<EmitKernels> {
  using TileEmitKernelsBase::TileEmitKernelsBase;
  explicit EmitKernels(Leaves leaves) : leaves(std::move(leaves)) {}

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
    while (func::FuncOp next = firstDeclared(module, target)) {
      if (failed(kernels::emitKernel(next, target)))
        return signalPassFailure();
      ++emitted;
    }
    for (auto function : module.getOps<func::FuncOp>())
      if (isDeclaredKernel(function))
        ++left;
  }

  func::FuncOp firstDeclared(ModuleOp module, tile::TargetAttr target) {
    for (auto function : module.getOps<func::FuncOp>())
      if (isDeclaredKernel(function) && !staysDeclared(function->getAttr(kernels::kKernelAttr), target))
        return function;
    return {};
  }

  static bool isDeclaredKernel(func::FuncOp function) { return function.isExternal() && function->hasAttr(kernels::kKernelAttr); }

  bool staysDeclared(Attribute kernel, tile::TargetAttr target) {
    return llvm::is_contained(external, kernel.getAbstractAttribute().getName()) || (leaves && leaves(kernel, target));
  }

  Leaves leaves;
};

} // namespace

std::unique_ptr<Pass> llmc::createTileEmitKernelsBut(Leaves leaves) { return std::make_unique<EmitKernels>(std::move(leaves)); }
