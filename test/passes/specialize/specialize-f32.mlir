// Where every matrix is f32, caches are too; vectors in other formats change nothing.
// RUN: llmc-opt %s --llm-specialize | FileCheck %s
// CHECK-NOT: llm.exact
// CHECK: llm.state @kv : !llm.kv_cache<layers = 2, kv_heads = 1, head_dim = 8, f32> layers [0, 2]

llm.asset @file weights "model.safetensors"
llm.weight @embed : !llm.weights<1x32x8xf32> from "embed"
llm.weight @norm : !llm.weights<1x8xbf16> from "norm"
llm.state @kv : !llm.kv_cache<layers = 2, kv_heads = 1, head_dim = 8, f16> layers [0, 2]
func.func @step(%batch: !llm.batch) -> tensor<?x8xf32> {
  %t = llm.weight_load @embed : tensor<32x8xf32>
  %e = llm.embedding %batch, %t tokens : tensor<32x8xf32> -> tensor<?x8xf32>
  return %e : tensor<?x8xf32>
}
