// RUN: llmc-opt %s --tile-schedule | FileCheck %s
// RUN: llmc-opt %s --tile-schedule --tile-plan-memory --tile-form-workers --tile-profile | FileCheck %s --check-prefix=SITES

// The step chooses: the keys of all panels, the best panels of each row, those panels again; or all logits.
module attributes {tile.target = #tile.target<"x86-64-v3", vector = 256, dot = avx2>} {
llm.asset @file weights "model.gguf"
llm.weight @embed : !llm.weights<1x2100x32x!llm.quant<q8_0>> from "embed"
llm.state @kv : !llm.kv_cache<layers = 1, kv_heads = 2, head_dim = 8, f16>

// 2100 outputs are 132 panels, two blocks of keys.
// CHECK-LABEL: func.func @step_4(
// CHECK-SAME: tile.best_rows = 4
// CHECK: %[[KEYS:.*]] = tile.buffer %{{.*}} bytes 4096 name "keys"
// CHECK: %[[BEST:.*]] = tile.field %{{.*}} "best" : i64
// CHECK: %[[SOME:.*]] = arith.cmpi sgt, %[[BEST]], %{{.*}}
// CHECK: scf.if %[[SOME]]
// CHECK: scf.forall
// CHECK: call @linear_[[KEYED:[0-9]+]](%{{.*}}, %[[KEYS]])
// CHECK: %[[PANELS:.*]] = tile.field %{{.*}} "best_panels"
// CHECK: scf.forall
// CHECK: %[[ROW:.*]] = tile.row %[[KEYS]][%{{.*}}] bytes 1024
// CHECK: call @best_panels_{{[0-9]+}}(%[[BEST]], %[[ROW]], %{{.*}})
// CHECK: scf.forall
// CHECK: %[[PANEL:.*]] = tile.entry %[[PANELS]]
// CHECK: call @linear_{{[0-9]+}}(%[[PANEL]], {{.*}}) {tile.calls = 132 : i64}
// CHECK: } else {
// CHECK: scf.forall
// CHECK: call @linear_{{[0-9]+}}(
// CHECK-DAG: func.func private @linear_[[KEYED]]({{.*}}scale = 5.000000e-01, softcap = 3.000000e+01, results = keys
// CHECK-DAG: results = panel
// CHECK-DAG: #tile.best_panels<outputs = 2100>

// What the single panels read is counted.
// SITES: tile.sites = [{{.*}}name = "linear @embed"{{.*}}name = "best_panels"{{.*}}name = "linear @embed"{{.*}}weight_calls = 132{{.*}}name = "linear @embed"
func.func @step_4(%batch: !llm.batch) -> (tensor<?x2100xf32>, tensor<?x32xf32>) attributes {llm.max_tokens = 4 : i64} {
  %w = llm.weight_load @embed : tensor<2100x32x!llm.quant<q8_0>>
  %x = llm.embedding %batch, %w tokens : tensor<2100x32x!llm.quant<q8_0>> -> tensor<?x32xf32>
  %h = llm.select_rows %x, %batch : tensor<?x32xf32> -> tensor<?x32xf32>
  %y = llm.linear %h [%w] scale 0.5 softcap 30.0 top_k : (tensor<?x32xf32>, tensor<2100x32x!llm.quant<q8_0>>) -> tensor<?x2100xf32>
  return %y, %h : tensor<?x2100xf32>, tensor<?x32xf32>
}
}
