// RUN: llmc-opt %s --tile-form-blocks --split-input-file --verify-diagnostics | FileCheck %s

llm.asset @weights0 weights "model.safetensors"
llm.weight @blk.w : !llm.weights<5x16x32xf32> from "blk.{layer}.w"
func.func private @use(i64, !llvm.ptr, !llvm.ptr)

// The host's list of launches depends on `best` and on constant tables, and on nothing else.
// CHECK-LABEL: func.func @step_1_launches(
// CHECK-SAME: %[[STEP:[^:]*]]: !llvm.ptr, %[[LAUNCHER:[^:]*]]: !llvm.ptr) attributes {tile.host} {
// CHECK-NOT: tile.buffer
// CHECK-NOT: "tokens"
// CHECK: scf.for %[[LAYER:.*]] = %
// CHECK-NEXT: tile.launch %[[LAUNCHER]] phase 0(%[[LAYER]])
// CHECK: tile.field %[[STEP]] "best"
// CHECK: scf.if
// CHECK: %[[ZERO:.*]] = arith.constant 0 : i64
// CHECK: tile.launch %[[LAUNCHER]] phase 1(%[[ZERO]])
// CHECK: else
// CHECK: tile.launch %[[LAUNCHER]] phase 2(

// A loop's function computes anew what the loop used from outside, and takes turns with the other workers.
// CHECK-LABEL: func.func private @step_1_phase_0(
// CHECK-SAME: %[[STEP:[^:]*]]: !llvm.ptr, %[[WORKER:[^:]*]]: i64, %[[LAYER:[^:]*]]: i64) attributes {tile.phase = 0 : i64, tile.scratch_bytes = 64 : i64}
// CHECK: %[[N:.*]] = tile.field %[[STEP]] "tokens"
// CHECK: %[[TWICE:.*]] = arith.addi %[[N]], %[[N]]
// CHECK: %[[BUFFER:.*]] = tile.buffer %[[STEP]] bytes 64 name "x" offset 128
// CHECK: %[[WORKERS:.*]] = tile.workers %[[STEP]]
// CHECK: scf.for %{{.*}} = %[[WORKER]] to %{{.*}} step %[[WORKERS]] : i64
// CHECK: tile.scratch %[[STEP]], %[[WORKER]] bytes 64
// CHECK: tile.weight %[[STEP]] @blk.w[%[[LAYER]]]
// CHECK: call @use(%{{.*}}, %{{.*}}, %[[BUFFER]])
// CHECK-LABEL: func.func private @step_1_phase_1(
// CHECK-LABEL: func.func private @step_1_phase_2(

// CHECK-LABEL: func.func @step_1(
// CHECK-SAME: %[[STEP:[^:]*]]: !llvm.ptr, %[[WORKER:[^:]*]]: i64
// CHECK: scf.for %[[LAYER:.*]] = %
// CHECK: func.call @step_1_phase_0(%[[STEP]], %[[WORKER]], %[[LAYER]])
// CHECK-NEXT: tile.barrier %[[STEP]]
// CHECK: scf.if
// CHECK: func.call @step_1_phase_1(%[[STEP]], %[[WORKER]], %{{.*}})
// CHECK-NEXT: tile.barrier %[[STEP]]
// CHECK-NOT: scf.forall
func.func @step_1(%step: !llvm.ptr, %worker: i64) attributes {llm.max_tokens = 1 : i64, tile.scratch_bytes = 64 : i64} {
  %n = tile.field %step "tokens" : i64
  %twice = arith.addi %n, %n : i64
  %count = arith.index_cast %twice : i64 to index
  %buffer = tile.buffer %step bytes 64 name "x" offset 128
  %zero = arith.constant 0 : i64
  %one = arith.constant 1 : i64
  %layers = arith.constant 5 : i64
  scf.for %layer = %zero to %layers step %one : i64 {
    scf.forall (%i) in (%count) {
      %tile = arith.index_cast %i : index to i64
      %scratch = tile.scratch %step, %worker bytes 64
      %w = tile.weight %step @blk.w[%layer]
      func.call @use(%tile, %w, %buffer) : (i64, !llvm.ptr, !llvm.ptr) -> ()
    }
  }
  %best = tile.field %step "best" : i64
  %some = arith.cmpi sgt, %best, %zero : i64
  scf.if %some {
    scf.forall (%i) in (12) {
      %tile = arith.index_cast %i : index to i64
      func.call @use(%tile, %buffer, %buffer) : (i64, !llvm.ptr, !llvm.ptr) -> ()
    }
  } else {
    scf.forall (%i) in (%count) {
      %tile = arith.index_cast %i : index to i64
      func.call @use(%tile, %buffer, %step) : (i64, !llvm.ptr, !llvm.ptr) -> ()
    }
  }
  return
}

