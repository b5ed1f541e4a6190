// Experts: one token runs its own as tiles of one loop; many tokens are grouped by expert, gathered, and summed in their order.
// RUN: llmc-opt %s --tile-schedule | FileCheck %s

// CHECK-LABEL: func.func @step_1(
// CHECK: scf.forall
// CHECK: call @route
// CHECK-NOT: @group_tokens
// Two chosen experts, two panels each.
// CHECK: scf.forall
// CHECK: %[[EXPERT:.*]] = tile.entry
// CHECK: %[[GATE:.*]] = tile.weight %{{.*}} @gate
// CHECK: %[[DISTANCE:.*]] = arith.muli %[[EXPERT]],
// CHECK: tile.row %[[GATE]][%[[DISTANCE]]] bytes 1
// CHECK: call @linear
// CHECK: scf.forall
// CHECK: tile.weight %{{.*}} @down
// CHECK: call @linear
// CHECK: call @combine

// CHECK-LABEL: func.func @step_8(
// CHECK: call @route
// CHECK: tile.buffer {{.*}} name "expert_starts"
// CHECK: call @group_tokens
// CHECK: scf.forall
// CHECK: tile.entry
// CHECK: call @copy
// An expert without rows is not read.
// CHECK: scf.forall
// CHECK: %[[ROWS:.*]] = arith.subi
// CHECK: %[[ANY:.*]] = arith.cmpi sgt, %[[ROWS]]
// CHECK: scf.if %[[ANY]]
// CHECK: call @linear
// CHECK: scf.forall
// CHECK: scf.if
// CHECK: call @linear
// CHECK: call @combine
module attributes {tile.target = #tile.target<"generic", vector = 128, dot = portable>} {
llm.asset @file weights "f"
llm.weight @embed : !llm.weights<1x8x8xf32> from "embed"
llm.weight @router : !llm.weights<1x4x8xf32> from "router"
llm.weight @gate : !llm.weights<1x4x32x8xf32> from "gate.{expert}"
llm.weight @up : !llm.weights<1x4x32x8xf32> from "up.{expert}"
llm.weight @down : !llm.weights<1x4x8x32xf32> from "down"
func.func @step_1(%batch: !llm.batch) -> (tensor<?x8xf32>, tensor<?x8xf32>) attributes {llm.max_tokens = 1 : i64} {
  %t = llm.weight_load @embed : tensor<8x8xf32>
  %r = llm.weight_load @router : tensor<4x8xf32>
  %g = llm.weight_load @gate : tensor<4x32x8xf32>
  %u = llm.weight_load @up : tensor<4x32x8xf32>
  %d = llm.weight_load @down : tensor<4x8x32xf32>
  %x = llm.embedding %batch, %t tokens : tensor<8x8xf32> -> tensor<?x8xf32>
  %l = llm.linear %x[%r] : (tensor<?x8xf32>, tensor<4x8xf32>) -> tensor<?x4xf32>
  %e, %w = llm.route softmax %l top 2 : (tensor<?x4xf32>) -> (tensor<?x2xi32>, tensor<?x2xf32>)
  %m = llm.experts silu %x, %e, %w gate %g up %u down %d : (tensor<?x8xf32>, tensor<?x2xi32>, tensor<?x2xf32>, tensor<4x32x8xf32>, tensor<4x32x8xf32>, tensor<4x8x32xf32>) -> tensor<?x8xf32>
  %h = llm.select_rows %m, %batch : tensor<?x8xf32> -> tensor<?x8xf32>
  %y = llm.linear %h[%t] : (tensor<?x8xf32>, tensor<8x8xf32>) -> tensor<?x8xf32>
  return %y, %h : tensor<?x8xf32>, tensor<?x8xf32>
}
func.func @step_8(%batch: !llm.batch) -> (tensor<?x8xf32>, tensor<?x8xf32>) attributes {llm.max_tokens = 8 : i64} {
  %t = llm.weight_load @embed : tensor<8x8xf32>
  %r = llm.weight_load @router : tensor<4x8xf32>
  %g = llm.weight_load @gate : tensor<4x32x8xf32>
  %u = llm.weight_load @up : tensor<4x32x8xf32>
  %d = llm.weight_load @down : tensor<4x8x32xf32>
  %x = llm.embedding %batch, %t tokens : tensor<8x8xf32> -> tensor<?x8xf32>
  %l = llm.linear %x[%r] : (tensor<?x8xf32>, tensor<4x8xf32>) -> tensor<?x4xf32>
  %e, %w = llm.route softmax %l top 2 : (tensor<?x4xf32>) -> (tensor<?x2xi32>, tensor<?x2xf32>)
  %m = llm.experts silu %x, %e, %w gate %g up %u down %d : (tensor<?x8xf32>, tensor<?x2xi32>, tensor<?x2xf32>, tensor<4x32x8xf32>, tensor<4x32x8xf32>, tensor<4x8x32xf32>) -> tensor<?x8xf32>
  %h = llm.select_rows %m, %batch : tensor<?x8xf32> -> tensor<?x8xf32>
  %y = llm.linear %h[%t] : (tensor<?x8xf32>, tensor<8x8xf32>) -> tensor<?x8xf32>
  return %y, %h : tensor<?x8xf32>, tensor<?x8xf32>
}
}
