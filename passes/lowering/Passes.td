// Passes of the lowering phase: from tiles to the LLVM dialect.
include "mlir/Pass/PassBase.td"

def TileEmitKernels : Pass<"tile-emit-kernels", "::mlir::ModuleOp"> {
  let summary = "Give declared kernels their bodies, for the module's target";
  let description = [{
    ```mlir
    func.func private @norm_3(!llvm.ptr, !llvm.ptr, !llvm.ptr) attributes {tile.kernel = #tile.norm<…>}      // before
    func.func private @norm_3(%x: !llvm.ptr, …) attributes {tile.kernel = #tile.norm<…>} { scf.for … }       // after
    ```
    Bodies are scf, arith, math, vector and llvm ops. A kernel may declare others (a linear its products): they get bodies too. What
    instructions a body may name is decided by `tile.target` alone. Kernels of the kinds in `external`, and those that the pipeline's maker
    picks, stay declarations that keep their attribute: who translates the module gives them bodies (`compiler/halide`).
  }];
  let options = [ListOption<"external", "external", "std::string", "Kinds of kernels to leave declared, such as tile.norm">];
  let statistics = [Statistic<"emitted", "emitted", "Kernels emitted">, Statistic<"left", "left", "Kernels left declared">];
}

def TileToLLVM : Pass<"tile-to-llvm", "::mlir::ModuleOp"> {
  let summary = "Replace the ops of the tile dialect by loads from the step's arguments";
  let description = [{
    ```mlir
    %w = tile.weight %step @blk.down[%layer]                    // before
    %a = llvm.getelementptr %step[72] …; %table = llvm.load %a; … %w = llvm.load %entry      // after
    ```
    The order of weights and states is that of dialects/tile/Tables.h. Step functions and kernels with a body become internal; the step functions
    are renamed by `prefix`.

    On a target with blocks of threads (`tile.target`), a step and each of its phases (--tile-form-blocks) get a kernel beside the function, which becomes
    internal and keeps its name:
    ```mlir
    llvm.func ptx_kernelcc @sm_90_step_1(%step: !llvm.ptr)                        // worker: the block's number; workers: how many there are
    llvm.func ptx_kernelcc @sm_90_step_1_phase_0(%step: !llvm.ptr, %layer: i64)
    ```
    The barrier is `@llmc_grid_barrier`, which counts blocks in the 128 bytes of the step's `team`. Kernels and phases are not inlined. `tile.shared_bytes` on the
    module is the most that one of them wants. Functions with `tile.host` launch phases; they belong to the host's own module.
  }];
  let options = [Option<"prefix", "prefix", "std::string", "\"llmc_\"", "Prefix of the step functions' names">];
  let dependentDialects = ["::mlir::LLVM::LLVMDialect", "::mlir::arith::ArithDialect", "::mlir::func::FuncDialect"];
}

def MathApproximate : Pass<"llmc-approximate-math", "::mlir::func::FuncOp"> {
  let summary = "Replace exp, tanh, erf, log and log1p by polynomials";
  let description = [{
    Upstream's polynomial approximations of `math.exp`, `math.tanh`, `math.erf`, `math.log1p` and `math.log` for f32, whose errors are a few units in the last
    place; the other functions stay calls of libm (they run once per token: rope tables).

    With `trigonometry`, for targets without a libm, `math.cos` and `math.sin` go too: reduced by multiples of pi / 2 and summed in f64, then rounded to f32,
    within 1 unit in the last place for |x| up to 2^20.
  }];
  let options = [Option<"trigonometry", "trigonometry", "bool", "false", "Replace math.cos and math.sin too">];
  let dependentDialects = ["::mlir::vector::VectorDialect", "::mlir::arith::ArithDialect", "::mlir::math::MathDialect"];
}