// -----

func.func private @use(i64)

// What only the step can compute, a phase can't use.
func.func @step_1(%step: !llvm.ptr, %worker: i64) attributes {llm.max_tokens = 1 : i64} {
  // expected-error@+1 {{tile-form-blocks: a parallel loop uses its result, which a kernel can't compute anew}}
  %n = llvm.load %step : !llvm.ptr -> i64
  scf.forall (%i) in (12) {
    func.call @use(%n) : (i64) -> ()
  }
  return
}

// -----

func.func private @use(i64)

func.func @step_1(%step: !llvm.ptr, %worker: i64) attributes {llm.max_tokens = 1 : i64} {
  // expected-error@+1 {{what is launched depends on it; of a step's arguments only `best` may decide that}}
  %n = tile.field %step "tokens" : i64
  %zero = arith.constant 0 : i64
  %one = arith.constant 1 : i64
  scf.for %layer = %zero to %n step %one : i64 {
    scf.forall (%i) in (12) {
      func.call @use(%layer) : (i64) -> ()
    }
  }
  return
}

// -----

func.func private @use(i64)

func.func @step_1(%step: !llvm.ptr, %worker: i64) attributes {llm.max_tokens = 1 : i64} {
  %zero = arith.constant 0 : i64
  %one = arith.constant 1 : i64
  %two = arith.constant 2 : i64
  // expected-error@+1 {{may use the i64 index of the loop around it, and nothing else that loops carry}}
  scf.for %outer = %zero to %two step %one : i64 {
    scf.for %inner = %zero to %two step %one : i64 {
      scf.forall (%i) in (12) {
        func.call @use(%outer) : (i64) -> ()
        func.call @use(%inner) : (i64) -> ()
      }
    }
  }
  return
}

// -----

