// What types and attributes refuse.
// RUN: llmc-opt %s --split-input-file --verify-diagnostics

// quant: no such format
// expected-error @+1 {{unknown weight format 'q9_k'}}
llm.weight @w : !llm.weights<1x4x256x!llm.quant<q9_k>> from "w"

// -----

// quant: twice
// expected-error @+1 {{quant names q4_k twice}}
llm.weight @w : !llm.weights<1x4x256x!llm.quant<q4_k|q4_k>> from "w"

// -----

// quant: a float
// expected-error @+1 {{quant<f16> is a float: use the builtin type}}
llm.weight @w : !llm.weights<1x4x256x!llm.quant<f16>> from "w"

// -----

// weights: no shape
// expected-error @+1 {{weights need a layer count and a shape}}
llm.weight @w : !llm.weights<1xf32> from "w"

// -----

// weights: empty
// expected-error @+1 {{weights need positive dimensions}}
llm.weight @w : !llm.weights<1x0x4xf32> from "w"

// -----

// weights: rank
// expected-error @+1 {{weights are vectors, matrices or experts' matrices, got rank 4}}
llm.weight @w : !llm.weights<1x2x2x2x2xf32> from "w"

// -----

// weights: no product of dimensions overflows
// expected-error @+1 {{weights are too large: at most 65536 layers of 17592186044416 elements}}
llm.weight @w : !llm.weights<1x4194304x4194304x4194304xf32> from "w"

// -----

// weights: element
// expected-error @+1 {{weight element must be f32, f16, bf16 or !llm.quant, got 'i8'}}
llm.weight @w : !llm.weights<1x4xi8> from "w"

// -----

// weights: sizes that would overflow
// expected-error @+1 {{weights are too large}}
llm.weight @w : !llm.weights<1x4294967295x4294967295xf32> from "w"

// -----

// weights: layers that would overflow
// expected-error @+1 {{weights are too large}}
llm.weight @w : !llm.weights<1000000x4xf32> from "{layer}"

// -----

// kv_cache: sizes
// expected-error @+1 {{kv_cache needs positive layers, kv_heads and head_dim, each at most 65536}}
llm.state @s : !llm.kv_cache<layers = 0, kv_heads = 1, head_dim = 4, f32>

// -----

// kv_cache: large
// expected-error @+1 {{kv_cache needs positive layers}}
llm.state @s : !llm.kv_cache<layers = 2, kv_heads = 70000, head_dim = 4, f32>

// -----

// kv_cache: element
// expected-error @+1 {{kv_cache element must be f32, f16 or !llm.quant<q8_0>, got 'i8'}}
llm.state @s : !llm.kv_cache<layers = 2, kv_heads = 1, head_dim = 4, i8>

// -----

// kv_cache: another format
// expected-error @+1 {{kv_cache element must be f32, f16 or !llm.quant<q8_0>, got '!llm.quant<q4_0>'}}
llm.state @s : !llm.kv_cache<layers = 2, kv_heads = 1, head_dim = 4, !llm.quant<q4_0>>

// -----

// kv_cache: latent attention
// expected-error @+1 {{kv_cache with value_dim must be f32 or f16, got '!llm.quant<q8_0>'}}
llm.state @s : !llm.kv_cache<layers = 2, kv_heads = 1, head_dim = 8, value_dim = 4, !llm.quant<q8_0>>

// -----

// norm: eps
func.func @f(%x: tensor<?x8xf32>, %w: tensor<8x8xf32>, %g: tensor<8xf32>) -> tensor<?x8xf32> {
  // expected-error @+1 {{norm needs a positive eps and a finite offset}}
  %y = llm.linear %x[%w] norm <rms, eps = 0.0> %g : (tensor<?x8xf32>, tensor<8x8xf32>, tensor<8xf32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

// rotary: dim
func.func @f(%x: tensor<?x8xf32>, %t: tensor<?x3xf32>) -> tensor<?x8xf32> {
  // expected-error @+1 {{rotary dim must be even and positive, got 3}}
  %y = llm.rope %x, %t <half, dim = 3> head_dim 8 : tensor<?x8xf32>, tensor<?x3xf32>
  return %y : tensor<?x8xf32>
}

// -----

// rope_scaling: parameter
func.func @f(%b: !llm.batch) -> tensor<?x4xf32> {
  // expected-error @+1 {{unknown rope_scaling parameter 'speed'}}
  %y = llm.rope_table %b theta 100.0 scaling <linear, speed = 1.0> -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}

// -----

// rope_scaling: kind
func.func @f(%b: !llm.batch) -> tensor<?x4xf32> {
  // expected-error @+1 {{unknown rope scaling 'cubic'}}
  %y = llm.rope_table %b theta 100.0 scaling <cubic> -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}
