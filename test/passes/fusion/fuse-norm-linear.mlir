// RUN: llmc-opt %s --llm-fuse-norm-linear | FileCheck %s
// RUN: llmc-opt %s --llm-fuse-norm-linear --mlir-pass-statistics 2>&1 >/dev/null | FileCheck %s --check-prefix=STATS

// STATS: llm-fuse-norm-linear
// STATS-DAG: (S) 3 fused-norms
// STATS-DAG: (S) 3 shared-norms

// CHECK-LABEL: @rms
// CHECK-SAME: (%[[X:[^:]*]]: tensor<?x64xf32>, %[[G:[^:]*]]: tensor<64xf32>, %[[W:[^:]*]]: tensor<32x64xf32>)
// CHECK-NEXT: llm.linear %[[X]][%[[W]], %[[W]]] norm <rms, eps = {{[^,>]*}}, offset = 1.000000e+00> %[[G]] :
func.func @rms(%x: tensor<?x64xf32>, %g: tensor<64xf32>, %w: tensor<32x64xf32>) -> (tensor<?x32xf32>, tensor<?x32xf32>) {
  %n = llm.rms_norm %x, %g {eps = 1.0e-6, offset = 1.0} : tensor<?x64xf32>, tensor<64xf32>
  %y:2 = llm.linear %n [%w, %w] : (tensor<?x64xf32>, tensor<32x64xf32>, tensor<32x64xf32>) -> (tensor<?x32xf32>, tensor<?x32xf32>)
  return %y#0, %y#1 : tensor<?x32xf32>, tensor<?x32xf32>
}

// CHECK-LABEL: @layer
// CHECK-SAME: (%[[X:[^:]*]]: tensor<?x64xf32>, %[[G:[^:]*]]: tensor<64xf32>, %[[B:[^:]*]]: tensor<64xf32>,
// CHECK-NEXT: llm.linear %[[X]][%{{.*}}] norm <layer, eps = 1.000000e-05> %[[G]], %[[B]] :
func.func @layer(%x: tensor<?x64xf32>, %g: tensor<64xf32>, %b: tensor<64xf32>, %w: tensor<32x64xf32>) -> tensor<?x32xf32> {
  %n = llm.layer_norm %x, %g, %b {eps = 1.0e-5} : tensor<?x64xf32>, tensor<64xf32>, tensor<64xf32>
  %y = llm.linear %n [%w] : (tensor<?x64xf32>, tensor<32x64xf32>) -> tensor<?x32xf32>
  return %y : tensor<?x32xf32>
}

// What is folded in already stays.
// CHECK-LABEL: @keeps_epilogue
// CHECK-NEXT: llm.linear %{{.*}} bias[%{{.*}}] norm <layer, eps = 1.000000e-05> %{{.*}} activation silu residual %{{.*}} :
func.func @keeps_epilogue(%x: tensor<?x64xf32>, %g: tensor<64xf32>, %w: tensor<64x64xf32>) -> tensor<?x64xf32> {
  %n = llm.layer_norm %x, %g {eps = 1.0e-5} : tensor<?x64xf32>, tensor<64xf32>
  %y = llm.linear %n [%w] bias [%g] activation silu residual %x
    : (tensor<?x64xf32>, tensor<64x64xf32>, tensor<64xf32>, tensor<?x64xf32>) -> tensor<?x64xf32>
  return %y : tensor<?x64xf32>
}

// CHECK-LABEL: @keeps_shared_norm
// CHECK: llm.rms_norm
func.func @keeps_shared_norm(%x: tensor<?x64xf32>, %g: tensor<64xf32>, %w: tensor<32x64xf32>) -> (tensor<?x64xf32>, tensor<?x32xf32>) {
  %n = llm.rms_norm %x, %g {eps = 1.0e-6} : tensor<?x64xf32>, tensor<64xf32>
  %y = llm.linear %n [%w] : (tensor<?x64xf32>, tensor<32x64xf32>) -> tensor<?x32xf32>
  return %n, %y : tensor<?x64xf32>, tensor<?x32xf32>
}

// The linear itself reads it twice.
// CHECK-LABEL: @keeps_norm_as_residual
// CHECK: llm.rms_norm
func.func @keeps_norm_as_residual(%x: tensor<?x64xf32>, %g: tensor<64xf32>, %w: tensor<64x64xf32>) -> tensor<?x64xf32> {
  %n = llm.rms_norm %x, %g {eps = 1.0e-6} : tensor<?x64xf32>, tensor<64xf32>
  %y = llm.linear %n [%w] residual %n : (tensor<?x64xf32>, tensor<64x64xf32>, tensor<?x64xf32>) -> tensor<?x64xf32>
  return %y : tensor<?x64xf32>
}

// CHECK-LABEL: @keeps_norm_of_heads
// CHECK: llm.rms_norm
func.func @keeps_norm_of_heads(%x: tensor<?x64xf32>, %g: tensor<16xf32>, %w: tensor<32x64xf32>) -> tensor<?x32xf32> {
  %n = llm.rms_norm %x, %g {eps = 1.0e-6} : tensor<?x64xf32>, tensor<16xf32>
  %y = llm.linear %n [%w] : (tensor<?x64xf32>, tensor<32x64xf32>) -> tensor<?x32xf32>
  return %y : tensor<?x32xf32>
}

// CHECK-LABEL: @keeps_norm_of_norm
// CHECK: llm.rms_norm
// CHECK-NEXT: llm.linear %{{.*}} norm
func.func @keeps_norm_of_norm(%x: tensor<?x64xf32>, %g: tensor<64xf32>, %w: tensor<32x64xf32>) -> tensor<?x32xf32> {
  %n = llm.rms_norm %x, %g {eps = 1.0e-6} : tensor<?x64xf32>, tensor<64xf32>
  %y = llm.linear %n [%w] norm #llm.norm<rms, eps = 1.0e-6> %g : (tensor<?x64xf32>, tensor<32x64xf32>, tensor<64xf32>) -> tensor<?x32xf32>
  return %y : tensor<?x32xf32>
}

// A loop would compute the norm anew each time.
// CHECK-LABEL: @keeps_norm_outside_loop
// CHECK: llm.rms_norm
// CHECK: scf.for
func.func @keeps_norm_outside_loop(%x: tensor<?x64xf32>, %g: tensor<64xf32>, %w: tensor<64x64xf32>, %n: index) -> tensor<?x64xf32> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %norm = llm.rms_norm %x, %g {eps = 1.0e-6} : tensor<?x64xf32>, tensor<64xf32>
  %r = scf.for %i = %c0 to %n step %c1 iter_args(%acc = %x) -> tensor<?x64xf32> {
    %y = llm.linear %norm [%w] residual %acc : (tensor<?x64xf32>, tensor<64x64xf32>, tensor<?x64xf32>) -> tensor<?x64xf32>
    scf.yield %y : tensor<?x64xf32>
  }
  return %r : tensor<?x64xf32>
}
