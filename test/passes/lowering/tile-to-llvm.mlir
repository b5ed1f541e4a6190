// RUN: llmc-opt %s --tile-to-llvm="prefix=avx_" | FileCheck %s

llm.asset @weights0 weights "model.safetensors"
// CHECK-DAG: llvm.mlir.global internal constant @[[TABLE:.*]](dense<[2, 0, 1]> : tensor<3xi64>)
llm.weight @head : !llm.weights<1x16x32xf32> from "head"
llm.weight @down : !llm.weights<5x16x32xf32> from "blk.{layer}.down"
llm.weight @up : !llm.weights<5x16x32xf32> from "blk.{layer}.up"
llm.state @first : !llm.kv_cache<layers = 2, kv_heads = 1, head_dim = 4, f16>
llm.state @second : !llm.kv_cache<layers = 2, kv_heads = 1, head_dim = 4, f16>

// Fields at their offsets in struct llmc_step; the function is renamed, and stays visible.
// CHECK-LABEL: func.func @avx_step_1(
// CHECK-SAME: %[[STEP:[^:]*]]: !llvm.ptr, %[[WORKER:[^:]*]]: i64
// CHECK-NOT: llvm.linkage
func.func @step_1(%step: !llvm.ptr, %worker: i64) attributes {llm.max_tokens = 1 : i64, tile.scratch_bytes = 640 : i64} {
  // CHECK: %[[A:.*]] = llvm.getelementptr %[[STEP]][0]
  // CHECK: llvm.load %[[A]] : !llvm.ptr -> i64
  %tokens = tile.field %step "tokens" : i64
  // CHECK: %[[A:.*]] = llvm.getelementptr %[[STEP]][24]
  // CHECK: %[[POSITIONS:.*]] = llvm.load %[[A]] : !llvm.ptr -> !llvm.ptr
  %positions = tile.field %step "positions" : !llvm.ptr
  // Entries are widened with their sign.
  // CHECK: %[[A:.*]] = llvm.getelementptr %[[POSITIONS]][%[[WORKER]]] : (!llvm.ptr, i64) -> !llvm.ptr, i32
  // CHECK: %[[E:.*]] = llvm.load %[[A]] : !llvm.ptr -> i32
  // CHECK: arith.extsi %[[E]] : i32 to i64
  %entry = tile.entry %positions[%worker]
  // CHECK: %[[ARENA:.*]] = llvm.load %{{.*}} : !llvm.ptr -> !llvm.ptr
  // CHECK: llvm.getelementptr %[[ARENA]][4096]
  %buffer = tile.buffer %step bytes 64 name "x" offset 4096
  // An offset that 32 bits do not hold stays whole.
  // CHECK: %[[ARENA:.*]] = llvm.load %{{.*}} : !llvm.ptr -> !llvm.ptr
  // CHECK: %[[FAR:.*]] = arith.constant 5000000000 : i64
  // CHECK: llvm.getelementptr %[[ARENA]][%[[FAR]]]
  %far = tile.buffer %step bytes 64 name "far" offset 5000000000
  // Each worker has its own scratch, of the function's size.
  // CHECK: %[[SCRATCH:.*]] = llvm.load %{{.*}} : !llvm.ptr -> !llvm.ptr
  // CHECK: %[[BYTES:.*]] = arith.constant 640 : i64
  // CHECK: %[[AT:.*]] = arith.muli %[[WORKER]], %[[BYTES]]
  // CHECK: llvm.getelementptr %[[SCRATCH]][%[[AT]]]
  %scratch = tile.scratch %step, %worker bytes 64
  // CHECK: %[[ADDRESS:.*]] = llvm.mlir.addressof @[[TABLE]]
  // CHECK: %[[A:.*]] = llvm.getelementptr %[[ADDRESS]][%[[WORKER]]] : (!llvm.ptr, i64) -> !llvm.ptr, i64
  // CHECK: %[[LAYER:.*]] = llvm.load %[[A]] : !llvm.ptr -> i64
  %layer = tile.lookup [2, 0, 1][%worker]
  // The same table is one.
  // CHECK: llvm.mlir.addressof @[[TABLE]]
  %again = tile.lookup [2, 0, 1][%tokens]
  // @up begins behind the one layer of @head and the five of @down.
  // CHECK: %[[TABLE_OF_WEIGHTS:.*]] = llvm.load
  // CHECK: %[[SIX:.*]] = arith.constant 6 : i64
  // CHECK: %[[INDEX:.*]] = arith.addi %[[LAYER]], %[[SIX]]
  // CHECK: %[[A:.*]] = llvm.getelementptr %{{.*}}[%[[INDEX]]] : (!llvm.ptr, i64) -> !llvm.ptr, !llvm.ptr
  // CHECK: llvm.load %[[A]] : !llvm.ptr -> !llvm.ptr
  %w = tile.weight %step @up[%layer]
  // CHECK: arith.constant 1 : i64
  // CHECK: %[[SLOT:.*]] = arith.muli %[[WORKER]], %
  // CHECK: %[[OF_LAYER:.*]] = arith.muli %[[LAYER]], %
  // CHECK: arith.addi %[[SLOT]], %[[OF_LAYER]]
  %c = tile.state %step @second[%layer] slot %worker
  // CHECK: %[[BYTES:.*]] = arith.constant 128 : i64
  // CHECK: arith.muli %[[WORKER]], %[[BYTES]]
  %row = tile.row %buffer[%worker] bytes 128
  // CHECK: llvm.atomicrmw add %{{.*}}, %{{.*}} monotonic
  %i = tile.claim %step
  // CHECK: %[[TEAM:.*]] = llvm.load %{{.*}} : !llvm.ptr -> !llvm.ptr
  // CHECK: %[[A:.*]] = llvm.getelementptr %[[TEAM]][24]
  // CHECK: llvm.load %[[A]] : !llvm.ptr -> i64
  %workers = tile.workers %step
  // CHECK: %[[TEAM:.*]] = llvm.load %{{.*}} : !llvm.ptr -> !llvm.ptr
  // CHECK: %[[A:.*]] = llvm.getelementptr %[[TEAM]][8]
  // CHECK: %[[WAIT:.*]] = llvm.load %[[A]]
  // CHECK: llvm.call %[[WAIT]](%[[TEAM]])
  tile.barrier %step
  return
}

// Kernels are nobody's but the step's.
// CHECK: func.func private @kernel{{.*}}llvm.linkage = #llvm.linkage<internal>
// CHECK-NOT: tile.kernel
func.func private @kernel(%x: !llvm.ptr) attributes {tile.kernel = #tile.pointwise<kind = copy, channels = 7>} {
  return
}
