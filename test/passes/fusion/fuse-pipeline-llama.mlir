// RUN: llmc-opt %s --llm-simplify-pipeline --llm-fuse-pipeline | FileCheck %s
// RUN: llmc-opt %s --llm-simplify-pipeline --llm-fuse-pipeline --mlir-pass-statistics 2>&1 >/dev/null | FileCheck %s --check-prefix=STATS

// A llama block: grouped heads, SiLU-gated MLP. Twenty ops become four.

// STATS-DAG: (S) 1 fused-ropes
// STATS-DAG: (S) 1 fused-glus
// STATS-DAG: (S) 2 fused-norms
// STATS-DAG: (S) 3 merged-linears
// STATS-DAG: (S) 2 fused-residuals

llm.weight @attn_norm : !llm.weights<2x64xf32> from "blk.{layer}.attn_norm.weight"
llm.weight @q : !llm.weights<2x64x64xbf16> from "blk.{layer}.attn_q.weight"
llm.weight @k : !llm.weights<2x32x64xbf16> from "blk.{layer}.attn_k.weight"
llm.weight @v : !llm.weights<2x32x64xbf16> from "blk.{layer}.attn_v.weight"
llm.weight @o : !llm.weights<2x64x64xbf16> from "blk.{layer}.attn_output.weight"
llm.weight @mlp_norm : !llm.weights<2x64xf32> from "blk.{layer}.ffn_norm.weight"
llm.weight @gate : !llm.weights<2x96x64xbf16> from "blk.{layer}.ffn_gate.weight"
llm.weight @up : !llm.weights<2x96x64xbf16> from "blk.{layer}.ffn_up.weight"
llm.weight @down : !llm.weights<2x64x96xbf16> from "blk.{layer}.ffn_down.weight"
llm.state @kv : !llm.kv_cache<layers = 2, kv_heads = 2, head_dim = 16, f16>

// CHECK-LABEL: @block
// CHECK-SAME: (%[[X:[^:]*]]: tensor<?x64xf32>, %[[I:[^:]*]]: index, %[[BATCH:[^:]*]]: !llm.batch, %[[CS:[^:]*]]: tensor
// CHECK-DAG: %[[AN:.*]] = llm.weight_load @attn_norm[%[[I]]]
// CHECK-DAG: %[[Q:.*]] = llm.weight_load @q[%[[I]]]
// CHECK-DAG: %[[K:.*]] = llm.weight_load @k[%[[I]]]
// CHECK-DAG: %[[V:.*]] = llm.weight_load @v[%[[I]]]
// CHECK: %[[QKV:.*]]:3 = llm.linear %[[X]][%[[Q]], %[[K]], %[[V]]] norm <rms, eps = 1.000000e-05> %[[AN]] :
// CHECK: %[[A:.*]] = llm.attention %[[QKV]]#0, %[[QKV]]#1, %[[QKV]]#2, @kv[%[[I]]], %[[BATCH]] scale 2.500000e-01 rotary <half, dim = 16> %[[CS]]
// CHECK: %[[H:.*]] = llm.linear %[[A]][%{{.*}}] residual %[[X]] :
// CHECK: %[[MN:.*]] = llm.weight_load @mlp_norm
// CHECK: %[[GATE:.*]] = llm.weight_load @gate
// CHECK: %[[UP:.*]] = llm.weight_load @up
// CHECK: %[[GU:.*]] = llm.linear %[[H]][%[[GATE]], %[[UP]]] norm <rms, eps = 1.000000e-05> %[[MN]] activation silu glu :
// CHECK: %[[Y:.*]] = llm.linear %[[GU]][%{{.*}}] residual %[[H]] :
// CHECK-NEXT: return %[[Y]]
func.func @block(%x: tensor<?x64xf32>, %i: index, %batch: !llm.batch, %cs: tensor<?x16xf32>) -> tensor<?x64xf32> {
  %g0 = llm.weight_load @attn_norm[%i] : tensor<64xf32>
  %n0 = llm.rms_norm %x, %g0 {eps = 1.0e-5} : tensor<?x64xf32>, tensor<64xf32>
  %wq = llm.weight_load @q[%i] : tensor<64x64xbf16>
  %q = llm.linear %n0 [%wq] : (tensor<?x64xf32>, tensor<64x64xbf16>) -> tensor<?x64xf32>
  %wk = llm.weight_load @k[%i] : tensor<32x64xbf16>
  %k = llm.linear %n0 [%wk] : (tensor<?x64xf32>, tensor<32x64xbf16>) -> tensor<?x32xf32>
  %wv = llm.weight_load @v[%i] : tensor<32x64xbf16>
  %v = llm.linear %n0 [%wv] : (tensor<?x64xf32>, tensor<32x64xbf16>) -> tensor<?x32xf32>
  %qr = llm.rope %q, %cs <half, dim = 16> head_dim 16 : tensor<?x64xf32>, tensor<?x16xf32>
  %kr = llm.rope %k, %cs <half, dim = 16> head_dim 16 : tensor<?x32xf32>, tensor<?x16xf32>
  %a = llm.attention %qr, %kr, %v, @kv[%i], %batch scale 0.25
    : (tensor<?x64xf32>, tensor<?x32xf32>, tensor<?x32xf32>, index, !llm.batch) -> tensor<?x64xf32>
  %wo = llm.weight_load @o[%i] : tensor<64x64xbf16>
  %o = llm.linear %a [%wo] : (tensor<?x64xf32>, tensor<64x64xbf16>) -> tensor<?x64xf32>
  %h = llm.add %x, %o : tensor<?x64xf32>
  %g1 = llm.weight_load @mlp_norm[%i] : tensor<64xf32>
  %n1 = llm.rms_norm %h, %g1 {eps = 1.0e-5} : tensor<?x64xf32>, tensor<64xf32>
  %wg = llm.weight_load @gate[%i] : tensor<96x64xbf16>
  %gate = llm.linear %n1 [%wg] : (tensor<?x64xf32>, tensor<96x64xbf16>) -> tensor<?x96xf32>
  %wu = llm.weight_load @up[%i] : tensor<96x64xbf16>
  %up = llm.linear %n1 [%wu] : (tensor<?x64xf32>, tensor<96x64xbf16>) -> tensor<?x96xf32>
  %gu = llm.glu silu %gate, %up : tensor<?x96xf32>
  %wd = llm.weight_load @down[%i] : tensor<64x96xbf16>
  %d = llm.linear %gu [%wd] : (tensor<?x96xf32>, tensor<64x96xbf16>) -> tensor<?x64xf32>
  %y = llm.add %h, %d : tensor<?x64xf32>
  return %y : tensor<?x64xf32>
}
