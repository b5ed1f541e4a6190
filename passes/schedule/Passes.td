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
    `llm.exact`, bf16 ones instead where the target has matrix tiles and the version takes more than 16 tokens; bf16 where every weight is bf16 or
    f16 and the target multiplies pairs of those; else float32.
  }];
  let dependentDialects = ["::llmc::tile::TileDialect", "::mlir::scf::SCFDialect", "::mlir::arith::ArithDialect", "::mlir::LLVM::LLVMDialect"];
  let options = [Option<"mergeRows", "merge-rows", "bool", "true", "Neighbouring ops that work row by row share one loop">,
                 Option<"groupHeads", "group-heads", "bool", "true", "Heads that share keys and values read them together">,
                 Option<"panelTurns", "panel-turns", "bool", "true", "With many rows, some panels take turns with the rows that stay in L2">,
                 Option<"largeTiles", "large-tiles", "bool", "true", "With one row, a tile has enough panels to make up for claiming it">,
                 Option<"int8Rows", "int8-rows", "bool", "true", "Products of quantised weights round their rows to int8">,
                 Option<"bf16Rows", "bf16-rows", "bool", "true", "Products of bf16 and f16 weights round their rows to bf16, where the target has such dot products">,
                 Option<"bf16Attention", "bf16-attention", "bool", "true", "Attention to f16 caches multiplies pairs of bf16, several tokens at once, where the target has such dot products">,
                 Option<"splitPositions", "split-positions", "bool", "true", "bf16 attention of a few heads is split by positions, so that one token has tiles enough">,
                 Option<"streams", "streams", "bool", "true", "Most tiles of a loop over weights belong to a worker each, which reads them one behind the other">];
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
  let options = [Option<"share", "share", "bool", "true", "Buffers whose lives do not overlap share memory">];
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
    Which worker runs a tile never changes the result. Of a loop with `tile.streams`, whose tiles cost about the same and read what lies one
    behind another in memory, three tiles in four belong to a worker each, side by side, and run first; the rest is claimed, so that a slow worker is helped.
  }];
  let dependentDialects = ["::llmc::tile::TileDialect", "::mlir::scf::SCFDialect", "::mlir::arith::ArithDialect"];
  let statistics = [Statistic<"barriers", "barriers", "Barriers formed">];
}

def TileFormBlocks : Pass<"tile-form-blocks", "::mlir::ModuleOp"> {
  let summary = "A function for each parallel loop of a step, for blocks of a GPU to run, and the order in which a host launches them";
  let description = [{
    Instead of --tile-form-workers, where the target has blocks of threads. A worker is a block; tiles go in turns, so that which block runs one is
    known without asking.

    ```mlir
    func.func @step_1(%step, %worker) {
      scf.for %layer = … {
        scf.forall (%i) in (%n) { … }                           // before
      }
    }

    func.func private @step_1_phase_0(%step, %worker, %layer) attributes {tile.phase = 0} {     // after
      %workers = tile.workers %step
      scf.for %i = %worker to %n step %workers { … }
    }
    func.func @step_1(%step, %worker) {
      scf.for %layer = … {
        func.call @step_1_phase_0(%step, %worker, %layer)
        tile.barrier %step
      }
    }
    func.func @step_1_launches(%step, %launcher) attributes {tile.host} {
      scf.for %layer = … {
        tile.launch %launcher phase 0 (%layer)
      }
    }
    ```
    What a loop uses from outside is computed anew in its function: ops of `tile` and `arith` that are free of side effects, and the index of
    one loop around it. Launches may depend on tables and the step's `best` alone.

    On GPUs from sm_90 on, in steps of few tokens, where reading weights takes the time, a worker that has finished a product asks for the weights of the first tile that it
    will have of the next one before it waits; the last of a loop's products for those of the loop's first, one turn on:
    ```mlir
    func.func private @step_1_ahead_2(%step, %worker, %layer) { … func.call @linear_5_ahead(%worker, …) }

    func.call @step_1_phase_0(%step, %worker, %layer)
    func.call @step_1_ahead_2(%step, %worker, %layer)
    tile.barrier %step
    ```
  }];
  let dependentDialects = ["::llmc::tile::TileDialect", "::mlir::scf::SCFDialect", "::mlir::arith::ArithDialect", "::mlir::func::FuncDialect"];
  let options = [Option<"aheadBytes", "ahead-bytes", "int64_t", "65536", "Weights that a worker asks for before it waits; 0: none">];
  let statistics = [Statistic<"phases", "phases", "Functions formed">, Statistic<"ahead", "ahead", "Products whose weights are asked for">];
}

def TileProfile : Pass<"tile-profile", "::mlir::ModuleOp"> {
  let summary = "Make a step tell its profile when each of its loops begins and ends";
  let description = [{
    ```mlir
    scf.while … do { func.call @linear_3(…) }                   // before
    tile.barrier %step

    scf.while … do { func.call @linear_3(…) }                   // after, and `tile.sites` on the function says what site 4 is
    tile.mark %step, %worker site 4 moment 1
    tile.barrier %step
    tile.mark %step, %worker site 4 moment 2
    ```
    Runs after --tile-form-workers, and only where a profile was asked for. A site's description is a dictionary: `name` (its kernels and the weights and
    states they work on), `weight_bytes` (read by one run, mean over the layers), `row_bytes` (of weights looked up by row, for each token), `append_bytes` (written to caches
    for each token), `position_bytes` and `window` (read from caches for each token and position), `fixed_bytes` (of recurrent states, read and written);
    `row_operations`, `position_operations` and `arithmetic` (what its kernels say of themselves: WorkAttrInterface; of all rows of the step, or
    with `wanted` = 1 of those whose logits are wanted). Memory that is read several times counts once.

    Where a loop works on a stack of matrices, one a call, whoever builds it says so on the calls: `tile.calls` = the calls that would read
    all of the stack, `tile.choices` = the matrices that each row goes through. Such a loop's calls are counted when it runs (`weight_calls`, and
    `weight_counter`, the number of a table with one row): what it read is that part of `weight_bytes`.

    On a GPU it runs before --tile-form-blocks and only describes: site n is phase n, which the engine times. Of a stack's matrices it says how many there
    are (`matrices`, on calls `tile.matrices`) and how many each row goes through (`choices`): what is read of `weight_bytes` is then estimated.

    After each call of a router, its choices are counted, in table n of the n-th such call (`tile.counters`: `name`, `rows` = layers * experts,
    `layer_rows` = experts):
    ```mlir
    func.call @route_8(%logits, %experts, %weights)
    %first = arith.muli %layer, %count
    scf.for %i = … {                                             // over the top-k
      %expert = tile.entry %experts[%i]
      %row = arith.addi %first, %expert
      tile.count %step counter 0 row %row by %one
    }
    ```
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::scf::SCFDialect", "::llmc::tile::TileDialect"];
  let statistics = [Statistic<"sites", "sites", "Loops that are timed">, Statistic<"counters", "counters", "Routers whose choices are counted">];
}
