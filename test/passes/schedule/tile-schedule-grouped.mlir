// A product by groups whose input a row loop has just made: its rows are cut within that loop, so what they need stands before it.
// RUN: llmc-opt %s --tile-schedule | FileCheck %s

// CHECK-LABEL: func.func @step_8(
// CHECK: %[[CUT:.*]] = tile.buffer {{.*}} name "groups"
// CHECK: scf.forall
// CHECK: call @scale
// CHECK: scf.for
// CHECK: call @copy
// CHECK: scf.forall
// CHECK: call @linear
// CHECK: scf.forall
// CHECK: scf.for
// CHECK: call @copy
module attributes {tile.target = #tile.target<"generic", vector = 128, dot = portable>} {
llm.asset @file weights "f"
llm.weight @embed : !llm.weights<1x8x8xf32> from "embed"
llm.weight @g : !llm.weights<1x2x4x4xf32> from "g"
func.func @step_8(%batch: !llm.batch) -> (tensor<?x8xf32>, tensor<?x8xf32>) attributes {llm.max_tokens = 8 : i64} {
  %t = llm.weight_load @embed : tensor<8x8xf32>
  %g = llm.weight_load @g : tensor<2x4x4xf32>
  %e = llm.embedding %batch, %t tokens : tensor<8x8xf32> -> tensor<?x8xf32>
  %s = llm.scale %e by 2.0 : tensor<?x8xf32>
  %m = llm.grouped_linear %s, %g : (tensor<?x8xf32>, tensor<2x4x4xf32>) -> tensor<?x8xf32>
  %h = llm.select_rows %m, %batch : tensor<?x8xf32> -> tensor<?x8xf32>
  %y = llm.linear %h[%t] : (tensor<?x8xf32>, tensor<8x8xf32>) -> tensor<?x8xf32>
  return %y, %h : tensor<?x8xf32>, tensor<?x8xf32>
}
}
