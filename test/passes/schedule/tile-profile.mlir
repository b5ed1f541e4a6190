// RUN: llmc-opt %s --pass-pipeline="builtin.module(tile-profile)" | FileCheck %s
// RUN: llmc-opt %s --pass-pipeline="builtin.module(tile-profile)" --mlir-pass-statistics 2>&1 >/dev/null | FileCheck %s --check-prefix=STATS
// RUN: llmc-opt %s --pass-pipeline="builtin.module(tile-profile,tile-to-llvm)" | FileCheck %s --check-prefix=LLVM
// STATS-DAG: (S) 5 sites
// STATS-DAG: (S) 3 counters

llm.asset @weights0 weights "model.safetensors"
llm.weight @embed : !llm.weights<1x64x32xf32> from "embed"
llm.weight @down : !llm.weights<2x16x32xf32> from "blk.{layer}.down"
llm.state @kv : !llm.kv_cache<layers = 2, kv_heads = 1, head_dim = 4, f16>

func.func private @decode_row(!llvm.ptr, i64, !llvm.ptr) attributes {tile.kernel = #tile.decode_row<format = f32, inputs = 32>}
func.func private @attend(!llvm.ptr, !llvm.ptr) attributes {
  tile.kernel = #tile.attend<heads = 4, kv_heads = 1, head_dim = 4, element = f16, scale = 0.125, window = 512, softcap = 0.0>}

// A loop over layers is one site: what a layer reads is the mean. Weights that are looked up by row count by row.
// CHECK-LABEL: func.func @step_1(
// CHECK-SAME: tile.sites = [{arithmetic = "f32", name = "decode_row @embed", row_bytes = 128 : i64, row_operations = 32 : i64},
// CHECK-SAME: {arithmetic = "f32", name = "attend @down @kv", position_bytes = 16 : i64, position_operations = 80 : i64, weight_bytes = 2048 : i64, window = 512 : i64}]
// CHECK-NEXT: tile.mark %[[STEP:.*]], %[[WORKER:.*]] site 0 moment 0
// CHECK: func.call @decode_row
// CHECK: tile.mark %[[STEP]], %[[WORKER]] site 0 moment 1
// CHECK-NEXT: tile.barrier
// CHECK-NEXT: tile.mark %[[STEP]], %[[WORKER]] site 0 moment 2
// CHECK: scf.for
// CHECK: tile.mark %[[STEP]], %[[WORKER]] site 1 moment 1
// CHECK-NEXT: tile.barrier
// CHECK-NEXT: tile.mark %[[STEP]], %[[WORKER]] site 1 moment 2
// LLVM: llvm.call %{{.*}}(%{{.*}}) : !llvm.ptr, (!llvm.ptr, i64, i64, i64) -> ()
func.func @step_1(%step: !llvm.ptr, %worker: i64) attributes {llm.max_tokens = 1 : i64} {
  %x = tile.buffer %step bytes 128 name "x" offset 0
  %zero = arith.constant 0 : i64
  %one = arith.constant 1 : i64
  scf.while : () -> i64 {
    %tile = tile.claim %step
    %more = arith.cmpi slt, %tile, %one : i64
    scf.condition(%more) %tile : i64
  } do {
  ^bb0(%row: i64):
    %table = tile.weight %step @embed[%zero]
    func.call @decode_row(%table, %row, %x) : (!llvm.ptr, i64, !llvm.ptr) -> ()
    scf.yield
  }
  tile.barrier %step
  scf.for %layer = %zero to %one step %one : i64 {
    %cache = tile.state %step @kv[%layer] slot %zero // where a loop's states are found does not matter
    scf.while : () -> i64 {
      %tile = tile.claim %step
      %more = arith.cmpi slt, %tile, %one : i64
      scf.condition(%more) %tile : i64
    } do {
    ^bb0(%tile: i64):
      %w = tile.weight %step @down[%layer]
      func.call @attend(%w, %cache) : (!llvm.ptr, !llvm.ptr) -> ()
      scf.yield
    }
    tile.barrier %step
  }
  return
}

// A function that is no step stays.
// CHECK-LABEL: func.func @other(
// CHECK-NOT: tile.mark
func.func @other(%step: !llvm.ptr, %worker: i64) {
  tile.barrier %step
  return
}

// A router's choices are counted, layer by layer, where they were made: one table for each router of the step.
func.func private @route(!llvm.ptr, !llvm.ptr, !llvm.ptr) attributes {tile.kernel = #tile.route<count = 8, top = 2, scores = softmax,
  groups = 1, top_groups = 1, group_score = max, normalize = none, epsilon = 0.0, scale = 1.0, bias = false>}

// CHECK-LABEL: func.func @step_4(
// CHECK-SAME: tile.counters = [{layer_rows = 8 : i64, name = "experts", rows = 24 : i64}, {layer_rows = 8 : i64, name = "experts", rows = 8 : i64}]
// CHECK: scf.for %[[LAYER:.*]] = %
// CHECK: func.call @route(%{{.*}}, %[[EXPERTS:.*]], %{{.*}})
// CHECK: %[[FIRST:.*]] = arith.muli %[[LAYER]], %c8
// CHECK: scf.for %[[I:.*]] = %c0{{.*}} to %c2
// CHECK-NEXT: %[[EXPERT:.*]] = tile.entry %[[EXPERTS]][%[[I]]]
// CHECK: %[[ROW:.*]] = arith.addi %[[FIRST]], %[[EXPERT]]
// CHECK: tile.count %{{.*}} counter 0 row %[[ROW]] by %
// CHECK: func.call @route(
// CHECK: tile.count %{{.*}} counter 1 row
func.func @step_4(%step: !llvm.ptr, %worker: i64) attributes {llm.max_tokens = 4 : i64} {
  %x = tile.buffer %step bytes 256 name "x" offset 0
  %zero = arith.constant 0 : i64
  %one = arith.constant 1 : i64
  %three = arith.constant 3 : i64
  scf.for %layer = %zero to %three step %one : i64 {
    scf.while : () -> i64 {
      %tile = tile.claim %step
      %more = arith.cmpi slt, %tile, %one : i64
      scf.condition(%more) %tile : i64
    } do {
    ^bb0(%tile: i64):
      %experts = tile.row %x[%tile] bytes 8 offset 64
      %weights = tile.row %x[%tile] bytes 8 offset 128
      func.call @route(%x, %experts, %weights) : (!llvm.ptr, !llvm.ptr, !llvm.ptr) -> ()
      scf.yield
    }
    tile.barrier %step
  }
  scf.while : () -> i64 {
    %tile = tile.claim %step
    %more = arith.cmpi slt, %tile, %one : i64
    scf.condition(%more) %tile : i64
  } do {
  ^bb0(%tile: i64):
    func.call @route(%x, %x, %x) : (!llvm.ptr, !llvm.ptr, !llvm.ptr) -> ()
    scf.yield
  }
  tile.barrier %step
  return
}

// A product of N outputs from K inputs is 2 * N * K operations a row; calls that read one matrix of a stack are counted, and each row goes
// through two of them.
func.func private @product(!llvm.ptr, i64) attributes {tile.kernel = #tile.linear<weights = [tensor<16x32xf32>], arithmetic = int8, single = true,
  panels = 1, bias = false, glu = false, residual = false>}

// CHECK-LABEL: func.func @step_5(
// CHECK-SAME: tile.counters = [{name = "calls", rows = 1 : i64}]
// CHECK-SAME: tile.sites = [{arithmetic = "int8", name = "linear @down", row_operations = 2048 : i64, wanted = 1 : i64,
// CHECK-SAME: weight_bytes = 2048 : i64, weight_calls = 8 : i64, weight_counter = 0 : i64}]
// CHECK: func.call @product
// CHECK: tile.count %{{.*}} counter 0 row %
func.func @step_5(%step: !llvm.ptr, %worker: i64) attributes {llm.max_tokens = 5 : i64} {
  %zero = arith.constant 0 : i64
  %rows = tile.field %step "rows" : i64
  scf.while : () -> i64 {
    %tile = tile.claim %step
    %more = arith.cmpi slt, %tile, %rows : i64
    scf.condition(%more) %tile : i64
  } do {
  ^bb0(%tile: i64):
    %w = tile.weight %step @down[%zero]
    func.call @product(%w, %rows) {tile.calls = 8 : i64, tile.choices = 2 : i64} : (!llvm.ptr, i64) -> ()
    scf.yield
  }
  tile.barrier %step
  return
}
