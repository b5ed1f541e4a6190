// RUN: llmc-opt %s --tile-schedule | FileCheck %s
// RUN: llmc-opt %s --tile-schedule="bf16-attention=false" | FileCheck %s --check-prefix=FLOAT
// RUN: llmc-opt %s --tile-schedule="split-positions=false" | FileCheck %s --check-prefix=WHOLE

// One head of an f16 cache: one token is split by positions, many tokens go through the same parts in one tile. A cache of f32 stays f32.
// Of q8_0 it is the same kernel, where there are integer dot products.
// RUN: sed 's/head_dim = 32, f16/head_dim = 32, !llm.quant<q8_0>/' %s | llmc-opt --tile-schedule | FileCheck %s --check-prefix=BYTES
// BYTES-DAG: #tile.attend_runs<{{.*}}element = !llm.quant<q8_0>{{.*}}count = 1,
// BYTES-DAG: #tile.attend_runs<{{.*}}element = !llm.quant<q8_0>{{.*}}count = 12,
// BYTES-DAG: #tile.prepare<{{.*}}element = !llm.quant<q8_0>>
// RUN: sed 's/head_dim = 32, f16/head_dim = 32, !llm.quant<q8_0>/; s/dot = vnni/dot = avx2/' %s | llmc-opt --tile-schedule | FileCheck %s --check-prefix=PLAIN --implicit-check-not=attend_runs
// PLAIN: #tile.attend<{{.*}}element = !llm.quant<q8_0>
module attributes {tile.target = #tile.target<"x86-64-v4-bf16", vector = 512, dot = vnni, bf16 = true>} {
llm.asset @file weights "model.gguf"
llm.weight @embed : !llm.weights<1x64x128xf32> from "embed"
llm.state @kv : !llm.kv_cache<layers = 1, kv_heads = 1, head_dim = 32, f16>
llm.state @exact : !llm.kv_cache<layers = 1, kv_heads = 1, head_dim = 32, f32>

// CHECK-LABEL: func.func @step_1
// CHECK: call @prepare
// CHECK: scf.forall
// CHECK: call @[[ONE:attend_[0-9]+]]
// CHECK: scf.forall
// CHECK: call @[[MERGE:merge_parts_[0-9]+]]
// CHECK: call @prepare
// CHECK: call @[[EXACT:attend_[0-9]+]]
// CHECK-LABEL: func.func @step_8
// CHECK: call @[[MANY:attend_[0-9]+]]
// CHECK-NOT: call @merge_parts
// CHECK: return
// CHECK-DAG: @[[ONE]]({{.*}}#tile.attend_runs<{{.*}}group = 4, count = 1, q_bytes = 512, out_bytes = 512, split = true, partial = true>
// CHECK-DAG: @[[MERGE]]({{.*}}#tile.merge_parts<heads = 4, head_dim = 32
// CHECK-DAG: @[[MANY]]({{.*}}#tile.attend_runs<{{.*}}group = 4, count = 12, q_bytes = 512, out_bytes = 512, split = true>
// CHECK-DAG: @[[EXACT]]({{.*}}#tile.attend<{{.*}}element = f32

// FLOAT-NOT: attend_runs
// WHOLE-NOT: {{split = true|merge_parts}}
// WHOLE: #tile.attend_runs
// WHOLE-NOT: {{split = true|merge_parts}}
func.func private @layer(%q: tensor<?x128xf32>, %i: index, %batch: !llm.batch) -> tensor<?x128xf32> {
  %k = llm.columns %q from 0 : tensor<?x128xf32> -> tensor<?x32xf32>
  %a = llm.attention %q, %k, %k, @kv[%i], %batch scale 0.5 : (tensor<?x128xf32>, tensor<?x32xf32>, tensor<?x32xf32>, index, !llm.batch) -> tensor<?x128xf32>
  %b = llm.attention %a, %k, %k, @exact[%i], %batch scale 0.5 : (tensor<?x128xf32>, tensor<?x32xf32>, tensor<?x32xf32>, index, !llm.batch) -> tensor<?x128xf32>
  return %b : tensor<?x128xf32>
}
func.func @step_1(%batch: !llm.batch) -> tensor<?x128xf32> attributes {llm.max_tokens = 1 : i64} {
  %t = llm.weight_load @embed : tensor<64x128xf32>
  %x = llm.embedding %batch, %t tokens : tensor<64x128xf32> -> tensor<?x128xf32>
  %h = llm.layers %x, %batch kinds [@layer] order [0] : tensor<?x128xf32> -> tensor<?x128xf32>
  %y = llm.select_rows %h, %batch : tensor<?x128xf32> -> tensor<?x128xf32>
  return %y : tensor<?x128xf32>
}
func.func @step_8(%batch: !llm.batch) -> tensor<?x128xf32> attributes {llm.max_tokens = 8 : i64} {
  %t = llm.weight_load @embed : tensor<64x128xf32>
  %x = llm.embedding %batch, %t tokens : tensor<64x128xf32> -> tensor<?x128xf32>
  %h = llm.layers %x, %batch kinds [@layer] order [0] : tensor<?x128xf32> -> tensor<?x128xf32>
  %y = llm.select_rows %h, %batch : tensor<?x128xf32> -> tensor<?x128xf32>
  return %y : tensor<?x128xf32>
}
}
