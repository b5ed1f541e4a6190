// RUN: llmc-opt %s --llm-specialize | FileCheck %s
// RUN: llmc-opt %s --llm-specialize="tokens=1,8,64" | FileCheck %s --check-prefix=THREE
// RUN: llmc-opt %s --llm-specialize=exact | FileCheck %s --check-prefix=EXACT
// RUN: llmc-opt %s --llm-specialize="few=16" | FileCheck %s --implicit-check-not=@step_16
// RUN: llmc-opt %s --llm-specialize="few=16 few-of-halves" | FileCheck %s --check-prefix=FEW
// FEW: func.func @step_16(
// RUN: llmc-opt %s --llm-specialize --mlir-pass-statistics 2>&1 >/dev/null | FileCheck %s --check-prefix=STATS
// RUN: llmc-opt %s --llm-specialize=exact --mlir-pass-statistics 2>&1 >/dev/null | FileCheck %s --check-prefix=WIDE

// The step is copied for one token and for a chunk; the layers are not.
// STATS-DAG: (S) 2 versions
// WIDE-DAG: (S) 1 widened-caches

// bf16 weights: caches stay f16, unless exact.
// CHECK-NOT: llm.exact
// CHECK: llm.state @kv : !llm.kv_cache<layers = 1, kv_heads = 1, head_dim = 8, f16>
// CHECK: llm.state @wide : !llm.kv_cache<layers = 1, kv_heads = 1, head_dim = 8, f32>
// CHECK-COUNT-1: func.func private @layer
// CHECK-NOT: func.func private @layer
// CHECK-NOT: @step(
// CHECK: func.func @step_1(%{{.*}}: !llm.batch) -> (tensor<?x32xf32>, tensor<?x8xf32>) attributes {llm.max_tokens = 1 : i64}
// CHECK: func.func @step_512({{.*}} attributes {llm.max_tokens = 512 : i64}
// CHECK-NOT: @step

// THREE: func.func @step_1({{.*}} {llm.max_tokens = 1 : i64}
// THREE: func.func @step_8({{.*}} {llm.max_tokens = 8 : i64}
// THREE: func.func @step_64({{.*}} {llm.max_tokens = 64 : i64}

// EXACT: module attributes {{.*}}llm.exact
// EXACT: llm.state @kv : !llm.kv_cache<layers = 1, kv_heads = 1, head_dim = 8, f32>
// EXACT: llm.state @wide : !llm.kv_cache<layers = 1, kv_heads = 1, head_dim = 8, f32>

llm.asset @file weights "model.safetensors"
llm.weight @embed : !llm.weights<1x32x8xbf16> from "embed"
llm.state @kv : !llm.kv_cache<layers = 1, kv_heads = 1, head_dim = 8, f16>
llm.state @wide : !llm.kv_cache<layers = 1, kv_heads = 1, head_dim = 8, f32>
func.func private @layer(%x: tensor<?x8xf32>, %i: index, %batch: !llm.batch) -> tensor<?x8xf32> {
  %y = llm.attention %x, %x, %x, @kv[%i], %batch scale 0.5
    : (tensor<?x8xf32>, tensor<?x8xf32>, tensor<?x8xf32>, index, !llm.batch) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}
func.func @step(%batch: !llm.batch) -> (tensor<?x32xf32>, tensor<?x8xf32>) {
  %t = llm.weight_load @embed : tensor<32x8xbf16>
  %e = llm.embedding %batch, %t tokens : tensor<32x8xbf16> -> tensor<?x8xf32>
  %y = llm.layers %e, %batch kinds [@layer] order [0] : tensor<?x8xf32> -> tensor<?x8xf32>
  %r = llm.select_rows %y, %batch : tensor<?x8xf32> -> tensor<?x8xf32>
  %l = llm.linear %r [%t] : (tensor<?x8xf32>, tensor<32x8xbf16>) -> tensor<?x32xf32>
  return %l, %r : tensor<?x32xf32>, tensor<?x8xf32>
}
