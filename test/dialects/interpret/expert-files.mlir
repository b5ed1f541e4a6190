// The layouts in which files have the weights of experts: all give the same numbers.
// RUN: rm -rf %t && split-file %s %t && %python %S/Inputs/write_experts.py %t/experts.safetensors
// RUN: llmc-interpret %t/model.mlir --function read_each | FileCheck %s
// RUN: llmc-interpret %t/model.mlir --function read_stack | FileCheck %s
// RUN: llmc-interpret %t/model.mlir --function read_below | FileCheck %s
// RUN: llmc-interpret %t/model.mlir --function read_part | FileCheck %s
// RUN: llmc-interpret %t/model.mlir --function read_turns | FileCheck %s
// RUN: llmc-interpret %t/model.mlir --function read_across | FileCheck %s
// RUN: llmc-interpret %t/model.mlir --function read_bias | FileCheck %s --check-prefix=BIAS
// RUN: llmc-interpret %t/model.mlir --function read_bias_turns | FileCheck %s --check-prefix=BIAS
// RUN: not llmc-interpret %t/wrong.mlir --function read_shape 2>&1 | FileCheck %s --check-prefix=SHAPE
// RUN: not llmc-interpret %t/wrong.mlir --function read_missing 2>&1 | FileCheck %s --check-prefix=MISSING
// RUN: not llmc-interpret %t/wrong.mlir --function read_rows 2>&1 | FileCheck %s --check-prefix=ROWS
// RUN: not llmc-interpret %t/wrong.mlir --function read_columns 2>&1 | FileCheck %s --check-prefix=COLUMNS

// CHECK: step 0 result 0: 1 x 6
// CHECK-NEXT: [4, 34, 64, 101, 111, 121]
// BIAS: [4, 44, 84, 201, 221, 241]
//--- model.mlir
llm.asset @file weights "experts.safetensors"
llm.weight @each : !llm.weights<1x2x3x4xf32> from "each.{expert}"
llm.weight @stack : !llm.weights<1x2x3x4xf32> from "stack"
llm.weight @below : !llm.weights<1x2x3x4xf32> from "below"
llm.weight @part : !llm.weights<1x2x3x4xf32> from "part" rows [0, 3]
llm.weight @turns : !llm.weights<1x2x3x4xf32> from "turns" transpose rows [0, 6, 2]
llm.weight @across : !llm.weights<1x2x3x4xf32> from "across" transpose columns [0, 4]
llm.weight @bias : !llm.weights<1x2x3x1xf32> from "bias"
llm.weight @bias_turns : !llm.weights<1x2x3x1xf32> from "bias_turns" rows [0, 6, 2]
func.func private @x() -> tensor<?x8xf32> {
  %c = arith.constant dense<[[1.0, 0.0, 2.0, 0.0, 0.0, 1.0, 0.0, 0.0]]> : tensor<1x8xf32>
  %x = tensor.cast %c : tensor<1x8xf32> to tensor<?x8xf32>
  return %x : tensor<?x8xf32>
}
func.func @read_each() -> tensor<?x6xf32> {
  %x = call @x() : () -> tensor<?x8xf32>
  %w = llm.weight_load @each : tensor<2x3x4xf32>
  %y = llm.grouped_linear %x, %w : (tensor<?x8xf32>, tensor<2x3x4xf32>) -> tensor<?x6xf32>
  return %y : tensor<?x6xf32>
}
func.func @read_stack() -> tensor<?x6xf32> {
  %x = call @x() : () -> tensor<?x8xf32>
  %w = llm.weight_load @stack : tensor<2x3x4xf32>
  %y = llm.grouped_linear %x, %w : (tensor<?x8xf32>, tensor<2x3x4xf32>) -> tensor<?x6xf32>
  return %y : tensor<?x6xf32>
}
func.func @read_below() -> tensor<?x6xf32> {
  %x = call @x() : () -> tensor<?x8xf32>
  %w = llm.weight_load @below : tensor<2x3x4xf32>
  %y = llm.grouped_linear %x, %w : (tensor<?x8xf32>, tensor<2x3x4xf32>) -> tensor<?x6xf32>
  return %y : tensor<?x6xf32>
}
func.func @read_part() -> tensor<?x6xf32> {
  %x = call @x() : () -> tensor<?x8xf32>
  %w = llm.weight_load @part : tensor<2x3x4xf32>
  %y = llm.grouped_linear %x, %w : (tensor<?x8xf32>, tensor<2x3x4xf32>) -> tensor<?x6xf32>
  return %y : tensor<?x6xf32>
}
func.func @read_turns() -> tensor<?x6xf32> {
  %x = call @x() : () -> tensor<?x8xf32>
  %w = llm.weight_load @turns : tensor<2x3x4xf32>
  %y = llm.grouped_linear %x, %w : (tensor<?x8xf32>, tensor<2x3x4xf32>) -> tensor<?x6xf32>
  return %y : tensor<?x6xf32>
}
func.func @read_across() -> tensor<?x6xf32> {
  %x = call @x() : () -> tensor<?x8xf32>
  %w = llm.weight_load @across : tensor<2x3x4xf32>
  %y = llm.grouped_linear %x, %w : (tensor<?x8xf32>, tensor<2x3x4xf32>) -> tensor<?x6xf32>
  return %y : tensor<?x6xf32>
}
func.func @read_bias() -> tensor<?x6xf32> {
  %x = call @x() : () -> tensor<?x8xf32>
  %w = llm.weight_load @each : tensor<2x3x4xf32>
  %b = llm.weight_load @bias : tensor<2x3x1xf32>
  %y = llm.grouped_linear %x, %w bias %b : (tensor<?x8xf32>, tensor<2x3x4xf32>, tensor<2x3x1xf32>) -> tensor<?x6xf32>
  return %y : tensor<?x6xf32>
}
func.func @read_bias_turns() -> tensor<?x6xf32> {
  %x = call @x() : () -> tensor<?x8xf32>
  %w = llm.weight_load @each : tensor<2x3x4xf32>
  %b = llm.weight_load @bias_turns : tensor<2x3x1xf32>
  %y = llm.grouped_linear %x, %w bias %b : (tensor<?x8xf32>, tensor<2x3x4xf32>, tensor<2x3x1xf32>) -> tensor<?x6xf32>
  return %y : tensor<?x6xf32>
}

// SHAPE: experts.safetensors: 'stack': want f32[2,3,5], got f32[2,3,4]
// MISSING: no tensor 'each.2' in the model's weight files, wanted by @missing
// ROWS: experts.safetensors: 'part': want at least 7 rows, got f32[2,6,4]
// COLUMNS: experts.safetensors: 'across': want at least 7 rows, got f32[12,3]
//--- wrong.mlir
llm.asset @file weights "experts.safetensors"
llm.weight @shape : !llm.weights<1x2x3x5xf32> from "stack"
llm.weight @missing : !llm.weights<1x3x3x4xf32> from "each.{expert}"
llm.weight @rows : !llm.weights<1x2x3x4xf32> from "part" rows [4, 7]
llm.weight @columns : !llm.weights<1x2x3x4xf32> from "across" transpose columns [3, 7]
func.func @read_shape() { %w = llm.weight_load @shape : tensor<2x3x5xf32> return }
func.func @read_missing() { %w = llm.weight_load @missing : tensor<3x3x4xf32> return }
func.func @read_rows() { %w = llm.weight_load @rows : tensor<2x3x4xf32> return }
func.func @read_columns() { %w = llm.weight_load @columns : tensor<2x3x4xf32> return }
