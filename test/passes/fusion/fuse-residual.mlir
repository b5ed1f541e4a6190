// RUN: llmc-opt %s --llm-fuse-residual | FileCheck %s
// RUN: llmc-opt %s --llm-fuse-residual --mlir-pass-statistics 2>&1 >/dev/null | FileCheck %s --check-prefix=STATS

// STATS: llm-fuse-residual
// STATS-NEXT: (S) 6 fused-residuals

// CHECK-LABEL: @linear_right
// CHECK-SAME: (%[[X:[^:]*]]: tensor<?x64xf32>, %[[A:[^:]*]]: tensor<?x32xf32>, %[[W:[^:]*]]: tensor<64x32xf32>)
// CHECK-NEXT: %[[Y:.*]] = llm.linear %[[A]][%[[W]]] residual %[[X]] :
// CHECK-NEXT: return %[[Y]]
func.func @linear_right(%x: tensor<?x64xf32>, %a: tensor<?x32xf32>, %w: tensor<64x32xf32>) -> tensor<?x64xf32> {
  %o = llm.linear %a [%w] : (tensor<?x32xf32>, tensor<64x32xf32>) -> tensor<?x64xf32>
  %y = llm.add %x, %o : tensor<?x64xf32>
  return %y : tensor<?x64xf32>
}

// CHECK-LABEL: @linear_left
// CHECK-SAME: (%[[X:[^:]*]]: tensor<?x64xf32>, %[[A:[^:]*]]: tensor<?x32xf32>, %[[W:[^:]*]]: tensor<64x32xf32>)
// CHECK-NEXT: llm.linear %[[A]][%[[W]]] residual %[[X]] :
func.func @linear_left(%x: tensor<?x64xf32>, %a: tensor<?x32xf32>, %w: tensor<64x32xf32>) -> tensor<?x64xf32> {
  %o = llm.linear %a [%w] : (tensor<?x32xf32>, tensor<64x32xf32>) -> tensor<?x64xf32>
  %y = llm.add %o, %x : tensor<?x64xf32>
  return %y : tensor<?x64xf32>
}

// The residual comes after bias, activation and GLU, which is the order in which the linear has them.
// CHECK-LABEL: @after_epilogue
// CHECK: llm.linear %{{.*}} bias[%{{.*}}] activation gelu residual
// CHECK: llm.linear %{{.*}} activation silu glu residual
func.func @after_epilogue(%x: tensor<?x64xf32>, %w: tensor<64x64xf32>, %b: tensor<64xf32>) -> tensor<?x64xf32> {
  %o = llm.linear %x [%w] bias [%b] activation gelu : (tensor<?x64xf32>, tensor<64x64xf32>, tensor<64xf32>) -> tensor<?x64xf32>
  %y = llm.add %x, %o : tensor<?x64xf32>
  %h = llm.linear %y [%w, %w] activation silu glu : (tensor<?x64xf32>, tensor<64x64xf32>, tensor<64x64xf32>) -> tensor<?x64xf32>
  %z = llm.add %y, %h : tensor<?x64xf32>
  return %z : tensor<?x64xf32>
}

// The residual may come after the linear in the block: the linear moves down to the sum.
// CHECK-LABEL: @residual_is_later
// CHECK: %[[N:.*]] = llm.softcap
// CHECK-NEXT: llm.linear %{{.*}} residual %[[N]]
func.func @residual_is_later(%x: tensor<?x64xf32>, %w: tensor<64x64xf32>) -> tensor<?x64xf32> {
  %o = llm.linear %x [%w] : (tensor<?x64xf32>, tensor<64x64xf32>) -> tensor<?x64xf32>
  %n = llm.softcap %x cap 30.0 : tensor<?x64xf32>
  %y = llm.add %n, %o : tensor<?x64xf32>
  return %y : tensor<?x64xf32>
}

