// RUN: llmc-opt %s --canonicalize | FileCheck %s

// CHECK-LABEL: @scale_by_one
// CHECK-NEXT: return %arg0
func.func @scale_by_one(%x: tensor<?x4xf32>) -> tensor<?x4xf32> {
  %y = llm.scale %x by 1.0 : tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}

// One factor instead of two would round otherwise.
// CHECK-LABEL: @scales_stay
// CHECK-COUNT-2: llm.scale
func.func @scales_stay(%x: tensor<?x4xf32>) -> tensor<?x4xf32> {
  %a = llm.scale %x by 0.1 : tensor<?x4xf32>
  %y = llm.scale %a by 10.0 : tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}

// CHECK-LABEL: @relu_twice
// CHECK-COUNT-1: llm.activation relu
// CHECK-NOT: llm.activation
func.func @relu_twice(%x: tensor<?x4xf32>) -> tensor<?x4xf32> {
  %a = llm.activation relu %x : tensor<?x4xf32>
  %y = llm.activation relu %a : tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}

// CHECK-LABEL: @silu_twice
// CHECK-COUNT-2: llm.activation silu
func.func @silu_twice(%x: tensor<?x4xf32>) -> tensor<?x4xf32> {
  %a = llm.activation silu %x : tensor<?x4xf32>
  %y = llm.activation silu %a : tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}
