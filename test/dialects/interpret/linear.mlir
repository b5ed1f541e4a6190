// RUN: llmc-interpret %s --function linear | FileCheck %s --check-prefix=LINEAR
// RUN: llmc-interpret %s --function linear_two | FileCheck %s --check-prefix=LINEAR-TWO
// RUN: llmc-interpret %s --function linear_norm | FileCheck %s --check-prefix=LINEAR-NORM
// RUN: llmc-interpret %s --function linear_layer_norm | FileCheck %s --check-prefix=LINEAR-LAYER-NORM
// RUN: llmc-interpret %s --function linear_activation | FileCheck %s --check-prefix=LINEAR-ACTIVATION
// RUN: llmc-interpret %s --function linear_residual | FileCheck %s --check-prefix=LINEAR-RESIDUAL
// RUN: llmc-interpret %s --function linear_logits | FileCheck %s --check-prefix=LINEAR-LOGITS
// RUN: llmc-interpret %s --function linear_all | FileCheck %s --check-prefix=LINEAR-ALL
// Expected values: Inputs/reference.py, in float64.

func.func private @input() -> tensor<?x4xf32> {
  %c = arith.constant dense<[[-2.0, -0.5, 0.0, 1.5], [3.0, 10.0, -30.0, 0.25]]> : tensor<2x4xf32>
  %x = tensor.cast %c : tensor<2x4xf32> to tensor<?x4xf32>
  return %x : tensor<?x4xf32>
}

// LINEAR: [-0.125, -0.875, -2.75]
// LINEAR-NEXT: [-68.44, 18.19, -26.25]
func.func @linear() -> tensor<?x3xf32> {
  %x = call @input() : () -> tensor<?x4xf32>
  %w = arith.constant dense<[[0.5, -1.0, 2.0, 0.25], [1.0, 0.0, -0.5, 0.75], [-0.25, 0.5, 1.0, -2.0]]> : tensor<3x4xf32>
  %y = llm.linear %x[%w] : (tensor<?x4xf32>, tensor<3x4xf32>) -> tensor<?x3xf32>
  return %y : tensor<?x3xf32>
}

// LINEAR-TWO: step 0 result 0: 2 x 3
// LINEAR-TWO-NEXT: [0.375, -1.875, -0.75]
// LINEAR-TWO-NEXT: [-67.94, 17.19, -24.25]
// LINEAR-TWO-NEXT: step 0 result 1: 2 x 3
// LINEAR-TWO-NEXT: [-2.125, 0, -2.5]
// LINEAR-TWO-NEXT: [23.12, -3.938, -19.25]
// Two products, whose biases and second weight are of narrower formats.
func.func @linear_two() -> (tensor<?x3xf32>, tensor<?x3xf32>) {
  %x = call @input() : () -> tensor<?x4xf32>
  %w = arith.constant dense<[[0.5, -1.0, 2.0, 0.25], [1.0, 0.0, -0.5, 0.75], [-0.25, 0.5, 1.0, -2.0]]> : tensor<3x4xf32>
  %v = arith.constant dense<[[1.0, 0.5, -0.5, 0.0], [0.25, 0.25, 0.25, 0.25], [2.0, -1.0, 0.5, 1.0]]> : tensor<3x4xbf16>
  %bw = arith.constant dense<[0.5, -1.0, 2.0]> : tensor<3xf32>
  %bv = arith.constant dense<[0.125, 0.25, -0.5]> : tensor<3xf16>
  %y, %z = llm.linear %x[%w, %v] bias[%bw, %bv] : (tensor<?x4xf32>, tensor<3x4xf32>, tensor<3x4xbf16>, tensor<3xf32>, tensor<3xf16>) -> (tensor<?x3xf32>, tensor<?x3xf32>)
  return %y, %z : tensor<?x3xf32>, tensor<?x3xf32>
}

// LINEAR-NORM: [-0.08575, -0.4287, -5.745]
// LINEAR-NORM-NEXT: [-0.743, 0.4128, 0.283]
func.func @linear_norm() -> tensor<?x3xf32> {
  %x = call @input() : () -> tensor<?x4xf32>
  %w = arith.constant dense<[[0.5, -1.0, 2.0, 0.25], [1.0, 0.0, -0.5, 0.75], [-0.25, 0.5, 1.0, -2.0]]> : tensor<3x4xf32>
  %g = arith.constant dense<[1.0, 0.5, -1.0, 2.0]> : tensor<4xf32>
  %y = llm.linear %x[%w] norm <rms, eps = 0.5, offset = 1.0> %g : (tensor<?x4xf32>, tensor<3x4xf32>, tensor<4xf32>) -> tensor<?x3xf32>
  return %y : tensor<?x3xf32>
}

