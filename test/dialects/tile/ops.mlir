// Every op of the tile dialect is parsed, verified, printed, and read back the same.
// RUN: llmc-opt %s | llmc-opt | FileCheck %s
// RUN: llmc-opt %s --mlir-print-op-generic | llmc-opt | FileCheck %s

llm.asset @weights0 weights "model.safetensors"
llm.weight @down : !llm.weights<2x16x32xf32> from "blk.{layer}.down"
llm.state @kv : !llm.kv_cache<layers = 2, kv_heads = 1, head_dim = 4, f16>

// CHECK-LABEL: @ops(
// CHECK-SAME: %[[STEP:[^:]*]]: !llvm.ptr, %[[WORKER:[^:]*]]: i64
func.func @ops(%step: !llvm.ptr, %worker: i64) {
  // CHECK: %[[TOKENS:.*]] = tile.field %[[STEP]] "tokens" : i64
  %tokens = tile.field %step "tokens" : i64
  // CHECK: %[[IDS:.*]] = tile.field %[[STEP]] "token_ids" : !llvm.ptr
  %ids = tile.field %step "token_ids" : !llvm.ptr
  // CHECK: %[[X:.*]] = tile.buffer %[[STEP]] bytes 2560 name "x"{{$}}
  %x = tile.buffer %step bytes 2560 name "x"
  // CHECK: tile.buffer %[[STEP]] bytes 64 name "y" offset 2560
  %y = tile.buffer %step bytes 64 name "y" offset 2560
  // CHECK: tile.scratch %[[STEP]], %[[WORKER]] bytes 128
  %s = tile.scratch %step, %worker bytes 128
  // CHECK: %[[L:.*]] = tile.lookup [0, 0, 1][%[[WORKER]]]
  %layer = tile.lookup [0, 0, 1][%worker]
  // CHECK: tile.weight %[[STEP]] @down[%[[L]]]
  %w = tile.weight %step @down[%layer]
  // CHECK: tile.state %[[STEP]] @kv[%[[L]]] slot %[[WORKER]]
  %c = tile.state %step @kv[%layer] slot %worker
  // CHECK: tile.row %[[X]][%[[WORKER]]] bytes 128
  %r = tile.row %x[%worker] bytes 128
  // CHECK: tile.entry %[[IDS]][%[[WORKER]]]
  %id = tile.entry %ids[%worker]
  // CHECK: tile.claim %[[STEP]]
  %i = tile.claim %step
  // CHECK: tile.barrier %[[STEP]]
  tile.barrier %step
  // CHECK: tile.workers %[[STEP]]
  %n = tile.workers %step
  // CHECK: tile.launch %[[STEP]] phase 3(%{{.*}})
  tile.launch %step phase 3 (%i)
  // CHECK: tile.mark %[[STEP]], %[[WORKER]] site 3 moment 1
  tile.mark %step, %worker site 3 moment 1
  // CHECK: tile.count %[[STEP]] counter 0 row %[[ID:.*]] by %[[WORKER]]
  tile.count %step counter 0 row %id by %worker
  return
}

// All fields of the step's arguments, by name and kind.
// CHECK-LABEL: @fields(
func.func @fields(%step: !llvm.ptr) {
  // CHECK: "rows" : i64
  %0 = tile.field %step "rows" : i64
  // CHECK: "capacity" : i64
  %1 = tile.field %step "capacity" : i64
  // CHECK: "positions" : !llvm.ptr
  %2 = tile.field %step "positions" : !llvm.ptr
  // CHECK: "slots" : !llvm.ptr
  %3 = tile.field %step "slots" : !llvm.ptr
  // CHECK: "lengths" : !llvm.ptr
  %4 = tile.field %step "lengths" : !llvm.ptr
  // CHECK: "row_tokens" : !llvm.ptr
  %5 = tile.field %step "row_tokens" : !llvm.ptr
  // CHECK: "logits" : !llvm.ptr
  %6 = tile.field %step "logits" : !llvm.ptr
  // CHECK: "hidden" : !llvm.ptr
  %7 = tile.field %step "hidden" : !llvm.ptr
  // CHECK: "weights" : !llvm.ptr
  %8 = tile.field %step "weights" : !llvm.ptr
  // CHECK: "states" : !llvm.ptr
  %9 = tile.field %step "states" : !llvm.ptr
  // CHECK: "state_slot_bytes" : !llvm.ptr
  %10 = tile.field %step "state_slot_bytes" : !llvm.ptr
  // CHECK: "state_layer_bytes" : !llvm.ptr
  %11 = tile.field %step "state_layer_bytes" : !llvm.ptr
  // CHECK: "arena" : !llvm.ptr
  %12 = tile.field %step "arena" : !llvm.ptr
  // CHECK: "scratch" : !llvm.ptr
  %13 = tile.field %step "scratch" : !llvm.ptr
  // CHECK: "team" : !llvm.ptr
  %14 = tile.field %step "team" : !llvm.ptr
  return
}

// Buffers that look alike are two; what is pure and alike is one.
// RUN: llmc-opt %s --cse | FileCheck %s --check-prefix=CSE
// CSE-LABEL: @alike(
// CSE-COUNT-1: tile.field
// CSE-NOT: tile.field
// CSE-COUNT-2: tile.buffer
// CSE-COUNT-2: tile.claim
func.func @alike(%step: !llvm.ptr) -> (i64, i64, !llvm.ptr, !llvm.ptr, i64, i64) {
  %a = tile.field %step "tokens" : i64
  %b = tile.field %step "tokens" : i64
  %x = tile.buffer %step bytes 64 name "x"
  %y = tile.buffer %step bytes 64 name "x"
  %i = tile.claim %step
  %j = tile.claim %step
  return %a, %b, %x, %y, %i, %j : i64, i64, !llvm.ptr, !llvm.ptr, i64, i64
}