// Of two linears the later one takes the sum.
// CHECK-LABEL: @two_linears
// CHECK-SAME: (%{{.*}}: tensor<?x64xf32>, %[[V:[^:]*]]: tensor<64x64xf32>, %[[W:[^:]*]]: tensor<64x64xf32>)
// CHECK: %[[A:.*]] = llm.linear %{{.*}}[%[[V]]] :
// CHECK-NEXT: %[[Y:.*]] = llm.linear %{{.*}}[%[[W]]] residual %[[A]] :
func.func @two_linears(%x: tensor<?x64xf32>, %v: tensor<64x64xf32>, %w: tensor<64x64xf32>) -> tensor<?x64xf32> {
  %a = llm.linear %x [%v] : (tensor<?x64xf32>, tensor<64x64xf32>) -> tensor<?x64xf32>
  %b = llm.linear %x [%w] : (tensor<?x64xf32>, tensor<64x64xf32>) -> tensor<?x64xf32>
  %y = llm.add %b, %a : tensor<?x64xf32>
  return %y : tensor<?x64xf32>
}

// CHECK-LABEL: @keeps_second_residual
// CHECK: llm.add
func.func @keeps_second_residual(%x: tensor<?x64xf32>, %z: tensor<?x64xf32>, %w: tensor<64x64xf32>) -> tensor<?x64xf32> {
  %o = llm.linear %x [%w] residual %x : (tensor<?x64xf32>, tensor<64x64xf32>, tensor<?x64xf32>) -> tensor<?x64xf32>
  %y = llm.add %z, %o : tensor<?x64xf32>
  return %y : tensor<?x64xf32>
}

// CHECK-LABEL: @keeps_second_reader
// CHECK: llm.add
func.func @keeps_second_reader(%x: tensor<?x64xf32>, %w: tensor<64x64xf32>) -> (tensor<?x64xf32>, tensor<?x64xf32>) {
  %o = llm.linear %x [%w] : (tensor<?x64xf32>, tensor<64x64xf32>) -> tensor<?x64xf32>
  %y = llm.add %x, %o : tensor<?x64xf32>
  return %o, %y : tensor<?x64xf32>, tensor<?x64xf32>
}

// CHECK-LABEL: @keeps_double
// CHECK: llm.add
func.func @keeps_double(%x: tensor<?x64xf32>, %w: tensor<64x64xf32>) -> tensor<?x64xf32> {
  %o = llm.linear %x [%w] : (tensor<?x64xf32>, tensor<64x64xf32>) -> tensor<?x64xf32>
  %y = llm.add %o, %o : tensor<?x64xf32>
  return %y : tensor<?x64xf32>
}

// CHECK-LABEL: @keeps_two_weights
// CHECK: llm.add
func.func @keeps_two_weights(%x: tensor<?x64xf32>, %w: tensor<64x64xf32>) -> (tensor<?x64xf32>, tensor<?x64xf32>) {
  %o:2 = llm.linear %x [%w, %w] : (tensor<?x64xf32>, tensor<64x64xf32>, tensor<64x64xf32>) -> (tensor<?x64xf32>, tensor<?x64xf32>)
  %y = llm.add %x, %o#0 : tensor<?x64xf32>
  return %y, %o#1 : tensor<?x64xf32>, tensor<?x64xf32>
}

// The linear runs once, the loop often.
// CHECK-LABEL: @keeps_linear_outside_loop
// CHECK: llm.linear
// CHECK: scf.for
// CHECK: llm.add
func.func @keeps_linear_outside_loop(%x: tensor<?x64xf32>, %w: tensor<64x64xf32>, %n: index) -> tensor<?x64xf32> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %o = llm.linear %x [%w] : (tensor<?x64xf32>, tensor<64x64xf32>) -> tensor<?x64xf32>
  %r = scf.for %i = %c0 to %n step %c1 iter_args(%acc = %x) -> tensor<?x64xf32> {
    %y = llm.add %acc, %o : tensor<?x64xf32>
    scf.yield %y : tensor<?x64xf32>
  }
  return %r : tensor<?x64xf32>
}
