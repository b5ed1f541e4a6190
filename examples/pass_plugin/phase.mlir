// CHECK: (S) 1 loops - loops shared out

// CHECK-LABEL: func.func private @step_1_phase_0(
// CHECK-SAME: %[[STEP:[^:]*]]: !llvm.ptr, %[[WORKER:[^:]*]]: i64
// CHECK: %[[WORKERS:.*]] = tile.workers %[[STEP]]
// CHECK: %[[SHARE:.*]] = arith.ceildivui %[[COUNT:.*]], %[[WORKERS]]
// CHECK: %[[FIRST:.*]] = arith.muli %[[WORKER]], %[[SHARE]]
// CHECK: %[[LAST:.*]] = arith.addi %[[FIRST]], %[[SHARE]]
// CHECK: %[[END:.*]] = arith.minui %[[LAST]], %[[COUNT]]
// CHECK: scf.for %{{.*}} = %[[FIRST]] to %[[END]] step %{{.*}}
// Other loops stay.
// CHECK: scf.for %{{.*}} = %{{.*}} to %[[COUNT]]
func.func private @use(i64)
func.func private @step_1_phase_0(%step: !llvm.ptr, %worker: i64, %layer: i64) attributes {tile.phase = 0 : i64} {
  %count = arith.constant 40 : i64
  %one = arith.constant 1 : i64
  %workers = tile.workers %step
  scf.for %tile = %worker to %count step %workers : i64 {
    func.call @use(%tile) : (i64) -> ()
  }
  scf.for %i = %layer to %count step %one : i64 {
    func.call @use(%i) : (i64) -> ()
  }
  return
}
