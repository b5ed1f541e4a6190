// RUN: llmc-opt %s --llm-simplify-pipeline --llm-fuse-pipeline | FileCheck %s
// RUN: llmc-opt %s --llm-simplify-pipeline --llm-fuse-pipeline --mlir-pass-statistics 2>&1 >/dev/null | FileCheck %s --check-prefix=STATS

// A gemma3 block: norms before and after both halves, norms of heads, gains stored less one, GELU-gated MLP. The norms
// after attention and MLP stand between product and sum, so both stay.

// STATS-DAG: (S) 1 fused-ropes
// STATS-DAG: (S) 1 fused-norms - attentions
// STATS-DAG: (S) 2 fused-norms - norms
// STATS-DAG: (S) 1 fused-glus
// STATS-DAG: (S) 3 merged-linears

// CHECK-LABEL: @block
// CHECK-SAME: (%[[X:[^:]*]]: tensor<?x64xf32>, %[[I:[^:]*]]: index, %[[BATCH:[^:]*]]: !llm.batch, %[[CS:[^:]*]]: tensor
// CHECK: %[[QKV:.*]]:3 = llm.linear %[[X]][%{{.*}}, %{{.*}}, %{{.*}}] norm <rms, eps = {{[^,>]*}}, offset = 1.000000e+00> %{{.*}} :
// CHECK: %[[A:.*]] = llm.attention %[[QKV]]#0, %[[QKV]]#1, %[[QKV]]#2, @kv[%[[I]]], %[[BATCH]] scale 2.500000e-01 norm <rms, eps = {{[^,>]*}}, offset = 1.000000e+00> %{{.*}}, %{{.*}} rotary <half, dim = 16> %[[CS]] {window = 8 : i64}
// CHECK: %[[O:.*]] = llm.linear %[[A]][%{{[^,]*}}] :
// CHECK: %[[PA:.*]] = llm.rms_norm %[[O]]
// CHECK: %[[H:.*]] = llm.add %[[X]], %[[PA]]
// CHECK: %[[GATE:.*]] = llm.weight_load @gate
// CHECK: %[[UP:.*]] = llm.weight_load @up
// CHECK: %[[GU:.*]] = llm.linear %[[H]][%[[GATE]], %[[UP]]] norm <rms, eps = {{[^,>]*}}, offset = 1.000000e+00> %{{.*}} activation gelu_tanh glu :
// CHECK: %[[D:.*]] = llm.linear %[[GU]][%{{[^,]*}}] :
// CHECK: %[[PM:.*]] = llm.rms_norm %[[D]]
// CHECK: %[[Y:.*]] = llm.add %[[H]], %[[PM]]
// CHECK-NEXT: return %[[Y]]
llm.weight @norm : !llm.weights<4x64xf32> from "norm.{layer}"
llm.weight @head_norm : !llm.weights<4x16xf32> from "head_norm.{layer}"
llm.weight @post_norm : !llm.weights<4x64xf32> from "post_norm.{layer}"
llm.weight @q : !llm.weights<4x64x64x!llm.quant<q5_0|q8_0>> from "q.{layer}" formats [0, 0, 1, 0]
llm.weight @k : !llm.weights<4x16x64xbf16> from "k.{layer}"
llm.weight @v : !llm.weights<4x16x64xbf16> from "v.{layer}"
llm.weight @o : !llm.weights<4x64x64xbf16> from "o.{layer}"
llm.weight @gate : !llm.weights<4x96x64xbf16> from "gate.{layer}"
llm.weight @up : !llm.weights<4x96x64xbf16> from "up.{layer}"
llm.weight @down : !llm.weights<4x64x96xbf16> from "down.{layer}"
llm.state @kv : !llm.kv_cache<layers = 4, kv_heads = 1, head_dim = 16, f16>
func.func @block(%x: tensor<?x64xf32>, %i: index, %batch: !llm.batch, %cs: tensor<?x16xf32>) -> tensor<?x64xf32> {
  %g0 = llm.weight_load @norm[%i] : tensor<64xf32>
  %n0 = llm.rms_norm %x, %g0 {eps = 1.0e-6, offset = 1.0} : tensor<?x64xf32>, tensor<64xf32>
  %wq = llm.weight_load @q[%i] : tensor<64x64x!llm.quant<q5_0|q8_0>>
  %wk = llm.weight_load @k[%i] : tensor<16x64xbf16>
  %wv = llm.weight_load @v[%i] : tensor<16x64xbf16>
  %q = llm.linear %n0 [%wq] : (tensor<?x64xf32>, tensor<64x64x!llm.quant<q5_0|q8_0>>) -> tensor<?x64xf32>
  %gh = llm.weight_load @head_norm[%i] : tensor<16xf32>
  %qn = llm.rms_norm %q, %gh {eps = 1.0e-6, offset = 1.0} : tensor<?x64xf32>, tensor<16xf32>
  %qr = llm.rope %qn, %cs <half, dim = 16> head_dim 16 : tensor<?x64xf32>, tensor<?x16xf32>
  %k = llm.linear %n0 [%wk] : (tensor<?x64xf32>, tensor<16x64xbf16>) -> tensor<?x16xf32>
  %kn = llm.rms_norm %k, %gh {eps = 1.0e-6, offset = 1.0} : tensor<?x16xf32>, tensor<16xf32>
  %kr = llm.rope %kn, %cs <half, dim = 16> head_dim 16 : tensor<?x16xf32>, tensor<?x16xf32>
  %v = llm.linear %n0 [%wv] : (tensor<?x64xf32>, tensor<16x64xbf16>) -> tensor<?x16xf32>
  %a = llm.attention %qr, %kr, %v, @kv[%i], %batch scale 0.25 {window = 8 : i64}
    : (tensor<?x64xf32>, tensor<?x16xf32>, tensor<?x16xf32>, index, !llm.batch) -> tensor<?x64xf32>
  %wo = llm.weight_load @o[%i] : tensor<64x64xbf16>
  %o = llm.linear %a [%wo] : (tensor<?x64xf32>, tensor<64x64xbf16>) -> tensor<?x64xf32>
  %gp = llm.weight_load @post_norm[%i] : tensor<64xf32>
  %pa = llm.rms_norm %o, %gp {eps = 1.0e-6, offset = 1.0} : tensor<?x64xf32>, tensor<64xf32>
  %h = llm.add %x, %pa : tensor<?x64xf32>
  %n1 = llm.rms_norm %h, %g0 {eps = 1.0e-6, offset = 1.0} : tensor<?x64xf32>, tensor<64xf32>
  %wg = llm.weight_load @gate[%i] : tensor<96x64xbf16>
  %wu = llm.weight_load @up[%i] : tensor<96x64xbf16>
  %up = llm.linear %n1 [%wu] : (tensor<?x64xf32>, tensor<96x64xbf16>) -> tensor<?x96xf32>
  %gate = llm.linear %n1 [%wg] : (tensor<?x64xf32>, tensor<96x64xbf16>) -> tensor<?x96xf32>
  %gu = llm.glu gelu_tanh %gate, %up : tensor<?x96xf32>
  %wd = llm.weight_load @down[%i] : tensor<64x96xbf16>
  %d = llm.linear %gu [%wd] : (tensor<?x96xf32>, tensor<64x96xbf16>) -> tensor<?x64xf32>
  %pm = llm.rms_norm %d, %gp {eps = 1.0e-6, offset = 1.0} : tensor<?x64xf32>, tensor<64xf32>
  %y = llm.add %h, %pm : tensor<?x64xf32>
  return %y : tensor<?x64xf32>
}
