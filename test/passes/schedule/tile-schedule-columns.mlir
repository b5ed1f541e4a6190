// Columns are views: row-wise readers look into the rows of the whole; a float product over many tokens wants dense rows and copies.
// RUN: llmc-opt %s --tile-schedule --split-input-file | FileCheck %s

// CHECK-LABEL: func.func @step_8(
// CHECK: %[[E:.*]] = tile.buffer {{.*}} name "embedding"
// CHECK: %[[SUM:.*]] = tile.buffer {{.*}} name "add"
// CHECK: %[[DENSE:.*]] = tile.buffer {{.*}} name "dense"
// CHECK: scf.forall
// CHECK: call @decode_row
// CHECK: %[[A:.*]] = tile.row %[[E]][%{{.*}}] bytes 64{{$}}
// CHECK: %[[B:.*]] = tile.row %[[E]][%{{.*}}] bytes 64 offset 32
// CHECK: call @add{{[^(]*}}(%[[A]], %[[B]],
// CHECK: %[[FROM:.*]] = tile.row %[[SUM]][%{{.*}}] bytes 32 offset 8
// CHECK: %[[TO:.*]] = tile.row %[[DENSE]][%{{.*}}] bytes 16
// CHECK: call @copy{{[^(]*}}(%[[FROM]], %[[TO]])
// CHECK: scf.forall
// CHECK: call @linear{{[^(]*}}(%{{[^,]*}}, %{{[^,]*}}, %[[DENSE]],
module attributes {tile.target = #tile.target<"generic", vector = 128, dot = portable>} {
llm.asset @file weights "f"
llm.weight @embed : !llm.weights<1x8x16xf32> from "embed"
llm.weight @w : !llm.weights<1x8x4xf32> from "w"
func.func @step_8(%batch: !llm.batch) -> tensor<?x8xf32> attributes {llm.max_tokens = 8 : i64} {
  %t = llm.weight_load @embed : tensor<8x16xf32>
  %w = llm.weight_load @w : tensor<8x4xf32>
  %e = llm.embedding %batch, %t tokens : tensor<8x16xf32> -> tensor<?x16xf32>
  %a = llm.columns %e from 0 : tensor<?x16xf32> -> tensor<?x8xf32>
  %b = llm.columns %e from 8 : tensor<?x16xf32> -> tensor<?x8xf32>
  %s = llm.add %a, %b : tensor<?x8xf32>
  %m = llm.columns %s from 2 : tensor<?x8xf32> -> tensor<?x4xf32>
  %y = llm.linear %m[%w] : (tensor<?x4xf32>, tensor<8x4xf32>) -> tensor<?x8xf32>
  %r = llm.select_rows %y, %batch : tensor<?x8xf32> -> tensor<?x8xf32>
  return %r : tensor<?x8xf32>
}
}
