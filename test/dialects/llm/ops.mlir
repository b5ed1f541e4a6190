// Every op, type and attribute is parsed, verified, printed, and read back the same.
// RUN: llmc-opt %s | llmc-opt | FileCheck %s
// RUN: llmc-opt %s --mlir-print-op-generic | llmc-opt | FileCheck %s

// CHECK: llm.asset @weights0 weights "model.safetensors"
llm.asset @weights0 weights "model.safetensors"
// CHECK: llm.asset @tok tokenizer "tokenizer.json"
llm.asset @tok tokenizer "tokenizer.json"
// CHECK: llm.asset @chat chat_template "chat_template.jinja"
llm.asset @chat chat_template "chat_template.jinja"
// CHECK: llm.asset @generation generation_config "generation_config.json"
llm.asset @generation generation_config "generation_config.json"

// CHECK: llm.weight @plain : !llm.weights<1x8xf32> from "norm.weight"
llm.weight @plain : !llm.weights<1x8xf32> from "norm.weight"
// CHECK: llm.weight @layered : !llm.weights<2x16x8xbf16> from "blk.{layer}.w" layers [1, 3]
llm.weight @layered : !llm.weights<2x16x8xbf16> from "blk.{layer}.w" layers [1, 3]
// CHECK: llm.weight @part : !llm.weights<2x16x8xf16> from "blk.{layer}.qkv" transpose rows [16, 32]
llm.weight @part : !llm.weights<2x16x8xf16> from "blk.{layer}.qkv" transpose rows [16, 32]
// CHECK: llm.weight @turns : !llm.weights<1x4x8xf32> from "qz" rows [2, 10, 6, 2]
llm.weight @turns : !llm.weights<1x4x8xf32> from "qz" rows [2, 10, 6, 2]
// CHECK: llm.weight @bias_turns : !llm.weights<1x4xf32> from "qkv.bias" rows [2, 10, 6, 2]
llm.weight @bias_turns : !llm.weights<1x4xf32> from "qkv.bias" rows [2, 10, 6, 2]
// CHECK: llm.weight @slopes : !llm.weights<1x2xf32> from "" values [5.000000e-01, 1.250000e-01]
llm.weight @slopes : !llm.weights<1x2xf32> from "" values [0.5, 0.125]
// CHECK: llm.weight @ones : !llm.weights<1x8xf32> from "" values [1.000000e+00]
llm.weight @ones : !llm.weights<1x8xf32> from "" values [1.0]
// CHECK: llm.weight @shared : !llm.weights<2x8xf32> from "" layers [1, 3, 5] entries [0, 1, 0] names ["a", "b"]
llm.weight @shared : !llm.weights<2x8xf32> from "" layers [1, 3, 5] entries [0, 1, 0] names ["a", "b"]
// CHECK: llm.weight @mixed : !llm.weights<3x16x256x!llm.quant<q4_k|q6_k>> from "blk.{layer}.v" formats [0, 1, 0]
llm.weight @mixed : !llm.weights<3x16x256x!llm.quant<q4_k|q6_k>> from "blk.{layer}.v" formats [0, 1, 0]
// CHECK: llm.weight @quant : !llm.weights<1x16x32x!llm.quant<q8_0>> from "head"
llm.weight @quant : !llm.weights<1x16x32x!llm.quant<q8_0>> from "head"

// CHECK: llm.state @kv : !llm.kv_cache<layers = 2, kv_heads = 1, head_dim = 4, f16>
llm.state @kv : !llm.kv_cache<layers = 2, kv_heads = 1, head_dim = 4, f16>
// CHECK: llm.state @kv_some : !llm.kv_cache<layers = 2, kv_heads = 1, head_dim = 4, f32> layers [1, 3]
llm.state @kv_some : !llm.kv_cache<layers = 2, kv_heads = 1, head_dim = 4, f32> layers [1, 3]

// CHECK-LABEL: @block(
func.func private @block(%x: tensor<?x8xf32>, %layer: index, %batch: !llm.batch, %cs: tensor<?x4xf32>) -> tensor<?x8xf32> {
  return %x : tensor<?x8xf32>
}

