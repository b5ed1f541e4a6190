// RUN: llmc-opt %s --tile-schedule --split-input-file | FileCheck %s

// Where there are matrix tiles, quantised weights are multiplied as bf16 in versions of the step for many tokens. Few tokens, whose
// panels are not worth unpacking, take int8.
module attributes {tile.target = #tile.target<"x86-64-v4-amx", vector = 512, dot = vnni, bf16 = true, tiles = amx>} {
llm.asset @file weights "model.gguf"
llm.weight @w : !llm.weights<1x64x64x!llm.quant<q4_0>> from "w"

// CHECK-LABEL: func.func @step_1
// CHECK: call @[[INT8:linear_[0-9]+]]
// CHECK: func.func private @[[INT8]]({{.*}}arithmetic = int8
func.func @step_1(%batch: !llm.batch) -> tensor<?x64xf32> attributes {llm.max_tokens = 1 : i64} {
  %w = llm.weight_load @w : tensor<64x64x!llm.quant<q4_0>>
  %e = llm.embedding %batch, %w tokens : tensor<64x64x!llm.quant<q4_0>> -> tensor<?x64xf32>
  %x = llm.select_rows %e, %batch : tensor<?x64xf32> -> tensor<?x64xf32>
  %y = llm.linear %x [%w] : (tensor<?x64xf32>, tensor<64x64x!llm.quant<q4_0>>) -> tensor<?x64xf32>
  return %y : tensor<?x64xf32>
}
}

// -----

module attributes {tile.target = #tile.target<"x86-64-v4-amx", vector = 512, dot = vnni, bf16 = true, tiles = amx>} {
llm.asset @file weights "model.gguf"
llm.weight @w : !llm.weights<1x64x64x!llm.quant<q4_0>> from "w"

// CHECK-LABEL: func.func @step_17
// CHECK: call @[[ROUND:quantize_[0-9]+]]
// CHECK: call @[[TILED:linear_[0-9]+]]
// CHECK-DAG: func.func private @[[ROUND]]({{.*}}#tile.quantize<inputs = 64, arithmetic = bf16>
// CHECK-DAG: func.func private @[[TILED]]({{.*}}arithmetic = bf16, single = false, panels = 2
func.func @step_17(%batch: !llm.batch) -> tensor<?x64xf32> attributes {llm.max_tokens = 17 : i64} {
  %w = llm.weight_load @w : tensor<64x64x!llm.quant<q4_0>>
  %e = llm.embedding %batch, %w tokens : tensor<64x64x!llm.quant<q4_0>> -> tensor<?x64xf32>
  %x = llm.select_rows %e, %batch : tensor<?x64xf32> -> tensor<?x64xf32>
  %y = llm.linear %x [%w] : (tensor<?x64xf32>, tensor<64x64x!llm.quant<q4_0>>) -> tensor<?x64xf32>
  return %y : tensor<?x64xf32>
}
}

// -----

// Without tiles, many tokens take int8 too.
module attributes {tile.target = #tile.target<"x86-64-v4-bf16", vector = 512, dot = vnni, bf16 = true>} {
llm.asset @file weights "model.gguf"
llm.weight @w : !llm.weights<1x64x64x!llm.quant<q4_0>> from "w"

// CHECK-LABEL: func.func @step_32
// CHECK: arithmetic = int8
func.func @step_32(%batch: !llm.batch) -> tensor<?x64xf32> attributes {llm.max_tokens = 32 : i64} {
  %w = llm.weight_load @w : tensor<64x64x!llm.quant<q4_0>>
  %e = llm.embedding %batch, %w tokens : tensor<64x64x!llm.quant<q4_0>> -> tensor<?x64xf32>
  %x = llm.select_rows %e, %batch : tensor<?x64xf32> -> tensor<?x64xf32>
  %y = llm.linear %x [%w] : (tensor<?x64xf32>, tensor<64x64x!llm.quant<q4_0>>) -> tensor<?x64xf32>
  return %y : tensor<?x64xf32>
}
}

// -----

module attributes {tile.target = #tile.target<"x86-64-v4-amx", vector = 512, dot = vnni, bf16 = true, tiles = amx>} {
llm.asset @file weights "model.gguf"
llm.weight @w : !llm.weights<1x64x64x!llm.quant<q4_0>> from "w"

// CHECK-LABEL: func.func @step_16
// CHECK: arithmetic = int8
func.func @step_16(%batch: !llm.batch) -> tensor<?x64xf32> attributes {llm.max_tokens = 16 : i64} {
  %w = llm.weight_load @w : tensor<64x64x!llm.quant<q4_0>>
  %e = llm.embedding %batch, %w tokens : tensor<64x64x!llm.quant<q4_0>> -> tensor<?x64xf32>
  %x = llm.select_rows %e, %batch : tensor<?x64xf32> -> tensor<?x64xf32>
  %y = llm.linear %x [%w] : (tensor<?x64xf32>, tensor<64x64x!llm.quant<q4_0>>) -> tensor<?x64xf32>
  return %y : tensor<?x64xf32>
}
}
