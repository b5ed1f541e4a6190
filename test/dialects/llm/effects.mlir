// What the optimizer may do follows from effects: ops on state stay and keep their order, the rest is free.
// RUN: llmc-opt %s --cse --canonicalize --symbol-dce | FileCheck %s

llm.weight @w : !llm.weights<1x8x8xf32> from "w"
llm.state @kv : !llm.kv_cache<layers = 1, kv_heads = 1, head_dim = 8, f32>

// An unused append stays; equal ones are not merged.
// CHECK-LABEL: @attention_stays
// CHECK-COUNT-2: llm.attention
func.func @attention_stays(%batch: !llm.batch, %layer: index, %q: tensor<?x8xf32>) {
  %0 = llm.attention %q, %q, %q, @kv[%layer], %batch scale 1.0 : (tensor<?x8xf32>, tensor<?x8xf32>, tensor<?x8xf32>, index, !llm.batch) -> tensor<?x8xf32>
  %1 = llm.attention %q, %q, %q, @kv[%layer], %batch scale 1.0 : (tensor<?x8xf32>, tensor<?x8xf32>, tensor<?x8xf32>, index, !llm.batch) -> tensor<?x8xf32>
  return
}

// CHECK-LABEL: @layers_stay
// CHECK: llm.layers
func.func @layers_stay(%batch: !llm.batch, %x: tensor<?x8xf32>) {
  %0 = llm.layers %x, %batch kinds [@kind] order [0] : tensor<?x8xf32> -> tensor<?x8xf32>
  return
}

// A function that only `llm.layers` names is in use.
// CHECK-LABEL: func.func private @kind
func.func private @kind(%x: tensor<?x8xf32>, %layer: index, %batch: !llm.batch) -> tensor<?x8xf32> {
  return %x : tensor<?x8xf32>
}

// CHECK-LABEL: @unused_goes
// CHECK-NEXT: return
func.func @unused_goes(%batch: !llm.batch, %x: tensor<?x8xf32>) {
  %w = llm.weight_load @w : tensor<8x8xf32>
  %y = llm.linear %x[%w] : (tensor<?x8xf32>, tensor<8x8xf32>) -> tensor<?x8xf32>
  %e = llm.embedding %batch, %w tokens : tensor<8x8xf32> -> tensor<?x8xf32>
  return
}

// CHECK-LABEL: @equal_loads_merge
// CHECK: %[[W:.*]] = llm.weight_load @w
// CHECK-NOT: llm.weight_load
// CHECK: llm.linear %{{.*}}[%[[W]], %[[W]]]
func.func @equal_loads_merge(%x: tensor<?x8xf32>) -> (tensor<?x8xf32>, tensor<?x8xf32>) {
  %a = llm.weight_load @w : tensor<8x8xf32>
  %b = llm.weight_load @w : tensor<8x8xf32>
  %y, %z = llm.linear %x[%a, %b] : (tensor<?x8xf32>, tensor<8x8xf32>, tensor<8x8xf32>) -> (tensor<?x8xf32>, tensor<?x8xf32>)
  return %y, %z : tensor<?x8xf32>, tensor<?x8xf32>
}
