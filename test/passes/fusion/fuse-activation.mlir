// RUN: llmc-opt %s --llm-fuse-activation | FileCheck %s
// RUN: llmc-opt %s --llm-fuse-activation --mlir-pass-statistics 2>&1 >/dev/null | FileCheck %s --check-prefix=STATS

// STATS: llm-fuse-activation
// STATS-NEXT: (S) 2 fused-activations

// CHECK-LABEL: @plain
// CHECK-NEXT: %[[Y:.*]] = llm.linear %{{.*}} activation silu :
// CHECK-NEXT: return %[[Y]]
func.func @plain(%x: tensor<?x64xf32>, %w: tensor<96x64xf32>) -> tensor<?x96xf32> {
  %h = llm.linear %x [%w] : (tensor<?x64xf32>, tensor<96x64xf32>) -> tensor<?x96xf32>
  %y = llm.activation silu %h : tensor<?x96xf32>
  return %y : tensor<?x96xf32>
}

// CHECK-LABEL: @keeps_bias_and_norm
// CHECK-NEXT: llm.linear %{{.*}} bias[%{{.*}}] norm <layer, eps = 1.000000e-05> %{{.*}} activation gelu_tanh :
func.func @keeps_bias_and_norm(%x: tensor<?x64xf32>, %w: tensor<96x64xf32>, %b: tensor<96xf32>, %g: tensor<64xf32>) -> tensor<?x96xf32> {
  %h = llm.linear %x [%w] bias [%b] norm #llm.norm<layer, eps = 1.0e-5> %g
    : (tensor<?x64xf32>, tensor<96x64xf32>, tensor<96xf32>, tensor<64xf32>) -> tensor<?x96xf32>
  %y = llm.activation gelu_tanh %h : tensor<?x96xf32>
  return %y : tensor<?x96xf32>
}

// CHECK-LABEL: @keeps_second_reader
// CHECK: llm.activation
func.func @keeps_second_reader(%x: tensor<?x64xf32>, %w: tensor<96x64xf32>) -> (tensor<?x96xf32>, tensor<?x96xf32>) {
  %h = llm.linear %x [%w] : (tensor<?x64xf32>, tensor<96x64xf32>) -> tensor<?x96xf32>
  %y = llm.activation silu %h : tensor<?x96xf32>
  return %h, %y : tensor<?x96xf32>, tensor<?x96xf32>
}

// One result of two: the other one must not be activated.
// CHECK-LABEL: @keeps_two_weights
// CHECK: llm.activation
func.func @keeps_two_weights(%x: tensor<?x64xf32>, %w: tensor<96x64xf32>) -> (tensor<?x96xf32>, tensor<?x96xf32>) {
  %h:2 = llm.linear %x [%w, %w] : (tensor<?x64xf32>, tensor<96x64xf32>, tensor<96x64xf32>) -> (tensor<?x96xf32>, tensor<?x96xf32>)
  %y = llm.activation silu %h#0 : tensor<?x96xf32>
  return %y, %h#1 : tensor<?x96xf32>, tensor<?x96xf32>
}

// CHECK-LABEL: @keeps_second_activation
// CHECK: llm.linear %{{.*}} activation relu :
// CHECK: llm.activation silu
func.func @keeps_second_activation(%x: tensor<?x64xf32>, %w: tensor<96x64xf32>) -> tensor<?x96xf32> {
  %h = llm.linear %x [%w] activation relu : (tensor<?x64xf32>, tensor<96x64xf32>) -> tensor<?x96xf32>
  %y = llm.activation silu %h : tensor<?x96xf32>
  return %y : tensor<?x96xf32>
}

// The activation is of the sum, so it can't come before it.
// CHECK-LABEL: @keeps_after_residual
// CHECK: llm.linear %{{.*}} residual
// CHECK: llm.activation silu
func.func @keeps_after_residual(%x: tensor<?x64xf32>, %w: tensor<64x64xf32>) -> tensor<?x64xf32> {
  %h = llm.linear %x [%w] residual %x : (tensor<?x64xf32>, tensor<64x64xf32>, tensor<?x64xf32>) -> tensor<?x64xf32>
  %y = llm.activation silu %h : tensor<?x64xf32>
  return %y : tensor<?x64xf32>
}