// CHECK-LABEL: @structure(
func.func @structure(%batch: !llm.batch, %layer: index, %cs: tensor<?x4xf32>, %x: tensor<?x8xf32>) -> tensor<?x8xf32> {
  // CHECK: llm.weight_load @plain : tensor<8xf32>
  %g = llm.weight_load @plain : tensor<8xf32>
  // CHECK: llm.weight_load @mixed[%{{.*}}] : tensor<16x256x!llm.quant<q4_k|q6_k>>
  %m = llm.weight_load @mixed[%layer] : tensor<16x256x!llm.quant<q4_k|q6_k>>
  // CHECK: llm.layers %{{.*}}, %{{.*}}(%{{.*}} : tensor<?x4xf32>) kinds [@block] order [0, 0] : tensor<?x8xf32> -> tensor<?x8xf32>
  %h = llm.layers %x, %batch (%cs : tensor<?x4xf32>) kinds [@block] order [0, 0] : tensor<?x8xf32> -> tensor<?x8xf32>
  // CHECK: llm.select_rows %{{.*}}, %{{.*}} : tensor<?x8xf32> -> tensor<?x8xf32>
  %y = llm.select_rows %h, %batch : tensor<?x8xf32> -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// CHECK-LABEL: @pointwise(
func.func @pointwise(%batch: !llm.batch, %x: tensor<?x8xf32>, %g: tensor<8xf32>, %head: tensor<4xf32>, %table: tensor<16x8xf16>) -> tensor<?x8xf32> {
  // CHECK: llm.embedding %{{.*}}, %{{.*}} tokens {scale = 2.000000e+00 : f32} : tensor<16x8xf16> -> tensor<?x8xf32>
  %e = llm.embedding %batch, %table tokens {scale = 2.0 : f32} : tensor<16x8xf16> -> tensor<?x8xf32>
  // CHECK: llm.embedding %{{.*}}, %{{.*}} positions {offset = 2 : i64} : tensor<16x8xf16> -> tensor<?x8xf32>
  %p = llm.embedding %batch, %table positions {offset = 2 : i64} : tensor<16x8xf16> -> tensor<?x8xf32>
  // CHECK: llm.rms_norm %{{.*}}, %{{.*}} {eps = 1.000000e-05 : f64} : tensor<?x8xf32>, tensor<8xf32>
  %n = llm.rms_norm %x, %g {eps = 1.0e-5 : f64} : tensor<?x8xf32>, tensor<8xf32>
  // CHECK: llm.rms_norm %{{.*}}, %{{.*}} {eps = 1.000000e-05 : f64, offset = 1.000000e+00 : f64} : tensor<?x8xf32>, tensor<4xf32>
  %nh = llm.rms_norm %n, %head {eps = 1.0e-5 : f64, offset = 1.0 : f64} : tensor<?x8xf32>, tensor<4xf32>
  // CHECK: llm.layer_norm %{{.*}}, %{{.*}}, %{{.*}} {eps = 1.000000e-05 : f64} : tensor<?x8xf32>, tensor<8xf32>, tensor<8xf32>
  %l = llm.layer_norm %nh, %g, %g {eps = 1.0e-5 : f64} : tensor<?x8xf32>, tensor<8xf32>, tensor<8xf32>
  // CHECK: llm.layer_norm %{{.*}}, %{{.*}} {eps = 1.000000e-05 : f64} : tensor<?x8xf32>, tensor<8xf32>{{$}}
  %l2 = llm.layer_norm %l, %g {eps = 1.0e-5 : f64} : tensor<?x8xf32>, tensor<8xf32>
  // CHECK: llm.activation gelu_tanh %{{.*}} : tensor<?x8xf32>
  %a = llm.activation gelu_tanh %l2 : tensor<?x8xf32>
  // CHECK: llm.glu silu %{{.*}}, %{{.*}} : tensor<?x8xf32>
  %u = llm.glu silu %a, %e : tensor<?x8xf32>
  // CHECK: llm.add %{{.*}}, %{{.*}} : tensor<?x8xf32>
  %s = llm.add %u, %p : tensor<?x8xf32>
  // CHECK: llm.scale %{{.*}} by 5.000000e-01 : tensor<?x8xf32>
  %c = llm.scale %s by 0.5 : tensor<?x8xf32>
  // CHECK: llm.softcap %{{.*}} cap 3.000000e+01 : tensor<?x8xf32>
  %y = llm.softcap %c cap 30.0 : tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// CHECK-LABEL: @linear(
func.func @linear(%x: tensor<?x8xf32>, %w: tensor<8x8xbf16>, %k: tensor<4x8xbf16>, %b: tensor<8xf32>, %bk: tensor<4xf32>, %r: tensor<?x8xf32>) -> tensor<?x8xf32> {
  // CHECK: llm.linear %{{.*}}[%{{.*}}, %{{.*}}] : (tensor<?x8xf32>, tensor<8x8xbf16>, tensor<4x8xbf16>) -> (tensor<?x8xf32>, tensor<?x4xf32>)
  %q, %v = llm.linear %x[%w, %k] : (tensor<?x8xf32>, tensor<8x8xbf16>, tensor<4x8xbf16>) -> (tensor<?x8xf32>, tensor<?x4xf32>)
  // CHECK: llm.linear %{{.*}}[%{{.*}}, %{{.*}}] bias[%{{.*}}, %{{.*}}] activation relu :
  %q2, %v2 = llm.linear %q[%w, %k] bias[%b, %bk] activation relu : (tensor<?x8xf32>, tensor<8x8xbf16>, tensor<4x8xbf16>, tensor<8xf32>, tensor<4xf32>) -> (tensor<?x8xf32>, tensor<?x4xf32>)
  // CHECK: llm.linear %{{.*}}[%{{.*}}] scale 5.000000e-01 softcap 3.000000e+01 top_k :
  %lg = llm.linear %q2[%w] scale 0.5 softcap 30.0 top_k : (tensor<?x8xf32>, tensor<8x8xbf16>) -> tensor<?x8xf32>
  // CHECK: llm.linear %{{.*}}[%{{.*}}, %{{.*}}] norm <rms, eps = 1.000000e-05, offset = 1.000000e+00> %{{.*}} activation silu glu residual %{{.*}} :
  %g = llm.linear %q2[%w, %w] norm <rms, eps = 1.0e-5, offset = 1.0> %b activation silu glu residual %r : (tensor<?x8xf32>, tensor<8x8xbf16>, tensor<8x8xbf16>, tensor<8xf32>, tensor<?x8xf32>) -> tensor<?x8xf32>
  // CHECK: llm.linear %{{.*}}[%{{.*}}] norm <layer, eps = 1.000000e-05> %{{.*}}, %{{.*}} :
  %y = llm.linear %g[%w] norm <layer, eps = 1.0e-5> %b, %b : (tensor<?x8xf32>, tensor<8x8xbf16>, tensor<8xf32>, tensor<8xf32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// CHECK-LABEL: @rope(
func.func @rope(%batch: !llm.batch, %x: tensor<?x8xf32>, %factors: tensor<2xf32>) -> tensor<?x8xf32> {
  // CHECK: llm.rope_table %{{.*}} theta 1.000000e+04 -> tensor<?x4xf32>
  %plain = llm.rope_table %batch theta 10000.0 -> tensor<?x4xf32>
  // CHECK: llm.rope_table %{{.*}}, %{{.*}} : tensor<2xf32> theta 1.000000e+04 scaling <linear, factor = 8.000000e+00> -> tensor<?x4xf32>
  %0 = llm.rope_table %batch, %factors : tensor<2xf32> theta 10000.0 scaling <linear, factor = 8.0> -> tensor<?x4xf32>
  // CHECK: scaling <llama3, factor = 8.000000e+00, low_freq_factor = 1.000000e+00, high_freq_factor = 4.000000e+00, original_max_positions = 8192>
  %1 = llm.rope_table %batch theta 500000.0 scaling <llama3, factor = 8.0, low_freq_factor = 1.0, high_freq_factor = 4.0, original_max_positions = 8192> -> tensor<?x4xf32>
  // CHECK: scaling <yarn, factor = 4.000000e+00, original_max_positions = 4096, beta_fast = 1.600000e+01, beta_slow = 2.000000e+00, attention_factor = 1.250000e+00, truncate = false>
  %2 = llm.rope_table %batch theta 10000.0 scaling <yarn, factor = 4.0, original_max_positions = 4096, beta_fast = 16.0, beta_slow = 2.0, attention_factor = 1.25, truncate = false> -> tensor<?x4xf32>
  // CHECK: scaling <dynamic, factor = 2.000000e+00, original_max_positions = 2048>
  %3 = llm.rope_table %batch theta 10000.0 scaling <dynamic, factor = 2.0, original_max_positions = 2048> -> tensor<?x4xf32>
  // CHECK: scaling <longrope, original_max_positions = 4096, short_factors = [1.000000e+00, 1.000000e+00], long_factors = [1.000000e+00, 2.000000e+00]>
  %4 = llm.rope_table %batch theta 10000.0 scaling <longrope, original_max_positions = 4096, short_factors = [1.0, 1.0], long_factors = [1.0, 2.0]> -> tensor<?x4xf32>
  // CHECK: llm.rope %{{.*}}, %{{.*}} <half, dim = 4> head_dim 8 : tensor<?x8xf32>, tensor<?x4xf32>
  %h = llm.rope %x, %plain <half, dim = 4> head_dim 8 : tensor<?x8xf32>, tensor<?x4xf32>
  // CHECK: llm.rope %{{.*}}, %{{.*}} <interleaved, dim = 4> head_dim 4 : tensor<?x8xf32>, tensor<?x4xf32>
  %y = llm.rope %h, %plain <interleaved, dim = 4> head_dim 4 : tensor<?x8xf32>, tensor<?x4xf32>
  return %y : tensor<?x8xf32>
}

// CHECK-LABEL: @attention(
func.func @attention(%batch: !llm.batch, %layer: index, %q: tensor<?x8xf32>, %k: tensor<?x4xf32>, %table: tensor<?x4xf32>, %gain: tensor<4xf32>) -> tensor<?x8xf32> {
  // CHECK: %[[SLOPES:.*]] = llm.weight_load @slopes
  %s = llm.weight_load @slopes : tensor<2xf32>
  // CHECK: llm.attention %{{.*}}, %{{.*}}, %{{.*}}, @kv[%{{.*}}], %{{.*}} scale 5.000000e-01 slopes %[[SLOPES]] :
  %slanted = llm.attention %q, %k, %k, @kv[%layer], %batch scale 0.5 slopes %s : (tensor<?x8xf32>, tensor<?x4xf32>, tensor<?x4xf32>, index, !llm.batch, tensor<2xf32>) -> tensor<?x8xf32>
  // CHECK: llm.attention %{{.*}}, %{{.*}}, %{{.*}}, @kv[%{{.*}}], %{{.*}} scale 5.000000e-01 :
  %a = llm.attention %q, %k, %k, @kv[%layer], %batch scale 0.5 : (tensor<?x8xf32>, tensor<?x4xf32>, tensor<?x4xf32>, index, !llm.batch) -> tensor<?x8xf32>
  // CHECK: norm <rms, eps = 1.000000e-05> %{{.*}}, %{{.*}} rotary <half, dim = 4> %{{.*}} {softcap = 5.000000e+01 : f64, window = 512 : i64}
  %y = llm.attention %a, %k, %k, @kv[%layer], %batch scale 0.5 norm <rms, eps = 1.0e-5> %gain, %gain rotary <half, dim = 4> %table {window = 512 : i64, softcap = 50.0 : f64} : (tensor<?x8xf32>, tensor<?x4xf32>, tensor<?x4xf32>, index, !llm.batch, tensor<?x4xf32>, tensor<4xf32>, tensor<4xf32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}
