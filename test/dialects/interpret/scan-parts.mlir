// RUN: llmc-interpret %s --function mul | FileCheck %s --check-prefix=MUL
// RUN: llmc-interpret %s --function heads | FileCheck %s --check-prefix=HEADS
// RUN: llmc-interpret %s --function scale_channels | FileCheck %s --check-prefix=SCALE
// RUN: llmc-interpret %s --function add_bias | FileCheck %s --check-prefix=BIAS
// RUN: llmc-interpret %s --function mix | FileCheck %s --check-prefix=MIX
// RUN: llmc-interpret %s --function columns | FileCheck %s --check-prefix=COLUMNS
// RUN: llmc-interpret %s --function concat | FileCheck %s --check-prefix=CONCAT
// RUN: llmc-interpret %s --function unit_norm | FileCheck %s --check-prefix=NORM
// RUN: llmc-interpret %s --function softplus | FileCheck %s --check-prefix=SOFTPLUS
// RUN: llmc-interpret %s --function relu2 | FileCheck %s --check-prefix=RELU2

func.func private @input() -> tensor<?x4xf32> {
  %c = arith.constant dense<[[-2.0, -0.5, 0.0, 1.5], [3.0, 10.0, -30.0, 0.25]]> : tensor<2x4xf32>
  %x = tensor.cast %c : tensor<2x4xf32> to tensor<?x4xf32>
  return %x : tensor<?x4xf32>
}

// MUL: [4, 0.25, 0, 2.25]
// MUL-NEXT: [9, 100, 900, 0.0625]
func.func @mul() -> tensor<?x4xf32> {
  %x = call @input() : () -> tensor<?x4xf32>
  %y = llm.mul %x, %x : tensor<?x4xf32>, tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}

// One factor per two channels.
// HEADS: [-4, -1, 0, -1.5]
// HEADS-NEXT: [1.5, 5, -90, 0.75]
func.func @heads() -> tensor<?x4xf32> {
  %x = call @input() : () -> tensor<?x4xf32>
  %c = arith.constant dense<[[2.0, -1.0], [0.5, 3.0]]> : tensor<2x2xf32>
  %f = tensor.cast %c : tensor<2x2xf32> to tensor<?x2xf32>
  %y = llm.mul %x, %f : tensor<?x4xf32>, tensor<?x2xf32>
  return %y : tensor<?x4xf32>
}

// SCALE: [-4, -1, 0, -1.5]
// SCALE-NEXT: [6, 20, 30, -0.25]
func.func @scale_channels() -> tensor<?x4xf32> {
  %x = call @input() : () -> tensor<?x4xf32>
  %w = arith.constant dense<[2.0, -1.0]> : tensor<2xf32>
  %y = llm.scale_channels %x, %w : tensor<?x4xf32>, tensor<2xf32>
  return %y : tensor<?x4xf32>
}

// BIAS: [-1, 1.5, 3, 5.5]
// BIAS-NEXT: [4, 12, -27, 4.25]
func.func @add_bias() -> tensor<?x4xf32> {
  %x = call @input() : () -> tensor<?x4xf32>
  %w = arith.constant dense<[1.0, 2.0, 3.0, 4.0]> : tensor<4xf32>
  %y = llm.add_bias %x, %w : tensor<?x4xf32>, tensor<4xf32>
  return %y : tensor<?x4xf32>
}

// MIX: [-2, -0.5, 0, 1.5]
// MIX-NEXT: [3, 10, -30, 0.25]
func.func @mix() -> tensor<?x4xf32> {
  %x = call @input() : () -> tensor<?x4xf32>
  %z = llm.scale %x by 2.0 : tensor<?x4xf32>
  %w = arith.constant dense<[1.0, 1.0, 1.0, 1.0]> : tensor<4xf32>
  %v = arith.constant dense<[0.0, 0.0, 0.0, 0.0]> : tensor<4xf32>
  %a = llm.mix %x, %z by %w : tensor<?x4xf32>, tensor<4xf32>
  %y = llm.mix %z, %a by %v : tensor<?x4xf32>, tensor<4xf32>
  return %y : tensor<?x4xf32>
}

// COLUMNS: [-0.5, 0]
// COLUMNS-NEXT: [10, -30]
func.func @columns() -> tensor<?x2xf32> {
  %x = call @input() : () -> tensor<?x4xf32>
  %y = llm.columns %x from 1 : tensor<?x4xf32> -> tensor<?x2xf32>
  return %y : tensor<?x2xf32>
}

// (-2, -0.5): mean square 2.125 and eps 0.125: / 1.5
// NORM: [-1.333, -0.3333, 0, 1.342]
func.func @unit_norm() -> tensor<?x4xf32> {
  %x = call @input() : () -> tensor<?x4xf32>
  %y = llm.unit_norm %x group 2 {eps = 0.125} : tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}

// SOFTPLUS: [0.1269, 0.4741, 0.6931, 1.701]
// SOFTPLUS-NEXT: [3.049, 10, 9.358e-14, 0.8259]
func.func @softplus() -> tensor<?x4xf32> {
  %x = call @input() : () -> tensor<?x4xf32>
  %y = llm.activation softplus %x : tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}

// RELU2: [0, 0, 0, 2.25]
// RELU2-NEXT: [9, 100, 0, 0.0625]
func.func @relu2() -> tensor<?x4xf32> {
  %x = call @input() : () -> tensor<?x4xf32>
  %y = llm.activation relu2 %x : tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}

// CONCAT: [-0.5, 0, -2, -0.5, 0, 1.5]
// CONCAT-NEXT: [10, -30, 3, 10, -30, 0.25]
func.func @concat() -> tensor<?x6xf32> {
  %x = call @input() : () -> tensor<?x4xf32>
  %m = llm.columns %x from 1 : tensor<?x4xf32> -> tensor<?x2xf32>
  %y = llm.concat %m, %x : tensor<?x2xf32>, tensor<?x4xf32> -> tensor<?x6xf32>
  return %y : tensor<?x6xf32>
}
