// RUN: llmc-opt %s --pass-pipeline="builtin.module(func.func(tile-form-workers))" | FileCheck %s
// RUN: llmc-opt %s --pass-pipeline="builtin.module(func.func(tile-form-workers))" --mlir-pass-statistics 2>&1 >/dev/null | FileCheck %s --check-prefix=STATS
// STATS: (S) 3 barriers

func.func private @use(i64)

// CHECK-LABEL: func.func @step_1(
// CHECK-SAME: %[[STEP:[^:]*]]: !llvm.ptr
// CHECK: %[[N:.*]] = tile.field %[[STEP]] "tokens"
// CHECK: scf.while : () -> i64 {
// CHECK: %[[TILE:.*]] = tile.claim %[[STEP]]
// CHECK: %[[MORE:.*]] = arith.cmpi slt, %[[TILE]], %
// CHECK: scf.condition(%[[MORE]]) %[[TILE]] : i64
// CHECK: } do {
// CHECK: func.call @use
// CHECK: }
// CHECK-NEXT: tile.barrier %[[STEP]]
// Loops inside of a loop over layers keep their place, each with its barrier.
// CHECK: scf.for
// CHECK: scf.while
// CHECK: func.call @use
// CHECK: func.call @use
// CHECK: tile.barrier %[[STEP]]
// CHECK-NOT: scf.forall
func.func @step_1(%step: !llvm.ptr, %worker: i64) attributes {llm.max_tokens = 1 : i64} {
  %n = tile.field %step "tokens" : i64
  %count = arith.index_cast %n : i64 to index
  %zero = arith.constant 0 : i64
  %one = arith.constant 1 : i64
  scf.forall (%i) in (%count) {
    %tile = arith.index_cast %i : index to i64
    func.call @use(%tile) : (i64) -> ()
  }
  scf.for %layer = %zero to %n step %one : i64 {
    scf.forall (%i) in (12) {
      %tile = arith.index_cast %i : index to i64
      func.call @use(%tile) : (i64) -> ()
      func.call @use(%layer) : (i64) -> ()
    }
  }
  return
}

// Of tiles that lie one behind another a worker first runs its own: 3 in 4, divided by the workers.
// CHECK-LABEL: func.func @step_2(
// CHECK-SAME: %[[STEP:[^:]*]]: !llvm.ptr, %[[WORKER:[^:]*]]: i64
// CHECK: %[[COUNT:.*]] = arith.index_cast
// CHECK: %[[WORKERS:.*]] = tile.workers %[[STEP]]
// CHECK: %[[OWN:.*]] = arith.muli %[[COUNT]], %c3
// CHECK: %[[PARTS:.*]] = arith.muli %[[WORKERS]], %c4
// CHECK: %[[SHARE:.*]] = arith.divui %[[OWN]], %[[PARTS]]
// CHECK: %[[FIRST:.*]] = arith.muli %[[WORKER]], %[[SHARE]]
// CHECK: %[[END:.*]] = arith.addi %[[FIRST]], %[[SHARE]]
// CHECK: %[[REST:.*]] = arith.muli %[[WORKERS]], %[[SHARE]]
// CHECK: scf.while (%[[NEXT:.*]] = %[[FIRST]])
// CHECK: %[[MINE:.*]] = arith.cmpi slt, %[[NEXT]], %[[END]]
// CHECK: %[[TILE:.*]] = scf.if %[[MINE]] -> (i64) {
// CHECK: scf.yield %[[NEXT]]
// CHECK: } else {
// CHECK: %[[CLAIM:.*]] = tile.claim %[[STEP]]
// CHECK: %[[SUM:.*]] = arith.addi %[[REST]], %[[CLAIM]]
// CHECK: scf.yield %[[SUM]]
// CHECK: %[[MORE:.*]] = arith.cmpi slt, %[[TILE]], %[[COUNT]]
// CHECK: scf.condition(%[[MORE]]) %[[TILE]] : i64
// CHECK: ^bb0(%[[CURRENT:.*]]: i64):
// CHECK: func.call @use
// CHECK: arith.addi %[[CURRENT]], %c1
// CHECK: tile.barrier %[[STEP]]
func.func @step_2(%step: !llvm.ptr, %worker: i64) attributes {llm.max_tokens = 2 : i64} {
  scf.forall (%i) in (12) {
    %tile = arith.index_cast %i : index to i64
    func.call @use(%tile) : (i64) -> ()
  } {tile.streams}
  return
}

// A function that is no step keeps its loops.
// CHECK-LABEL: func.func @other(
// CHECK: scf.forall
func.func @other(%step: !llvm.ptr, %worker: i64) {
  scf.forall (%i) in (12) {
    func.call @use(%worker) : (i64) -> ()
  }
  return
}
