// RUN: llmc-opt %s --tile-schedule | FileCheck %s
// RUN: llmc-opt %s --tile-schedule --mlir-pass-statistics 2>&1 >/dev/null | FileCheck %s --check-prefix=STATS

// A block as the fuse phase leaves it: its layers become one loop, its ops parallel loops, its functions and values are gone.
// STATS-DAG: (S) 12 loops
// STATS-DAG: (S) 4 int8-products

module attributes {tile.target = #tile.target<"x86-64-v3", vector = 256, dot = avx2>} {
llm.asset @file weights "model.gguf"
llm.weight @embed : !llm.weights<1x64x32x!llm.quant<q8_0>> from "embed"
llm.weight @gain : !llm.weights<1x32xf32> from "gain"
llm.weight @blk.gain : !llm.weights<3x32xf32> from "blk.{layer}.gain"
llm.weight @blk.q : !llm.weights<3x32x32x!llm.quant<q4_0>> from "blk.{layer}.q"
llm.weight @blk.k : !llm.weights<3x16x32x!llm.quant<q4_0>> from "blk.{layer}.k"
llm.weight @blk.v : !llm.weights<3x16x32x!llm.quant<q4_0|q8_0>> from "blk.{layer}.v" formats [0, 1, 0]
llm.weight @blk.o : !llm.weights<3x32x32x!llm.quant<q4_0>> from "blk.{layer}.o"
llm.weight @blk.gate : !llm.weights<3x64x32x!llm.quant<q4_0>> from "blk.{layer}.gate"
llm.weight @blk.up : !llm.weights<3x64x32x!llm.quant<q4_0>> from "blk.{layer}.up"
llm.weight @blk.down : !llm.weights<3x32x64xf16> from "blk.{layer}.down"
llm.state @kv : !llm.kv_cache<layers = 3, kv_heads = 2, head_dim = 8, f16>

// CHECK-NOT: func.func private @layer
// CHECK-NOT: llm.layers
// CHECK-NOT: llm.weight_load
func.func private @layer(%x: tensor<?x32xf32>, %i: index, %batch: !llm.batch, %cs: tensor<?x8xf32>) -> tensor<?x32xf32> {
  %g = llm.weight_load @blk.gain[%i] : tensor<32xf32>
  %wq = llm.weight_load @blk.q[%i] : tensor<32x32x!llm.quant<q4_0>>
  %wk = llm.weight_load @blk.k[%i] : tensor<16x32x!llm.quant<q4_0>>
  %wv = llm.weight_load @blk.v[%i] : tensor<16x32x!llm.quant<q4_0|q8_0>>
  %q:3 = llm.linear %x [%wq, %wk, %wv] norm <rms, eps = 1.0e-5> %g
    : (tensor<?x32xf32>, tensor<32x32x!llm.quant<q4_0>>, tensor<16x32x!llm.quant<q4_0>>, tensor<16x32x!llm.quant<q4_0|q8_0>>, tensor<32xf32>)
    -> (tensor<?x32xf32>, tensor<?x16xf32>, tensor<?x16xf32>)
  %a = llm.attention %q#0, %q#1, %q#2, @kv[%i], %batch scale 0.5 rotary <half, dim = 8> %cs
    : (tensor<?x32xf32>, tensor<?x16xf32>, tensor<?x16xf32>, index, !llm.batch, tensor<?x8xf32>) -> tensor<?x32xf32>
  %wo = llm.weight_load @blk.o[%i] : tensor<32x32x!llm.quant<q4_0>>
  %h = llm.linear %a [%wo] residual %x : (tensor<?x32xf32>, tensor<32x32x!llm.quant<q4_0>>, tensor<?x32xf32>) -> tensor<?x32xf32>
  %wg = llm.weight_load @blk.gate[%i] : tensor<64x32x!llm.quant<q4_0>>
  %wu = llm.weight_load @blk.up[%i] : tensor<64x32x!llm.quant<q4_0>>
  %m = llm.linear %h [%wg, %wu] norm <rms, eps = 1.0e-5> %g activation silu glu
    : (tensor<?x32xf32>, tensor<64x32x!llm.quant<q4_0>>, tensor<64x32x!llm.quant<q4_0>>, tensor<32xf32>) -> tensor<?x64xf32>
  %wd = llm.weight_load @blk.down[%i] : tensor<32x64xf16>
  %y = llm.linear %m [%wd] residual %h : (tensor<?x64xf32>, tensor<32x64xf16>, tensor<?x32xf32>) -> tensor<?x32xf32>
  return %y : tensor<?x32xf32>
}

// CHECK-LABEL: func.func @step_4(
// CHECK-SAME: %[[STEP:[^:]*]]: !llvm.ptr, %{{.*}}: i64) attributes {llm.max_tokens = 4 : i64}
// CHECK-DAG: %[[LOGITS:.*]] = tile.field %[[STEP]] "logits"
// CHECK-DAG: %[[HIDDEN:.*]] = tile.field %[[STEP]] "hidden"
// Rows of the embedding and of the rope table share a loop over tokens.
// CHECK: %[[X:.*]] = tile.buffer %[[STEP]] bytes 512 name "embedding"
// CHECK: tile.buffer %[[STEP]] bytes 128 name "rope_table"
// CHECK: scf.forall
// CHECK: call @decode_row_0
// CHECK: call @rope_table_1
// CHECK: scf.for %[[I:.*]] =
// Norm and rounding share one more; the products of three weights are one loop.
// CHECK: scf.forall
// CHECK: tile.weight %[[STEP]] @blk.gain[%[[I]]]
// CHECK: call @norm_2
// CHECK: call @quantize_3
// CHECK: scf.forall
// CHECK: tile.lookup [0, 1, 0][%[[I]]]
// CHECK: call @linear_4
// Keys are appended before anybody attends.
// CHECK: scf.forall
// CHECK: tile.state %[[STEP]] @kv[%[[I]]] slot
// CHECK: call @prepare_5
// CHECK: scf.forall
// CHECK: call @attend_6
// CHECK: scf.forall
// CHECK: call @quantize_3
// CHECK: scf.forall
// CHECK: call @linear_7
// CHECK: scf.forall
// CHECK: call @norm_2
// CHECK: call @quantize_3
// CHECK: scf.forall
// CHECK: call @linear_8
// f16 weights take the rows as they are; the layer's result goes over its input.
// CHECK: scf.forall
// CHECK: call @linear_9({{.*}}, %[[X]]) :
// The last rows: wanted ones only, straight to where the caller wants them.
// CHECK: scf.forall
// CHECK: tile.field %[[STEP]] "row_tokens"
// CHECK: call @copy_10
// CHECK: tile.row %[[HIDDEN]]
// CHECK: call @norm_2
// CHECK: call @quantize_3
// CHECK: scf.forall
// CHECK: call @linear_11({{.*}}, %[[LOGITS]]) :
// CHECK: return

// Each kernel is declared once.
// CHECK: func.func private @decode_row_0({{.*}}#tile.decode_row<format = q8_0, inputs = 32>
// CHECK: func.func private @linear_4({{.*}}!llm.quant<q4_0|q8_0>>], arithmetic = int8, single = false
// CHECK: func.func private @linear_8({{.*}}glu = true
// CHECK: func.func private @linear_9({{.*}}arithmetic = f32
// CHECK-NOT: func.func private @quantize
func.func @step_4(%batch: !llm.batch) -> (tensor<?x64xf32>, tensor<?x32xf32>) attributes {llm.max_tokens = 4 : i64} {
  %t = llm.weight_load @embed : tensor<64x32x!llm.quant<q8_0>>
  %e = llm.embedding %batch, %t tokens : tensor<64x32x!llm.quant<q8_0>> -> tensor<?x32xf32>
  %cs = llm.rope_table %batch theta 1.0e4 -> tensor<?x8xf32>
  %x = llm.layers %e, %batch (%cs : tensor<?x8xf32>) kinds [@layer] order [0, 0, 0] : tensor<?x32xf32> -> tensor<?x32xf32>
  %r = llm.select_rows %x, %batch : tensor<?x32xf32> -> tensor<?x32xf32>
  %g = llm.weight_load @gain : tensor<32xf32>
  %n = llm.rms_norm %r, %g {eps = 1.0e-5} : tensor<?x32xf32>, tensor<32xf32>
  %l = llm.linear %n [%t] : (tensor<?x32xf32>, tensor<64x32x!llm.quant<q8_0>>) -> tensor<?x64xf32>
  return %l, %n : tensor<?x64xf32>, tensor<?x32xf32>
}
}
