// RUN: llmc-opt %s --llm-simplify-pipeline | FileCheck %s

// Ties, loads, tables and sums are each said once; what nobody reads is gone.
// CHECK-COUNT-1: llm.weight @embed
// CHECK-NOT: llm.weight @
// CHECK-LABEL: @step
// CHECK-COUNT-1: llm.weight_load @embed
// CHECK-NOT: llm.weight_load
// CHECK: %[[X:.*]] = llm.embedding %{{.*}} {scale = 8.000000e+00 : f32}
// CHECK-COUNT-1: llm.rope_table
// CHECK-NOT: llm.rope_table
llm.weight @embed : !llm.weights<1x512x64xbf16> from "embed.weight"
llm.weight @head : !llm.weights<1x512x64xbf16> from "embed.weight"
llm.weight @mask : !llm.weights<1x512xf32> from "attn.mask"
func.func @step(%batch: !llm.batch) -> tensor<?x512xf32> {
  %table = llm.weight_load @embed : tensor<512x64xbf16>
  %mask = llm.weight_load @mask : tensor<512xf32>
  %e = llm.embedding %batch, %table tokens : tensor<512x64xbf16> -> tensor<?x64xf32>
  %x = llm.scale %e by 8.0 : tensor<?x64xf32>
  %cs0 = llm.rope_table %batch theta 1.0e4 -> tensor<?x64xf32>
  %cs1 = llm.rope_table %batch theta 1.0e4 -> tensor<?x64xf32>
  %r0 = llm.rope %x, %cs0 <half, dim = 64> head_dim 64 : tensor<?x64xf32>, tensor<?x64xf32>
  %r1 = llm.rope %x, %cs1 <half, dim = 64> head_dim 64 : tensor<?x64xf32>, tensor<?x64xf32>
  // The order of a sum's operands does not matter.
  // CHECK: %[[R:.*]] = llm.rope
  // CHECK-NEXT: %[[S:.*]] = llm.add
  // CHECK-NEXT: llm.add %[[S]], %[[S]]
  %s0 = llm.add %x, %r0 : tensor<?x64xf32>
  %s1 = llm.add %r1, %x : tensor<?x64xf32>
  %s = llm.add %s0, %s1 : tensor<?x64xf32>
  %w = llm.weight_load @head : tensor<512x64xbf16>
  %y = llm.linear %s [%w] : (tensor<?x64xf32>, tensor<512x64xbf16>) -> tensor<?x512xf32>
  return %y : tensor<?x512xf32>
}
