// RUN: llmc-opt %s --llm-simplify-pipeline --llm-fuse-pipeline | FileCheck %s
// RUN: llmc-opt %s --llm-simplify-pipeline --llm-fuse-pipeline --mlir-pass-statistics 2>&1 >/dev/null | FileCheck %s --check-prefix=STATS

// A gpt2 block: layer norms, biases everywhere, learned positions (so no rope), a plain activation.

// STATS-NOT: fused-ropes
// STATS-DAG: (S) 1 fused-activations
// STATS-DAG: (S) 2 fused-norms
// STATS-DAG: (S) 2 merged-linears
// STATS-DAG: (S) 2 fused-residuals

// CHECK-LABEL: @block
// CHECK-SAME: (%[[X:[^:]*]]: tensor<?x64xf32>
// CHECK: %[[QKV:.*]]:3 = llm.linear %[[X]][%{{.*}}, %{{.*}}, %{{.*}}] bias[%{{.*}}, %{{.*}}, %{{.*}}] norm <layer, eps = 1.000000e-05> %{{.*}}, %{{.*}} :
// CHECK: %[[A:.*]] = llm.attention %[[QKV]]#0, %[[QKV]]#1, %[[QKV]]#2, {{.*}} scale 2.500000e-01 :
// CHECK: %[[H:.*]] = llm.linear %[[A]][%{{[^,]*}}] bias[%{{[^,]*}}] residual %[[X]] :
// CHECK: %[[F:.*]] = llm.linear %[[H]][%{{[^,]*}}] bias[%{{[^,]*}}] norm <layer, eps = 1.000000e-05> %{{.*}}, %{{.*}} activation gelu_tanh :
// CHECK: %[[Y:.*]] = llm.linear %[[F]][%{{[^,]*}}] bias[%{{[^,]*}}] residual %[[H]] :
// CHECK-NEXT: return %[[Y]]
llm.weight @ln : !llm.weights<2x64xf32> from "h.{layer}.ln_1.weight"
llm.weight @ln_b : !llm.weights<2x64xf32> from "h.{layer}.ln_1.bias"
llm.weight @q : !llm.weights<2x64x64xf32> from "h.{layer}.attn.c_attn.weight" transpose rows [0, 64]
llm.weight @k : !llm.weights<2x64x64xf32> from "h.{layer}.attn.c_attn.weight" transpose rows [64, 128]
llm.weight @v : !llm.weights<2x64x64xf32> from "h.{layer}.attn.c_attn.weight" transpose rows [128, 192]
llm.weight @qb : !llm.weights<2x64xf32> from "h.{layer}.attn.c_attn.bias" rows [0, 64]
llm.weight @kb : !llm.weights<2x64xf32> from "h.{layer}.attn.c_attn.bias" rows [64, 128]
llm.weight @vb : !llm.weights<2x64xf32> from "h.{layer}.attn.c_attn.bias" rows [128, 192]
llm.weight @o : !llm.weights<2x64x64xf32> from "h.{layer}.attn.c_proj.weight" transpose
llm.weight @fc : !llm.weights<2x96x64xf32> from "h.{layer}.mlp.c_fc.weight" transpose
llm.weight @fcb : !llm.weights<2x96xf32> from "h.{layer}.mlp.c_fc.bias"
llm.weight @proj : !llm.weights<2x64x96xf32> from "h.{layer}.mlp.c_proj.weight" transpose
llm.state @kv : !llm.kv_cache<layers = 2, kv_heads = 4, head_dim = 16, f16>
func.func @block(%x: tensor<?x64xf32>, %i: index, %batch: !llm.batch) -> tensor<?x64xf32> {
  %g = llm.weight_load @ln[%i] : tensor<64xf32>
  %b = llm.weight_load @ln_b[%i] : tensor<64xf32>
  %n0 = llm.layer_norm %x, %g, %b {eps = 1.0e-5} : tensor<?x64xf32>, tensor<64xf32>, tensor<64xf32>
  %wq = llm.weight_load @q[%i] : tensor<64x64xf32>
  %bq = llm.weight_load @qb[%i] : tensor<64xf32>
  %q = llm.linear %n0 [%wq] bias [%bq] : (tensor<?x64xf32>, tensor<64x64xf32>, tensor<64xf32>) -> tensor<?x64xf32>
  %wk = llm.weight_load @k[%i] : tensor<64x64xf32>
  %bk = llm.weight_load @kb[%i] : tensor<64xf32>
  %k = llm.linear %n0 [%wk] bias [%bk] : (tensor<?x64xf32>, tensor<64x64xf32>, tensor<64xf32>) -> tensor<?x64xf32>
  %wv = llm.weight_load @v[%i] : tensor<64x64xf32>
  %bv = llm.weight_load @vb[%i] : tensor<64xf32>
  %v = llm.linear %n0 [%wv] bias [%bv] : (tensor<?x64xf32>, tensor<64x64xf32>, tensor<64xf32>) -> tensor<?x64xf32>
  %a = llm.attention %q, %k, %v, @kv[%i], %batch scale 0.25
    : (tensor<?x64xf32>, tensor<?x64xf32>, tensor<?x64xf32>, index, !llm.batch) -> tensor<?x64xf32>
  %wo = llm.weight_load @o[%i] : tensor<64x64xf32>
  %o = llm.linear %a [%wo] bias [%b] : (tensor<?x64xf32>, tensor<64x64xf32>, tensor<64xf32>) -> tensor<?x64xf32>
  %h = llm.add %o, %x : tensor<?x64xf32>
  %n1 = llm.layer_norm %h, %g, %b {eps = 1.0e-5} : tensor<?x64xf32>, tensor<64xf32>, tensor<64xf32>
  %wf = llm.weight_load @fc[%i] : tensor<96x64xf32>
  %bf = llm.weight_load @fcb[%i] : tensor<96xf32>
  %f = llm.linear %n1 [%wf] bias [%bf] : (tensor<?x64xf32>, tensor<96x64xf32>, tensor<96xf32>) -> tensor<?x96xf32>
  %act = llm.activation gelu_tanh %f : tensor<?x96xf32>
  %wp = llm.weight_load @proj[%i] : tensor<64x96xf32>
  %p = llm.linear %act [%wp] bias [%b] : (tensor<?x96xf32>, tensor<64x96xf32>, tensor<64xf32>) -> tensor<?x64xf32>
  %y = llm.add %p, %h : tensor<?x64xf32>
  return %y : tensor<?x64xf32>
}
