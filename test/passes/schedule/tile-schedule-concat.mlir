// Each part of a concatenation is copied to its place in the rows of the whole.
// RUN: llmc-opt %s --tile-schedule | FileCheck %s

// CHECK-LABEL: func.func @step_8(
// CHECK: %[[E:.*]] = tile.buffer {{.*}} name "embedding"
// CHECK: %[[BOTH:.*]] = tile.buffer {{.*}} name "concat"
// CHECK: scf.forall
// CHECK: %[[FROM:.*]] = tile.row %[[E]][%{{.*}}] bytes 32 offset 16
// CHECK: %[[TO:.*]] = tile.row %[[BOTH]][%{{.*}}] bytes 48{{$}}
// CHECK: call @copy{{[^(]*}}(%[[FROM]], %[[TO]])
// CHECK: %[[FROM:.*]] = tile.row %[[E]][%{{.*}}] bytes 32{{$}}
// CHECK: %[[TO:.*]] = tile.row %[[BOTH]][%{{.*}}] bytes 48 offset 16
// CHECK: call @copy{{[^(]*}}(%[[FROM]], %[[TO]])
module attributes {tile.target = #tile.target<"generic", vector = 128, dot = portable>} {
llm.asset @file weights "f"
llm.weight @embed : !llm.weights<1x8x8xf32> from "embed"
llm.weight @w : !llm.weights<1x8x12xf32> from "w"
func.func @step_8(%batch: !llm.batch) -> (tensor<?x8xf32>, tensor<?x12xf32>) attributes {llm.max_tokens = 8 : i64} {
  %t = llm.weight_load @embed : tensor<8x8xf32>
  %w = llm.weight_load @w : tensor<8x12xf32>
  %e = llm.embedding %batch, %t tokens : tensor<8x8xf32> -> tensor<?x8xf32>
  %m = llm.columns %e from 4 : tensor<?x8xf32> -> tensor<?x4xf32>
  %c = llm.concat %m, %e : tensor<?x4xf32>, tensor<?x8xf32> -> tensor<?x12xf32>
  %h = llm.select_rows %c, %batch : tensor<?x12xf32> -> tensor<?x12xf32>
  %y = llm.linear %h[%w] : (tensor<?x12xf32>, tensor<8x12xf32>) -> tensor<?x8xf32>
  return %y, %h : tensor<?x8xf32>, tensor<?x12xf32>
}
}