module attributes {tile.target = #tile.target<"sm_90", vector = 128, dot = portable in blocks of 256>} {
llm.asset @weights0 weights "model.safetensors"
llm.weight @blk.a : !llm.weights<5x64x32xbf16> from "blk.{layer}.a"
llm.weight @blk.b : !llm.weights<5x64x32xbf16> from "blk.{layer}.b"
func.func private @norm(i64, !llvm.ptr)
func.func private @linear_0(i64, i64, !llvm.ptr, !llvm.ptr, !llvm.ptr, i64, !llvm.ptr)
  attributes {tile.kernel = #tile.linear<weights = [tensor<64x32xbf16>], arithmetic = bf16, single = true, panels = 1, bias = false, glu = false, residual = false>}

// Of the first tile that the worker will have.
// CHECK-LABEL: func.func private @step_1_ahead_2(
// CHECK-SAME: %[[STEP:[^:]*]]: !llvm.ptr, %[[WORKER:[^:]*]]: i64, %[[LAYER:[^:]*]]: i64)
// CHECK: %[[HAS:.*]] = arith.cmpi slt, %[[WORKER]], %
// CHECK: scf.if %[[HAS]]
// CHECK-DAG: %[[W:.*]] = tile.weight %[[STEP]] @blk.a[%[[LAYER]]]
// CHECK: call @linear_0_ahead(%{{.*}}, %[[W]], %{{.*}})
// CHECK-LABEL: func.func private @step_1_ahead_3(

// The second product is asked for before the barrier of the first; the first before that of the second, a turn on, and before the loop.
// CHECK-LABEL: func.func @step_1(
// CHECK-SAME: %[[STEP:[^:]*]]: !llvm.ptr, %[[WORKER:[^:]*]]: i64
// CHECK: call @step_1_phase_0(
// CHECK: scf.if
// CHECK-NEXT: call @step_1_ahead_2(%[[STEP]], %[[WORKER]], %[[FIRST:[^)]*]])
// CHECK: tile.barrier
// CHECK: scf.for %[[LAYER:.*]] = %[[FIRST]] to %[[LAYERS:.*]] step %[[ONE:.*]] : i64
// CHECK: call @step_1_phase_1(
// CHECK-NEXT: tile.barrier
// CHECK: call @step_1_phase_2(
// CHECK-NEXT: call @step_1_ahead_3(%[[STEP]], %[[WORKER]], %[[LAYER]])
// CHECK-NEXT: tile.barrier
// CHECK: call @step_1_phase_3(
// CHECK: %[[NEXT:.*]] = arith.addi %[[LAYER]], %[[ONE]]
// CHECK: %[[MORE:.*]] = arith.cmpi slt, %[[NEXT]], %[[LAYERS]]
// CHECK: scf.if %[[MORE]]
// CHECK-NEXT: call @step_1_ahead_2(%[[STEP]], %[[WORKER]], %[[NEXT]])
// CHECK: tile.barrier

// Launches have nothing of it, and neither have steps of many tokens.
// CHECK-LABEL: func.func @step_64(
// CHECK-NOT: ahead
// CHECK: func.func private @linear_0_ahead(
// CHECK-SAME: tile.kernel = #tile.ahead<linear = <weights = [tensor<64x32xbf16>], {{.*}}>, bytes = 65536>
func.func @step_1(%step: !llvm.ptr, %worker: i64) attributes {llm.max_tokens = 1 : i64, tile.scratch_bytes = 64 : i64} {
  %n = tile.field %step "tokens" : i64
  %x = tile.buffer %step bytes 64 name "x" offset 128
  %zero = arith.constant 0 : i64
  %one = arith.constant 1 : i64
  %layers = arith.constant 5 : i64
  scf.forall (%i) in (1) {
    func.call @norm(%n, %x) : (i64, !llvm.ptr) -> ()
  }
  scf.for %layer = %zero to %layers step %one : i64 {
    scf.forall (%i) in (1) {
      func.call @norm(%n, %x) : (i64, !llvm.ptr) -> ()
    }
    scf.forall (%i) in (4) {
      %tile = arith.index_cast %i : index to i64
      %w = tile.weight %step @blk.a[%layer]
      func.call @linear_0(%tile, %n, %x, %x, %w, %zero, %x) : (i64, i64, !llvm.ptr, !llvm.ptr, !llvm.ptr, i64, !llvm.ptr) -> ()
    }
    scf.forall (%i) in (4) {
      %tile = arith.index_cast %i : index to i64
      %w = tile.weight %step @blk.b[%layer]
      func.call @linear_0(%tile, %n, %x, %x, %w, %zero, %x) : (i64, i64, !llvm.ptr, !llvm.ptr, !llvm.ptr, i64, !llvm.ptr) -> ()
    }
  }
  return
}

func.func @step_64(%step: !llvm.ptr, %worker: i64) attributes {llm.max_tokens = 64 : i64, tile.scratch_bytes = 64 : i64} {
  %n = tile.field %step "tokens" : i64
  %x = tile.buffer %step bytes 64 name "x" offset 128
  %zero = arith.constant 0 : i64
  scf.forall (%i) in (4) {
    %tile = arith.index_cast %i : index to i64
    %w = tile.weight %step @blk.a[%zero]
    func.call @linear_0(%tile, %n, %x, %x, %w, %zero, %x) : (i64, i64, !llvm.ptr, !llvm.ptr, !llvm.ptr, i64, !llvm.ptr) -> ()
  }
  scf.forall (%i) in (4) {
    %tile = arith.index_cast %i : index to i64
    %w = tile.weight %step @blk.b[%zero]
    func.call @linear_0(%tile, %n, %x, %x, %w, %zero, %x) : (i64, i64, !llvm.ptr, !llvm.ptr, !llvm.ptr, i64, !llvm.ptr) -> ()
  }
  return
}
}

// -----

// Older GPUs have no instruction for it that LLVM knows.
module attributes {tile.target = #tile.target<"sm_80", vector = 128, dot = portable in blocks of 256>} {
llm.asset @weights0 weights "model.safetensors"
llm.weight @blk.a : !llm.weights<1x64x32xbf16> from "blk.a"
func.func private @linear_0(i64, i64, !llvm.ptr, !llvm.ptr, !llvm.ptr, i64, !llvm.ptr)
  attributes {tile.kernel = #tile.linear<weights = [tensor<64x32xbf16>], arithmetic = bf16, single = true, panels = 1, bias = false, glu = false, residual = false>}
// CHECK-LABEL: func.func @step_2(
// CHECK-NOT: ahead
func.func @step_2(%step: !llvm.ptr, %worker: i64) attributes {llm.max_tokens = 1 : i64, tile.scratch_bytes = 64 : i64} {
  %n = tile.field %step "tokens" : i64
  %x = tile.buffer %step bytes 64 name "x" offset 128
  %zero = arith.constant 0 : i64
  scf.forall (%i) in (4) {
    %tile = arith.index_cast %i : index to i64
    %w = tile.weight %step @blk.a[%zero]
    func.call @linear_0(%tile, %n, %x, %x, %w, %zero, %x) : (i64, i64, !llvm.ptr, !llvm.ptr, !llvm.ptr, i64, !llvm.ptr) -> ()
  }
  scf.forall (%i) in (4) {
    %tile = arith.index_cast %i : index to i64
    %w = tile.weight %step @blk.a[%zero]
    func.call @linear_0(%tile, %n, %x, %x, %w, %zero, %x) : (i64, i64, !llvm.ptr, !llvm.ptr, !llvm.ptr, i64, !llvm.ptr) -> ()
  }
  return
}
}
