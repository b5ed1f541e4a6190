// RUN: llmc-opt %s --tile-schedule --split-input-file | FileCheck %s

// Rows of bf16 and f16 weights are rounded once for all products that read them, where the target multiplies pairs of bf16.
module attributes {tile.target = #tile.target<"x86-64-v4-bf16", vector = 512, dot = vnni, bf16 = true>} {
llm.asset @file weights "model.gguf"
llm.weight @one : !llm.weights<1x64x40xbf16> from "one"
llm.weight @two : !llm.weights<1x48x40xf16> from "two"
llm.weight @three : !llm.weights<1x48x40xf32> from "three"
llm.weight @embed : !llm.weights<1x64x40xf32> from "embed"

// CHECK-LABEL: func.func @step_4
// CHECK: call @[[ROUND:quantize_[0-9]+]]
// CHECK: call @[[BOTH:linear_[0-9]+]]
// CHECK-NOT: call @quantize
// CHECK: call @[[EXACT:linear_[0-9]+]]
// CHECK: return
// CHECK-DAG: func.func private @[[ROUND]]({{.*}}#tile.quantize<inputs = 40, arithmetic = bf16>
// CHECK-DAG: func.func private @[[BOTH]]({{.*}}arithmetic = bf16
// CHECK-DAG: func.func private @[[EXACT]]({{.*}}arithmetic = f32
func.func @step_4(%batch: !llm.batch) -> (tensor<?x64xf32>, tensor<?x48xf32>, tensor<?x48xf32>) attributes {llm.max_tokens = 4 : i64} {
  %t = llm.weight_load @embed : tensor<64x40xf32>
  %e = llm.embedding %batch, %t tokens : tensor<64x40xf32> -> tensor<?x40xf32>
  %x = llm.select_rows %e, %batch : tensor<?x40xf32> -> tensor<?x40xf32>
  %w1 = llm.weight_load @one : tensor<64x40xbf16>
  %w2 = llm.weight_load @two : tensor<48x40xf16>
  %w3 = llm.weight_load @three : tensor<48x40xf32>
  %y:2 = llm.linear %x [%w1, %w2] : (tensor<?x40xf32>, tensor<64x40xbf16>, tensor<48x40xf16>) -> (tensor<?x64xf32>, tensor<?x48xf32>)
  %z = llm.linear %x [%w3] : (tensor<?x40xf32>, tensor<48x40xf32>) -> tensor<?x48xf32>
  return %y#0, %y#1, %z : tensor<?x64xf32>, tensor<?x48xf32>, tensor<?x48xf32>
}
}
