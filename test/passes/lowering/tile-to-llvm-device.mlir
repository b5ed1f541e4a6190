// RUN: llmc-opt %s --tile-to-llvm="prefix=sm_90_" | FileCheck %s

// On a GPU: kernels for the step and its phases, the barrier of the grid, and how many blocks there are.
module attributes {tile.target = #tile.target<"sm_90", vector = 128, dot = portable in blocks of 256>} {
// The most that a kernel wants.
// CHECK: module attributes {tile.shared_bytes = 96 : i64

// CHECK: llvm.func ptx_kernelcc @sm_90_step_1_phase_0(%[[STEP:.*]]: !llvm.ptr, %[[LAYER:.*]]: i64) attributes {passthrough = {{\[}}["nvvm.maxntid", "256"], ["nvvm.minctasm", "1"]]}
// CHECK: %[[BLOCK:.*]] = llvm.call_intrinsic "llvm.nvvm.read.ptx.sreg.ctaid.x"() : () -> i32
// CHECK: %[[WORKER:.*]] = arith.extui %[[BLOCK]] : i32 to i64
// CHECK: call @step_1_phase_0(%[[STEP]], %[[WORKER]], %[[LAYER]])
// CHECK: func.func private @step_1_phase_0(
// CHECK-SAME: llvm.linkage = #llvm.linkage<internal>, passthrough = ["noinline"]
func.func private @step_1_phase_0(%step: !llvm.ptr, %worker: i64, %layer: i64) attributes {tile.phase = 0 : i64} {
  // CHECK: llvm.call_intrinsic "llvm.nvvm.read.ptx.sreg.nctaid.x"() : () -> i32
  %workers = tile.workers %step
  scf.for %tile = %worker to %layer step %workers : i64 {
    func.call @norm_0(%step) : (!llvm.ptr) -> ()
  }
  return
}

// CHECK: llvm.func ptx_kernelcc @sm_90_step_1(%[[STEP:.*]]: !llvm.ptr)
// CHECK: call @step_1(%[[STEP]], %{{.*}})
// CHECK: func.func @step_1(
// CHECK-SAME: llvm.linkage = #llvm.linkage<internal>
func.func @step_1(%step: !llvm.ptr, %worker: i64) attributes {llm.max_tokens = 1 : i64} {
  // CHECK: llvm.call @llmc_grid_barrier(%{{.*}}) : (!llvm.ptr) -> ()
  tile.barrier %step
  return
}

// Kernels and phases stay functions.
// CHECK: func.func private @norm_0(
// CHECK-SAME: passthrough = ["noinline"]
// CHECK-NOT: tile.shared_bytes
func.func private @norm_0(%x: !llvm.ptr) attributes {tile.kernel = #tile.unit_norm<channels = 32, group = 32, eps = 1.0e-5>, tile.shared_bytes = 96 : i64} {
  return
}

// CHECK: llvm.func internal @llmc_grid_barrier(%{{.*}}: !llvm.ptr) attributes {no_inline}
// CHECK: llvm.call_intrinsic "llvm.nvvm.barrier.cta.sync.aligned.all"
// CHECK: llvm.atomicrmw add %{{.*}} syncscope("device") acq_rel
// CHECK: llvm.store %{{.*}} atomic syncscope("device") release
// CHECK: llvm.load %{{.*}} atomic syncscope("device") acquire
// CHECK: llvm.call_intrinsic "llvm.nvvm.barrier.cta.sync.aligned.all"
}
