// RUN: llmc-opt %s "--llm-quantize=scheme=q4 keep=*.kept,*.gate" | FileCheck %s

// Weights that one op multiplies with the same inputs share their moments. What is read twice has its own; a table that is looked up too has
// none. What `keep` names stays.
// CHECK: @embed : {{.*}}quant<q8_0>> from "embed" {llm.stored = f32}
// CHECK: @q : {{.*}}{llm.moments = "q", llm.stored = f32}
// CHECK: @k : {{.*}}{llm.moments = "q", llm.stored = f32}
// CHECK: @kept : !llm.weights<2x32x64xf32>
// CHECK: @twice : {{.*}}{llm.moments = "twice", llm.stored = f32}
// CHECK: @gate : !llm.weights<2x4x32x64xf32>
// CHECK: @up : {{.*}}{llm.moments = "up", llm.stored = f32}
// CHECK: @down : {{.*}}{llm.moments = "down", llm.stored = f32}
// CHECK: @kv : !llm.kv_cache<layers = 2, kv_heads = 1, head_dim = 16, f16>
module attributes {llm.calibration = "moments.safetensors", llm.vocab = 512 : i64} {
  llm.weight @embed : !llm.weights<1x512x64xf32> from "embed"
  llm.weight @q : !llm.weights<2x32x64xf32> from "{layer}.q"
  llm.weight @k : !llm.weights<2x32x64xf32> from "{layer}.k"
  llm.weight @kept : !llm.weights<2x32x64xf32> from "{layer}.kept"
  llm.weight @twice : !llm.weights<2x32x64xf32> from "{layer}.twice"
  llm.weight @gate : !llm.weights<2x4x32x64xf32> from "{layer}.gate"
  llm.weight @up : !llm.weights<2x4x32x64xf32> from "{layer}.up"
  llm.weight @router : !llm.weights<1x4x64xf32> from "router"
  llm.weight @down : !llm.weights<2x4x64x32xf32> from "{layer}.down"
  llm.state @kv : !llm.kv_cache<layers = 2, kv_heads = 1, head_dim = 16, f32>
  func.func @layer(%x: tensor<?x64xf32>, %layer: index, %batch: !llm.batch)
      -> (tensor<?x32xf32>, tensor<?x32xf32>, tensor<?x32xf32>, tensor<?x32xf32>, tensor<?x32xf32>, tensor<?x64xf32>, tensor<?x512xf32>) {
    %0 = llm.weight_load @q[%layer] : tensor<32x64xf32>
    %1 = llm.weight_load @k[%layer] : tensor<32x64xf32>
    %2 = llm.weight_load @kept[%layer] : tensor<32x64xf32>
    %q, %k, %s = llm.linear %x[%0, %1, %2] : (tensor<?x64xf32>, tensor<32x64xf32>, tensor<32x64xf32>, tensor<32x64xf32>) -> (tensor<?x32xf32>, tensor<?x32xf32>, tensor<?x32xf32>)
    %3 = llm.weight_load @twice[%layer] : tensor<32x64xf32>
    %t = llm.linear %x[%3] : (tensor<?x64xf32>, tensor<32x64xf32>) -> tensor<?x32xf32>
    %u = llm.linear %x[%3] : (tensor<?x64xf32>, tensor<32x64xf32>) -> tensor<?x32xf32>
    %4 = llm.weight_load @gate[%layer] : tensor<4x32x64xf32>
    %5 = llm.weight_load @up[%layer] : tensor<4x32x64xf32>
    %6 = llm.weight_load @down[%layer] : tensor<4x64x32xf32>
    %r = llm.weight_load @router : tensor<4x64xf32>
    %scores = llm.linear %x[%r] : (tensor<?x64xf32>, tensor<4x64xf32>) -> tensor<?x4xf32>
    %experts, %weights = llm.route softmax %scores top 2 : (tensor<?x4xf32>) -> (tensor<?x2xi32>, tensor<?x2xf32>)
    %y = llm.experts silu %x, %experts, %weights gate %4 up %5 down %6 : (tensor<?x64xf32>, tensor<?x2xi32>, tensor<?x2xf32>, tensor<4x32x64xf32>, tensor<4x32x64xf32>, tensor<4x64x32xf32>) -> tensor<?x64xf32>
    %7 = llm.weight_load @embed : tensor<512x64xf32>
    %l = llm.linear %x[%7] : (tensor<?x64xf32>, tensor<512x64xf32>) -> tensor<?x512xf32>
    %e = llm.embedding %batch, %7 tokens : tensor<512x64xf32> -> tensor<?x64xf32>
    return %q, %k, %s, %t, %u, %y, %l : tensor<?x32xf32>, tensor<?x32xf32>, tensor<?x32xf32>, tensor<?x32xf32>, tensor<?x32xf32>, tensor<?x64xf32>, tensor<?x512xf32>
  }
}
