// The element of attention caches can be chosen; latent attention keeps f16 where others get q8_0.
// RUN: llmc-opt %s --llm-specialize="cache-type=q8_0" | FileCheck %s --check-prefix=Q8
// RUN: llmc-opt %s --llm-specialize="cache-type=q8_0" --mlir-pass-statistics 2>&1 >/dev/null | FileCheck %s --check-prefix=STATS
// RUN: llmc-opt %s --llm-specialize="cache-type=f16" | FileCheck %s --check-prefix=F16
// RUN: llmc-opt %s --llm-specialize="exact cache-type=f32" | FileCheck %s --check-prefix=F32
// RUN: not llmc-opt %s --llm-specialize="exact cache-type=q8_0" 2>&1 | FileCheck %s --check-prefix=EXACT
// RUN: not llmc-opt %s --llm-specialize="cache-type=q4_0" 2>&1 | FileCheck %s --check-prefix=UNKNOWN

// Q8: llm.state @kv : !llm.kv_cache<layers = 2, kv_heads = 1, head_dim = 8, !llm.quant<q8_0>> layers [0, 2]
// Q8: llm.state @latent : !llm.kv_cache<layers = 1, kv_heads = 1, head_dim = 8, value_dim = 6, f16>
// STATS: (S) 1 quantised-caches
// F16: llm.state @kv : !llm.kv_cache<layers = 2, kv_heads = 1, head_dim = 8, f16>
// F16: llm.state @latent : !llm.kv_cache<{{.*}}value_dim = 6, f16>
// F32: llm.state @kv : !llm.kv_cache<layers = 2, kv_heads = 1, head_dim = 8, f32>
// F32: llm.state @latent : !llm.kv_cache<{{.*}}value_dim = 6, f32>
// EXACT: llm-specialize: with exact caches are f32, got cache-type q8_0
// UNKNOWN: llm-specialize: want cache-type f32, f16 or q8_0, got 'q4_0'

llm.asset @file weights "model.safetensors"
llm.weight @embed : !llm.weights<1x32x8xf32> from "embed"
llm.state @kv : !llm.kv_cache<layers = 2, kv_heads = 1, head_dim = 8, f16> layers [0, 2]
llm.state @latent : !llm.kv_cache<layers = 1, kv_heads = 1, head_dim = 8, value_dim = 6, f16> layers [1]
func.func @step(%batch: !llm.batch) -> tensor<?x8xf32> {
  %t = llm.weight_load @embed : tensor<32x8xf32>
  %e = llm.embedding %batch, %t tokens : tensor<32x8xf32> -> tensor<?x8xf32>
  return %e : tensor<?x8xf32>
}
