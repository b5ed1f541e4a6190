// Passes of the schedule phase: how one step runs.
include "mlir/Pass/PassBase.td"

def TileSchedule : Pass<"tile-schedule", "::mlir::ModuleOp"> {
  let summary = "Turn the versions of the step into parallel loops over tiles that call kernels";
  let description = [{
    Each `@step_N` (from --llm-specialize) becomes one function over the step's arguments and the worker's index. Values become buffers;
    ops become `scf.forall` loops over rows or tiles; neighbouring ops that work row by row share one loop. Layer functions are inlined
    into a loop over the layers. Kernels are declared, once for each shape and format, with an attribute that says what they compute.

    ```mlir
    %y = llm.linear %x [%w] : …                                 // before

    scf.forall (%i) in (40) {                                   // after
      %w = tile.weight %step @blk.down[%layer]
      func.call @linear_3(%i, %tokens, %x, %scratch, %w, …, %y) : …
    }
    ```
    Needs `tile.target` on the module. Products take int8 activations where every weight of the op is quantised and the module is not
    `llm.exact`; else float32.
  }];
  let dependentDialects = ["::llmc::tile::TileDialect", "::mlir::scf::SCFDialect", "::mlir::arith::ArithDialect", "::mlir::LLVM::LLVMDialect"];
  let statistics = [Statistic<"loops", "loops", "Parallel loops, each followed by a barrier">,
                    Statistic<"rowOps", "row-ops", "Row-wise kernels, several of which share a loop">,
                    Statistic<"kernels", "kernels", "Different kernels declared">,
                    Statistic<"int8Products", "int8-products", "Products that take int8 activations">];
}

def TilePlanMemory : Pass<"tile-plan-memory", "::mlir::func::FuncOp"> {
  let summary = "Give each buffer of a step its place in the arena";
  let description = [{
    Buffers live from the first to the last loop that touches them (a loop over layers counts as one for buffers from outside it); those
    whose lives do not overlap share memory.

    ```mlir
    %b = tile.buffer %step bytes 2560 name "x"                  // before
    %b = tile.buffer %step bytes 2560 name "x" offset 5120      // after, and tile.arena_bytes, tile.scratch_bytes on the function
    ```
  }];
  let statistics = [Statistic<"arenaBytes", "arena-bytes", "Bytes of the arena">,
                    Statistic<"bufferBytes", "buffer-bytes", "Bytes of all buffers, were none shared">];
}

def TileFormWorkers : Pass<"tile-form-workers", "::mlir::func::FuncOp"> {
  let summary = "One parallel region per step: every worker runs the function, claims tiles, and waits at barriers";
  let description = [{
    ```mlir
    scf.forall (%i) in (%n) { … }                               // before

    scf.while : () -> i64 { %i = tile.claim %step; %go = arith.cmpi slt, %i, %n …; scf.condition(%go) %i : i64 } do { … }   // after
    tile.barrier %step
    ```
    Which worker runs a tile never changes the result.
  }];
  let dependentDialects = ["::llmc::tile::TileDialect", "::mlir::scf::SCFDialect", "::mlir::arith::ArithDialect"];
  let statistics = [Statistic<"barriers", "barriers", "Barriers formed">];
}