// LINEAR-LAYER-NORM: [1.575, -0.2, -2.562]
// LINEAR-LAYER-NORM-NEXT: [5.161, -0.9388, 3.578]
func.func @linear_layer_norm() -> tensor<?x3xf32> {
  %x = call @input() : () -> tensor<?x4xf32>
  %w = arith.constant dense<[[0.5, -1.0, 2.0, 0.25], [1.0, 0.0, -0.5, 0.75], [-0.25, 0.5, 1.0, -2.0]]> : tensor<3x4xf32>
  %g = arith.constant dense<[1.0, 0.5, -1.0, 2.0]> : tensor<4xf32>
  %b = arith.constant dense<[0.25, 0.0, 1.0, -1.0]> : tensor<4xf32>
  %y = llm.linear %x[%w] norm <layer, eps = 1.0e-5> %g, %b : (tensor<?x4xf32>, tensor<3x4xf32>, tensor<4xf32>, tensor<4xf32>) -> tensor<?x3xf32>
  return %y : tensor<?x3xf32>
}

// LINEAR-ACTIVATION: [0.2423, -0.05699, -0.17]
// LINEAR-ACTIVATION-NEXT: [0, 17.19, 0]
func.func @linear_activation() -> tensor<?x3xf32> {
  %x = call @input() : () -> tensor<?x4xf32>
  %w = arith.constant dense<[[0.5, -1.0, 2.0, 0.25], [1.0, 0.0, -0.5, 0.75], [-0.25, 0.5, 1.0, -2.0]]> : tensor<3x4xf32>
  %bw = arith.constant dense<[0.5, -1.0, 2.0]> : tensor<3xf32>
  %y = llm.linear %x[%w] bias[%bw] activation gelu : (tensor<?x4xf32>, tensor<3x4xf32>, tensor<3xf32>) -> tensor<?x3xf32>
  return %y : tensor<?x3xf32>
}

// LINEAR-RESIDUAL: [1.375, 0.125, 2.25]
// LINEAR-RESIDUAL-NEXT: [-68.94, 15.19, -27.25]
func.func @linear_residual() -> tensor<?x3xf32> {
  %x = call @input() : () -> tensor<?x4xf32>
  %w = arith.constant dense<[[0.5, -1.0, 2.0, 0.25], [1.0, 0.0, -0.5, 0.75], [-0.25, 0.5, 1.0, -2.0]]> : tensor<3x4xf32>
  %bw = arith.constant dense<[0.5, -1.0, 2.0]> : tensor<3xf32>
  %rc = arith.constant dense<[[1.0, 2.0, 3.0], [-1.0, -2.0, -3.0]]> : tensor<2x3xf32>
  %r = tensor.cast %rc : tensor<2x3xf32> to tensor<?x3xf32>
  %y = llm.linear %x[%w] bias[%bw] residual %r : (tensor<?x4xf32>, tensor<3x4xf32>, tensor<3xf32>, tensor<?x3xf32>) -> tensor<?x3xf32>
  return %y : tensor<?x3xf32>
}

// 2 tanh(y / 4) of @linear's.
// LINEAR-LOGITS: [-0.06248, -0.4307, -1.193]
// LINEAR-LOGITS-NEXT: [-2, 2, -2]
func.func @linear_logits() -> tensor<?x3xf32> {
  %x = call @input() : () -> tensor<?x4xf32>
  %w = arith.constant dense<[[0.5, -1.0, 2.0, 0.25], [1.0, 0.0, -0.5, 0.75], [-0.25, 0.5, 1.0, -2.0]]> : tensor<3x4xf32>
  %y = llm.linear %x[%w] scale 0.5 softcap 2.0 top_k : (tensor<?x4xf32>, tensor<3x4xf32>) -> tensor<?x3xf32>
  return %y : tensor<?x3xf32>
}

// LINEAR-ALL: [0.5201, 1.901, 3.216]
// LINEAR-ALL-NEXT: [-2.891, -2.223, -0.9197]
func.func @linear_all() -> tensor<?x3xf32> {
  %x = call @input() : () -> tensor<?x4xf32>
  %w = arith.constant dense<[[0.5, -1.0, 2.0, 0.25], [1.0, 0.0, -0.5, 0.75], [-0.25, 0.5, 1.0, -2.0]]> : tensor<3x4xf32>
  %v = arith.constant dense<[[1.0, 0.5, -0.5, 0.0], [0.25, 0.25, 0.25, 0.25], [2.0, -1.0, 0.5, 1.0]]> : tensor<3x4xbf16>
  %bw = arith.constant dense<[0.5, -1.0, 2.0]> : tensor<3xf32>
  %bv = arith.constant dense<[0.125, 0.25, -0.5]> : tensor<3xf16>
  %g = arith.constant dense<[1.0, 0.5, -1.0, 2.0]> : tensor<4xf32>
  %rc = arith.constant dense<[[1.0, 2.0, 3.0], [-1.0, -2.0, -3.0]]> : tensor<2x3xf32>
  %r = tensor.cast %rc : tensor<2x3xf32> to tensor<?x3xf32>
  %y = llm.linear %x[%w, %v] bias[%bw, %bv] norm <rms, eps = 1.0e-5> %g activation silu glu residual %r : (tensor<?x4xf32>, tensor<3x4xf32>, tensor<3x4xbf16>, tensor<3xf32>, tensor<3xf16>, tensor<4xf32>, tensor<?x3xf32>) -> tensor<?x3xf32>
  return %y : tensor<?x3xf32>
}
