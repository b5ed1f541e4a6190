// RUN: llmc-opt %s --tile-schedule --split-input-file | FileCheck %s

// On a GPU many rows of a product are cut into blocks of 64, each a tile of its own for every tile of outputs; a tile is so many panels that
// there are tiles for a card. Few rows stay together, and a tile is a panel.
module attributes {tile.target = #tile.target<"sm_90", vector = 128, dot = portable, bf16 = true in blocks of 256>} {
llm.asset @file weights "model.gguf"
llm.weight @one : !llm.weights<1x4096x64xbf16> from "one"
llm.weight @two : !llm.weights<1x512x64x!llm.quant<q8_0>> from "two"
llm.weight @embed : !llm.weights<1x64x64xf32> from "embed"

// CHECK-LABEL: func.func @step_16
// CHECK: arith.constant 256 : i64
// CHECK: call @[[FEW:linear_[0-9]+]](
// CHECK: arith.constant 32 : i64
// CHECK: call @linear
func.func @step_16(%batch: !llm.batch) -> (tensor<?x4096xf32>, tensor<?x512xf32>) attributes {llm.max_tokens = 16 : i64} {
  %t = llm.weight_load @embed : tensor<64x64xf32>
  %e = llm.embedding %batch, %t tokens : tensor<64x64xf32> -> tensor<?x64xf32>
  %x = llm.select_rows %e, %batch : tensor<?x64xf32> -> tensor<?x64xf32>
  %w1 = llm.weight_load @one : tensor<4096x64xbf16>
  %w2 = llm.weight_load @two : tensor<512x64x!llm.quant<q8_0>>
  %y = llm.linear %x [%w1] : (tensor<?x64xf32>, tensor<4096x64xbf16>) -> tensor<?x4096xf32>
  %z = llm.linear %x [%w2] : (tensor<?x64xf32>, tensor<512x64x!llm.quant<q8_0>>) -> tensor<?x512xf32>
  return %y, %z : tensor<?x4096xf32>, tensor<?x512xf32>
}

// CHECK-LABEL: func.func @step_512
// CHECK: %[[BLOCKS:.*]] = arith.divui %{{.*}}, %c64{{.*}} : i64
// CHECK: arith.muli %[[BLOCKS]], %c16{{.*}} : i64
// CHECK: forall
// CHECK: %[[TILE:.*]] = arith.divui %[[INDEX:.*]], %[[BLOCKS]] : i64
// CHECK: %[[BLOCK:.*]] = arith.remui %[[INDEX]], %[[BLOCKS]] : i64
// CHECK: arith.muli %[[BLOCK]], %c64{{.*}} : i64
// CHECK: %[[ROWS:.*]] = arith.minsi
// CHECK: call @[[MANY:linear_[0-9]+]](%[[TILE]], %[[ROWS]],
// CHECK: call @[[BYTES:linear_[0-9]+]](
// CHECK: return
func.func @step_512(%batch: !llm.batch) -> (tensor<?x4096xf32>, tensor<?x512xf32>) attributes {llm.max_tokens = 512 : i64} {
  %t = llm.weight_load @embed : tensor<64x64xf32>
  %e = llm.embedding %batch, %t tokens : tensor<64x64xf32> -> tensor<?x64xf32>
  %x = llm.select_rows %e, %batch : tensor<?x64xf32> -> tensor<?x64xf32>
  %w1 = llm.weight_load @one : tensor<4096x64xbf16>
  %w2 = llm.weight_load @two : tensor<512x64x!llm.quant<q8_0>>
  %y = llm.linear %x [%w1] : (tensor<?x64xf32>, tensor<4096x64xbf16>) -> tensor<?x4096xf32>
  %z = llm.linear %x [%w2] : (tensor<?x64xf32>, tensor<512x64x!llm.quant<q8_0>>) -> tensor<?x512xf32>
  return %y, %z : tensor<?x4096xf32>, tensor<?x512xf32>
}
// CHECK-DAG: func.func private @[[FEW]]({{.*}}arithmetic = bf16, single = false, panels = 1,
// CHECK-DAG: func.func private @[[MANY]]({{.*}}arithmetic = bf16, single = false, panels = 16,
// CHECK-DAG: func.func private @[[BYTES]]({{.*}}arithmetic = int8, single = false, panels = 4,
}

