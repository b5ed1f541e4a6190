// RUN: llmc-opt %s --tile-schedule | FileCheck %s

module attributes {tile.target = #tile.target<"x86-64-v3", vector = 256, dot = avx2>} {
llm.asset @file weights "model.gguf"
llm.weight @embed : !llm.weights<1x2100x32x!llm.quant<q8_0>> from "embed"
llm.state @kv : !llm.kv_cache<layers = 1, kv_heads = 2, head_dim = 8, f16>

// A product that the step does not return as its logits is written whole, whatever it says.
// CHECK-LABEL: func.func @step_512(
// CHECK-NOT: best_rows
// CHECK-NOT: "best"
// CHECK: return
func.func @step_512(%batch: !llm.batch) -> (tensor<?x32xf32>, tensor<?x2100xf32>) attributes {llm.max_tokens = 512 : i64} {
  %w = llm.weight_load @embed : tensor<2100x32x!llm.quant<q8_0>>
  %x = llm.embedding %batch, %w tokens : tensor<2100x32x!llm.quant<q8_0>> -> tensor<?x32xf32>
  %y = llm.linear %x [%w] top_k : (tensor<?x32xf32>, tensor<2100x32x!llm.quant<q8_0>>) -> tensor<?x2100xf32>
  %l = llm.select_rows %x, %batch : tensor<?x32xf32> -> tensor<?x32xf32>
  %h = llm.select_rows %y, %batch : tensor<?x2100xf32> -> tensor<?x2100xf32>
  return %l, %h : tensor<?x32xf32>, tensor<?x2100xf32>
}
}
