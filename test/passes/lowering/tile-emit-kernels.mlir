// RUN: llmc-opt %s --tile-emit-kernels | FileCheck %s

module attributes {tile.target = #tile.target<"x86-64-v3", vector = 256, dot = avx2>} {
  // One row streams the panel: 16 outputs in one chain of multiply-adds over 64 groups, and no scratch.
  // CHECK-LABEL: func.func private @single(
  // CHECK-SAME: %[[PANEL:[a-z0-9]+]]: !llvm.ptr {llvm.noalias}
  // CHECK: scf.for {{.*}} iter_args({{.*}}) -> (vector<16xf32>)
  // CHECK: llvm.intr.prefetch
  // CHECK-COUNT-16: llvm.call_intrinsic "llvm.x86.avx2.pmadd.ub.sw"
  // CHECK-NOT: pmadd.ub.sw
  // CHECK: llvm.intr.fmuladd
  // CHECK: return
  func.func private @single(!llvm.ptr, !llvm.ptr, i64, !llvm.ptr, !llvm.ptr)
    attributes {tile.kernel = #tile.product<format = q4_0, inputs = 2048, arithmetic = int8, single = true>}

  // Many rows unpack blocks once; three rows at a time pass over them in loops that stay loops.
  // CHECK-LABEL: func.func private @many(
  // CHECK: loop_annotation =
  // CHECK: return
  func.func private @many(!llvm.ptr, !llvm.ptr, i64, !llvm.ptr, !llvm.ptr)
    attributes {tile.kernel = #tile.product<format = q4_0, inputs = 2048, arithmetic = int8, single = false>}

  // Without a kernel attribute nothing happens.
  // CHECK: func.func private @not_a_kernel(!llvm.ptr)
  func.func private @not_a_kernel(!llvm.ptr)
}