// -----

// Prompts attend by matrices: the first of the tokens that go together takes them all. Few tokens attend by `attend`; one that is alone by
// parts of its positions, of as many heads as the registers hold.
module attributes {tile.target = #tile.target<"sm_90", vector = 128, dot = portable, bf16 = true in blocks of 256>} {
llm.asset @file weights "model.gguf"
llm.weight @embed : !llm.weights<1x64x64xf32> from "embed"
llm.state @kv : !llm.kv_cache<layers = 1, kv_heads = 1, head_dim = 32, f16>

// CHECK-LABEL: func.func @step_1(
// CHECK: call @[[PART:attend_[0-9]+]]
// CHECK: call @[[MERGE:merge_parts_[0-9]+]]
// CHECK-LABEL: func.func @step_16
// CHECK: call @attend_{{[0-9]+}}
// CHECK-LABEL: func.func @step_512
// CHECK: tile.field %{{.*}} "slots"
// CHECK: scf.if
// CHECK: %[[COUNT:.*]] = scf.for
// CHECK: call @[[ATTEND:attend_[0-9]+]](%{{.*}}, %[[COUNT]],
// CHECK-DAG: func.func private @[[PART]]({{.*}}#tile.attend_runs<{{.*}}group = 2, count = 1, {{.*}}split = true, partial = true>
// CHECK-DAG: func.func private @[[MERGE]]({{.*}}#tile.merge_parts<heads = 2, head_dim = 32,
// CHECK-DAG: func.func private @[[ATTEND]]({{.*}}#tile.attend_runs<heads = 2, kv_heads = 1, head_dim = 32, element = f16, {{.*}}group = 2, count = 64,
func.func private @layer(%q: tensor<?x64xf32>, %i: index, %batch: !llm.batch) -> tensor<?x64xf32> {
  %k = llm.columns %q from 0 : tensor<?x64xf32> -> tensor<?x32xf32>
  %a = llm.attention %q, %k, %k, @kv[%i], %batch scale 0.5 : (tensor<?x64xf32>, tensor<?x32xf32>, tensor<?x32xf32>, index, !llm.batch) -> tensor<?x64xf32>
  return %a : tensor<?x64xf32>
}
func.func @step_1(%batch: !llm.batch) -> tensor<?x64xf32> attributes {llm.max_tokens = 1 : i64} {
  %t = llm.weight_load @embed : tensor<64x64xf32>
  %x = llm.embedding %batch, %t tokens : tensor<64x64xf32> -> tensor<?x64xf32>
  %h = llm.layers %x, %batch kinds [@layer] order [0] : tensor<?x64xf32> -> tensor<?x64xf32>
  %y = llm.select_rows %h, %batch : tensor<?x64xf32> -> tensor<?x64xf32>
  return %y : tensor<?x64xf32>
}
func.func @step_16(%batch: !llm.batch) -> tensor<?x64xf32> attributes {llm.max_tokens = 16 : i64} {
  %t = llm.weight_load @embed : tensor<64x64xf32>
  %x = llm.embedding %batch, %t tokens : tensor<64x64xf32> -> tensor<?x64xf32>
  %h = llm.layers %x, %batch kinds [@layer] order [0] : tensor<?x64xf32> -> tensor<?x64xf32>
  %y = llm.select_rows %h, %batch : tensor<?x64xf32> -> tensor<?x64xf32>
  return %y : tensor<?x64xf32>
}
func.func @step_512(%batch: !llm.batch) -> tensor<?x64xf32> attributes {llm.max_tokens = 512 : i64} {
  %t = llm.weight_load @embed : tensor<64x64xf32>
  %x = llm.embedding %batch, %t tokens : tensor<64x64xf32> -> tensor<?x64xf32>
  %h = llm.layers %x, %batch kinds [@layer] order [0] : tensor<?x64xf32> -> tensor<?x64xf32>
  %y = llm.select_rows %h, %batch : tensor<?x64xf32> -> tensor<?x64xf32>
  return %y : tensor<?x64xf32>
}
}
