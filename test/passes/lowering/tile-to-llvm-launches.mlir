// RUN: llmc-opt %s --tile-to-llvm="prefix=generic_" | FileCheck %s

// The host's part of a step on a GPU keeps its name, and calls the launcher's function.
// CHECK-LABEL: func.func @sm_90_step_1_launches(
// CHECK-SAME: %[[STEP:[^:]*]]: !llvm.ptr, %[[LAUNCHER:[^:]*]]: !llvm.ptr
// CHECK-NOT: llvm.linkage
// CHECK: %[[LAYER:.*]] = arith.constant 7 : i64
// CHECK: %[[AT:.*]] = llvm.getelementptr %[[LAUNCHER]][0]
// CHECK: %[[LAUNCH:.*]] = llvm.load %[[AT]] : !llvm.ptr -> !llvm.ptr
// CHECK: %[[PHASE:.*]] = arith.constant 3 : i64
// CHECK: llvm.call %[[LAUNCH]](%[[LAUNCHER]], %[[PHASE]], %[[LAYER]]) : !llvm.ptr, (!llvm.ptr, i64, i64) -> ()
module attributes {tile.target = #tile.target<"generic", vector = 128, dot = portable>} {
func.func @sm_90_step_1_launches(%step: !llvm.ptr, %launcher: !llvm.ptr) attributes {tile.host} {
  %layer = arith.constant 7 : i64
  tile.launch %launcher phase 3 (%layer)
  return
}
}
