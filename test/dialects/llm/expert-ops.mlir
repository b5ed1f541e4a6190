// RUN: llmc-opt %s | llmc-opt | FileCheck %s
// RUN: llmc-opt %s --mlir-print-op-generic | llmc-opt | FileCheck %s

// CHECK: llm.weight @each : !llm.weights<2x4x16x32x!llm.quant<q4_0|q8_0>> from "blk.{layer}.gate.{expert}" formats [0, 1]
llm.weight @each : !llm.weights<2x4x16x32x!llm.quant<q4_0|q8_0>> from "blk.{layer}.gate.{expert}" formats [0, 1]
// CHECK: llm.weight @stacked : !llm.weights<2x4x16x32xbf16> from "blk.{layer}.gate_up" transpose rows [1, 32, 2]
llm.weight @stacked : !llm.weights<2x4x16x32xbf16> from "blk.{layer}.gate_up" transpose rows [1, 32, 2]

// CHECK-LABEL: @experts(
func.func @experts(%layer: index, %x: tensor<?x32xf32>, %logits: tensor<?x4xf32>, %bias: tensor<4xf32>, %down: tensor<4x8x16xf16>, %gb: tensor<4x16x1xf32>, %db: tensor<4x8x1xf32>) -> tensor<?x8xf32> {
  // CHECK: llm.weight_load @each[%{{.*}}] : tensor<4x16x32x!llm.quant<q4_0|q8_0>>
  %gate = llm.weight_load @each[%layer] : tensor<4x16x32x!llm.quant<q4_0|q8_0>>
  %up = llm.weight_load @stacked[%layer] : tensor<4x16x32xbf16>
  // CHECK: llm.route sigmoid %{{.*}} bias %{{.*}} top 2 {group_score = #llm<group_score top2_sum>, groups = 2 : i64} : (tensor<?x4xf32>, tensor<4xf32>) -> (tensor<?x2xi32>, tensor<?x2xf32>)
  %e, %w = llm.route sigmoid %logits bias %bias top 2 {groups = 2 : i64, group_score = #llm<group_score top2_sum>} : (tensor<?x4xf32>, tensor<4xf32>) -> (tensor<?x2xi32>, tensor<?x2xf32>)
  // CHECK: llm.experts relu %{{.*}}, %{{.*}}, %{{.*}} up %{{.*}} down %{{.*}} : (
  %y = llm.experts relu %x, %e, %w up %up down %down : (tensor<?x32xf32>, tensor<?x2xi32>, tensor<?x2xf32>, tensor<4x16x32xbf16>, tensor<4x8x16xf16>) -> tensor<?x8xf32>
  // CHECK: llm.experts silu %{{.*}}, %{{.*}}, %{{.*}} gate %{{.*}} bias %{{.*}} up %{{.*}} bias %{{.*}} down %{{.*}} bias %{{.*}} limits <alpha = 1.702{{0*}}e+00, limit = 7.0{{0*}}e+00, offset = 1.0{{0*}}e+00> : (
  %z = llm.experts silu %x, %e, %w gate %gate bias %gb up %up bias %gb down %down bias %db limits <alpha = 1.702, limit = 7.0, offset = 1.0>
    : (tensor<?x32xf32>, tensor<?x2xi32>, tensor<?x2xf32>, tensor<4x16x32x!llm.quant<q4_0|q8_0>>, tensor<4x16x32xbf16>, tensor<4x8x16xf16>, tensor<4x16x1xf32>, tensor<4x16x1xf32>, tensor<4x8x1xf32>) -> tensor<?x8xf32>
  // CHECK: llm.clamp %{{.*}} to 4.000000e+00 : tensor<?x8xf32>
  %c = llm.clamp %z to 4.0 : tensor<?x8xf32>
  %s = llm.add %c, %y : tensor<?x8xf32>
  return %s : tensor<?x8xf32>
}

// CHECK-LABEL: @grouped(
func.func @grouped(%x: tensor<?x12xf32>, %w: tensor<3x5x4xf16>, %b: tensor<3x5x1xf32>) -> tensor<?x15xf32> {
  // CHECK: llm.grouped_linear %{{.*}}, %{{.*}} bias %{{.*}} : (tensor<?x12xf32>, tensor<3x5x4xf16>, tensor<3x5x1xf32>) -> tensor<?x15xf32>
  %y = llm.grouped_linear %x, %w bias %b : (tensor<?x12xf32>, tensor<3x5x4xf16>, tensor<3x5x1xf32>) -> tensor<?x15xf32>
  return %y : tensor<?x15xf32>
}
