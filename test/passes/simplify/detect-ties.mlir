// RUN: llmc-opt %s --split-input-file --allow-unregistered-dialect --llm-detect-ties | FileCheck %s
// RUN: llmc-opt %s --split-input-file --allow-unregistered-dialect --llm-detect-ties --mlir-pass-statistics 2>&1 >/dev/null \
// RUN:   | FileCheck %s --check-prefix=STATS

// STATS: (S) 2 tied-weights

// CHECK: llm.weight @embed
// CHECK-NOT: @head
// CHECK-LABEL: @step
// CHECK: llm.weight_load @embed
// CHECK: llm.weight_load @embed
llm.weight @embed : !llm.weights<1x512x64xbf16> from "model.embed_tokens.weight"
llm.weight @head : !llm.weights<1x512x64xbf16> from "model.embed_tokens.weight"
func.func @step(%batch: !llm.batch) -> tensor<?x512xf32> {
  %table = llm.weight_load @embed : tensor<512x64xbf16>
  %w = llm.weight_load @head : tensor<512x64xbf16>
  %x = llm.embedding %batch, %table tokens : tensor<512x64xbf16> -> tensor<?x64xf32>
  %y = llm.linear %x [%w] : (tensor<?x64xf32>, tensor<512x64xbf16>) -> tensor<?x512xf32>
  return %y : tensor<?x512xf32>
}

// -----

// Layers that are listed and layers that are counted are the same layers.
// CHECK: llm.weight @a
// CHECK-NOT: llm.weight @b
// CHECK-LABEL: @counted_layers
// CHECK: llm.weight_load @a[
llm.weight @a : !llm.weights<2x8x8xf32> from "blk.{layer}.w"
llm.weight @b : !llm.weights<2x8x8xf32> from "blk.{layer}.w" layers [0, 1]
func.func @counted_layers(%i: index) -> tensor<8x8xf32> {
  %w = llm.weight_load @b[%i] : tensor<8x8xf32>
  return %w : tensor<8x8xf32>
}

// -----

// Anything that makes the bytes or their reading differ keeps both.
// CHECK: llm.weight @w0
// CHECK: llm.weight @other_layers
// CHECK: llm.weight @other_source
// CHECK: llm.weight @other_rows
// CHECK: llm.weight @transposed
// CHECK: llm.weight @other_type
// CHECK: llm.weight @mixed0
// CHECK: llm.weight @mixed1
llm.weight @w0 : !llm.weights<2x8x8xf32> from "blk.{layer}.w"
llm.weight @other_layers : !llm.weights<2x8x8xf32> from "blk.{layer}.w" layers [1, 2]
llm.weight @other_source : !llm.weights<2x8x8xf32> from "blk.{layer}.v"
llm.weight @other_rows : !llm.weights<2x8x8xf32> from "blk.{layer}.w" rows [8, 16]
llm.weight @transposed : !llm.weights<2x8x8xf32> from "blk.{layer}.w" transpose
llm.weight @other_type : !llm.weights<2x8x8xbf16> from "blk.{layer}.w"
llm.weight @mixed0 : !llm.weights<2x8x32x!llm.quant<q5_0|q8_0>> from "blk.{layer}.q" formats [0, 1]
llm.weight @mixed1 : !llm.weights<2x8x32x!llm.quant<q5_0|q8_0>> from "blk.{layer}.q" formats [1, 0]

// -----

// Somebody's mark may tell two weights apart.
// CHECK: llm.weight @plain
// CHECK: llm.weight @marked
llm.weight @plain : !llm.weights<1x8x8xf32> from "w"
llm.weight @marked : !llm.weights<1x8x8xf32> from "w" {adapter = "fr"}
