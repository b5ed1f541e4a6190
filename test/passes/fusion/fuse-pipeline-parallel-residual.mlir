// RUN: llmc-opt %s --llm-simplify-pipeline --llm-fuse-pipeline | FileCheck %s
// RUN: llmc-opt %s --llm-simplify-pipeline --llm-fuse-pipeline --mlir-pass-statistics 2>&1 >/dev/null | FileCheck %s --check-prefix=STATS

// Attention and MLP read one norm and are added together. The norm has two readers, Q/K/V and gate/up, and stays; of the
// two sums the inner one goes into a product, and the outer one finds a residual there already.

// STATS-DAG: (S) 1 shared-norms
// STATS-DAG: (S) 1 fused-glus
// STATS-DAG: (S) 1 fused-ropes
// STATS-DAG: (S) 3 merged-linears
// STATS-DAG: (S) 1 fused-residuals

// CHECK-LABEL: @block
// CHECK-SAME: (%[[X:[^:]*]]: tensor<?x64xf32>
// CHECK: %[[N:.*]] = llm.layer_norm %[[X]]
// CHECK: %[[QKV:.*]]:3 = llm.linear %[[N]][%{{[^,]*}}, %{{[^,]*}}, %{{[^,]*}}] :
// CHECK: %[[A:.*]] = llm.attention %[[QKV]]#0, %[[QKV]]#1, %[[QKV]]#2, {{.*}} rotary <interleaved, dim = 8>
// CHECK: %[[O:.*]] = llm.linear %[[A]][%{{[^,]*}}] :
// CHECK: %[[GU:.*]] = llm.linear %[[N]][%{{[^,]*}}, %{{[^,]*}}] activation silu glu :
// CHECK: %[[S:.*]] = llm.linear %[[GU]][%{{[^,]*}}] residual %[[O]] :
// CHECK: %[[Y:.*]] = llm.add %[[X]], %[[S]]
// CHECK-NEXT: return %[[Y]]
llm.weight @norm : !llm.weights<2x64xf32> from "norm.{layer}"
llm.weight @q : !llm.weights<2x64x64xf16> from "q.{layer}"
llm.weight @k : !llm.weights<2x64x64xf16> from "k.{layer}"
llm.weight @v : !llm.weights<2x64x64xf16> from "v.{layer}"
llm.weight @o : !llm.weights<2x64x64xf16> from "o.{layer}"
llm.weight @gate : !llm.weights<2x96x64xf16> from "gate.{layer}"
llm.weight @up : !llm.weights<2x96x64xf16> from "up.{layer}"
llm.weight @down : !llm.weights<2x64x96xf16> from "down.{layer}"
llm.state @kv : !llm.kv_cache<layers = 2, kv_heads = 4, head_dim = 16, f16>
func.func @block(%x: tensor<?x64xf32>, %i: index, %batch: !llm.batch, %cs: tensor<?x8xf32>) -> tensor<?x64xf32> {
  %g = llm.weight_load @norm[%i] : tensor<64xf32>
  %n = llm.layer_norm %x, %g {eps = 1.0e-5} : tensor<?x64xf32>, tensor<64xf32>
  %wq = llm.weight_load @q[%i] : tensor<64x64xf16>
  %wk = llm.weight_load @k[%i] : tensor<64x64xf16>
  %wv = llm.weight_load @v[%i] : tensor<64x64xf16>
  %q = llm.linear %n [%wq] : (tensor<?x64xf32>, tensor<64x64xf16>) -> tensor<?x64xf32>
  %k = llm.linear %n [%wk] : (tensor<?x64xf32>, tensor<64x64xf16>) -> tensor<?x64xf32>
  %v = llm.linear %n [%wv] : (tensor<?x64xf32>, tensor<64x64xf16>) -> tensor<?x64xf32>
  %qr = llm.rope %q, %cs <interleaved, dim = 8> head_dim 16 : tensor<?x64xf32>, tensor<?x8xf32>
  %kr = llm.rope %k, %cs <interleaved, dim = 8> head_dim 16 : tensor<?x64xf32>, tensor<?x8xf32>
  %a = llm.attention %qr, %kr, %v, @kv[%i], %batch scale 0.25
    : (tensor<?x64xf32>, tensor<?x64xf32>, tensor<?x64xf32>, index, !llm.batch) -> tensor<?x64xf32>
  %wo = llm.weight_load @o[%i] : tensor<64x64xf16>
  %o = llm.linear %a [%wo] : (tensor<?x64xf32>, tensor<64x64xf16>) -> tensor<?x64xf32>
  %wg = llm.weight_load @gate[%i] : tensor<96x64xf16>
  %gate = llm.linear %n [%wg] : (tensor<?x64xf32>, tensor<96x64xf16>) -> tensor<?x96xf32>
  %wu = llm.weight_load @up[%i] : tensor<96x64xf16>
  %up = llm.linear %n [%wu] : (tensor<?x64xf32>, tensor<96x64xf16>) -> tensor<?x96xf32>
  %gu = llm.glu silu %gate, %up : tensor<?x96xf32>
  %wd = llm.weight_load @down[%i] : tensor<64x96xf16>
  %d = llm.linear %gu [%wd] : (tensor<?x96xf32>, tensor<64x96xf16>) -> tensor<?x64xf32>
  %s = llm.add %o, %d : tensor<?x64xf32>
  %y = llm.add %x, %s : tensor<?x64xf32>
  return %y : tensor<?x64xf32>
}
