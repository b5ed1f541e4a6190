// RUN: llmc-opt %s --split-input-file --verify-diagnostics

// route_c1
func.func @f(%l: tensor<?x6xf32>, %b: tensor<5xf32>) {
  // expected-error @+1 {{results must have 3 columns}}
  %e, %w = llm.route softmax %l top 3 : (tensor<?x6xf32>) -> (tensor<?x2xi32>, tensor<?x2xf32>)
  return
}

// -----

// route_c2
func.func @f(%l: tensor<?x6xf32>, %b: tensor<5xf32>) {
  // expected-error @+1 {{bias must be [6]}}
  %e, %w = llm.route softmax %l bias %b top 2 : (tensor<?x6xf32>, tensor<5xf32>) -> (tensor<?x2xi32>, tensor<?x2xf32>)
  return
}

// -----

// route_c3: groups of equal size
func.func @f(%l: tensor<?x6xf32>, %b: tensor<5xf32>) {
  // expected-error @+1 {{needs groups that divide 6 experts}}
  %e, %w = llm.route softmax %l top 2 {groups = 4 : i64} : (tensor<?x6xf32>) -> (tensor<?x2xi32>, tensor<?x2xf32>)
  return
}

// -----

// route_c3: more than there are
func.func @f(%l: tensor<?x6xf32>, %b: tensor<5xf32>) {
  // expected-error @+1 {{1 <= top_groups <= groups}}
  %e, %w = llm.route softmax %l top 2 {groups = 2 : i64, top_groups = 3 : i64} : (tensor<?x6xf32>) -> (tensor<?x2xi32>, tensor<?x2xf32>)
  return
}

// -----

// route_c3: two scores to sum
func.func @f(%l: tensor<?x6xf32>, %b: tensor<5xf32>) {
  // expected-error @+1 {{top2_sum needs groups of two or more}}
  %e, %w = llm.route softmax %l top 2 {groups = 6 : i64, top_groups = 2 : i64, group_score = #llm<group_score top2_sum>} : (tensor<?x6xf32>) -> (tensor<?x2xi32>, tensor<?x2xf32>)
  return
}

// -----

// route_c4: more than may be chosen
func.func @f(%l: tensor<?x6xf32>, %b: tensor<5xf32>) {
  // expected-error @+1 {{needs 1 <= top <= 2 experts, of at most 4096}}
  %e, %w = llm.route softmax %l top 3 {groups = 3 : i64} : (tensor<?x6xf32>) -> (tensor<?x3xi32>, tensor<?x3xf32>)
  return
}

// -----

// route_c4: too many
func.func @f(%l: tensor<?x4097xf32>, %b: tensor<5xf32>) {
  // expected-error @+1 {{of at most 4096}}
  %e, %w = llm.route softmax %l top 2 : (tensor<?x4097xf32>) -> (tensor<?x2xi32>, tensor<?x2xf32>)
  return
}

// -----

// route_c5: epsilon
func.func @f(%l: tensor<?x6xf32>, %b: tensor<5xf32>) {
  // expected-error @+1 {{needs epsilon >= 0 and a finite scale}}
  %e, %w = llm.route softmax %l top 2 {epsilon = -1.0 : f64} : (tensor<?x6xf32>) -> (tensor<?x2xi32>, tensor<?x2xf32>)
  return
}

// -----

// route_c5: scale
func.func @f(%l: tensor<?x6xf32>, %b: tensor<5xf32>) {
  // expected-error @+1 {{needs epsilon >= 0 and a finite scale}}
  %e, %w = llm.route softmax %l top 2 {scale = 0x7FF0000000000000 : f64} : (tensor<?x6xf32>) -> (tensor<?x2xi32>, tensor<?x2xf32>)
  return
}

// -----

// experts_c1: inputs of up
func.func @f(%x: tensor<?x8xf32>, %l: tensor<?x4xf32>, %up: tensor<4x16x8xf32>, %down: tensor<4x8x16xf32>, %other: tensor<4x16x9xf32>, %bias: tensor<4x16x1xf32>, %short: tensor<4x15x1xf32>, %q: tensor<1x32x32x!llm.quant<q8_0>>) {
  %e, %w = llm.route softmax %l top 2 : (tensor<?x4xf32>) -> (tensor<?x2xi32>, tensor<?x2xf32>)
  // expected-error @+1 {{wants gate and up [E, F, 8] and down [E, 8, F]}}
  %y = llm.experts silu %x, %e, %w up %other down %down : (tensor<?x8xf32>, tensor<?x2xi32>, tensor<?x2xf32>, tensor<4x16x9xf32>, tensor<4x8x16xf32>) -> tensor<?x8xf32>
  return
}

// -----

// experts_c1: gate
func.func @f(%x: tensor<?x8xf32>, %l: tensor<?x4xf32>, %up: tensor<4x16x8xf32>, %down: tensor<4x8x16xf32>, %other: tensor<4x16x9xf32>, %bias: tensor<4x16x1xf32>, %short: tensor<4x15x1xf32>, %q: tensor<1x32x32x!llm.quant<q8_0>>) {
  %e, %w = llm.route softmax %l top 2 : (tensor<?x4xf32>) -> (tensor<?x2xi32>, tensor<?x2xf32>)
  // expected-error @+1 {{wants gate and up [E, F, 8] and down [E, 8, F]}}
  %y = llm.experts silu %x, %e, %w gate %down up %up down %down : (tensor<?x8xf32>, tensor<?x2xi32>, tensor<?x2xf32>, tensor<4x8x16xf32>, tensor<4x16x8xf32>, tensor<4x8x16xf32>) -> tensor<?x8xf32>
  return
}

// -----

// experts_c1: result
func.func @f(%x: tensor<?x8xf32>, %l: tensor<?x4xf32>, %up: tensor<4x16x8xf32>, %down: tensor<4x8x16xf32>, %other: tensor<4x16x9xf32>, %bias: tensor<4x16x1xf32>, %short: tensor<4x15x1xf32>, %q: tensor<1x32x32x!llm.quant<q8_0>>) {
  %e, %w = llm.route softmax %l top 2 : (tensor<?x4xf32>) -> (tensor<?x2xi32>, tensor<?x2xf32>)
  // expected-error @+1 {{wants gate and up [E, F, 8] and down [E, 9, F]}}
  %y = llm.experts silu %x, %e, %w up %up down %down : (tensor<?x8xf32>, tensor<?x2xi32>, tensor<?x2xf32>, tensor<4x16x8xf32>, tensor<4x8x16xf32>) -> tensor<?x9xf32>
  return
}

// -----

// experts_c2: shape
func.func @f(%x: tensor<?x8xf32>, %l: tensor<?x4xf32>, %up: tensor<4x16x8xf32>, %down: tensor<4x8x16xf32>, %other: tensor<4x16x9xf32>, %bias: tensor<4x16x1xf32>, %short: tensor<4x15x1xf32>, %q: tensor<1x32x32x!llm.quant<q8_0>>) {
  %e, %w = llm.route softmax %l top 2 : (tensor<?x4xf32>) -> (tensor<?x2xi32>, tensor<?x2xf32>)
  // expected-error @+1 {{biases must be floats, [E, F, 1]}}
  %y = llm.experts silu %x, %e, %w up %up bias %short down %down : (tensor<?x8xf32>, tensor<?x2xi32>, tensor<?x2xf32>, tensor<4x16x8xf32>, tensor<4x8x16xf32>, tensor<4x15x1xf32>) -> tensor<?x8xf32>
  return
}

// -----

// experts_c2: a bias of no gate
func.func @f(%x: tensor<?x8xf32>, %l: tensor<?x4xf32>, %up: tensor<4x16x8xf32>, %down: tensor<4x8x16xf32>, %other: tensor<4x16x9xf32>, %bias: tensor<4x16x1xf32>, %short: tensor<4x15x1xf32>, %q: tensor<1x32x32x!llm.quant<q8_0>>) {
  %e, %w = llm.route softmax %l top 2 : (tensor<?x4xf32>) -> (tensor<?x2xi32>, tensor<?x2xf32>)
  // expected-error @+1 {{biases must be floats, [E, F, 1]}}
  %y = "llm.experts"(%x, %e, %w, %up, %down, %bias) <{activation = #llm<activation silu>, operandSegmentSizes = array<i32: 1, 1, 1, 0, 1, 1, 1, 0, 0>}> : (tensor<?x8xf32>, tensor<?x2xi32>, tensor<?x2xf32>, tensor<4x16x8xf32>, tensor<4x8x16xf32>, tensor<4x16x1xf32>) -> tensor<?x8xf32>
  return
}

// -----

// experts_c3: as many logits as experts
func.func @f(%x: tensor<?x8xf32>, %l: tensor<?x5xf32>, %up: tensor<4x16x8xf32>, %down: tensor<4x8x16xf32>, %other: tensor<4x16x9xf32>, %bias: tensor<4x16x1xf32>, %short: tensor<4x15x1xf32>, %q: tensor<1x32x32x!llm.quant<q8_0>>) {
  %e, %w = llm.route softmax %l top 2 : (tensor<?x5xf32>) -> (tensor<?x2xi32>, tensor<?x2xf32>)
  // expected-error @+1 {{'experts' must be those of an llm.route over 4 logits}}
  %y = llm.experts silu %x, %e, %w up %up down %down : (tensor<?x8xf32>, tensor<?x2xi32>, tensor<?x2xf32>, tensor<4x16x8xf32>, tensor<4x8x16xf32>) -> tensor<?x8xf32>
  return
}

// -----

// experts_c3: a weight for each
func.func @f(%x: tensor<?x8xf32>, %l: tensor<?x4xf32>, %up: tensor<4x16x8xf32>, %down: tensor<4x8x16xf32>, %other: tensor<4x16x9xf32>, %bias: tensor<4x16x1xf32>, %short: tensor<4x15x1xf32>, %q: tensor<1x32x32x!llm.quant<q8_0>>) {
  %e, %w = llm.route softmax %l top 2 : (tensor<?x4xf32>) -> (tensor<?x2xi32>, tensor<?x2xf32>)
  // expected-error @+1 {{'experts' must be those of an llm.route over 4 logits}}
  %y = llm.experts silu %x, %e, %l up %up down %down : (tensor<?x8xf32>, tensor<?x2xi32>, tensor<?x4xf32>, tensor<4x16x8xf32>, tensor<4x8x16xf32>) -> tensor<?x8xf32>
  return
}

// -----

// experts_c3: numbers from elsewhere could be of no expert
func.func @f(%x: tensor<?x8xf32>, %e: tensor<?x2xi32>, %w: tensor<?x2xf32>, %up: tensor<4x16x8xf32>, %down: tensor<4x8x16xf32>) {
  // expected-error @+1 {{'experts' must be those of an llm.route over 4 logits}}
  %y = llm.experts silu %x, %e, %w up %up down %down : (tensor<?x8xf32>, tensor<?x2xi32>, tensor<?x2xf32>, tensor<4x16x8xf32>, tensor<4x8x16xf32>) -> tensor<?x8xf32>
  return
}

// -----

// experts_c4
func.func @f(%x: tensor<?x8xf32>, %l: tensor<?x4xf32>, %up: tensor<4x16x8xf32>, %down: tensor<4x8x16xf32>, %other: tensor<4x16x9xf32>, %bias: tensor<4x16x1xf32>, %short: tensor<4x15x1xf32>, %q: tensor<1x32x32x!llm.quant<q8_0>>) {
  %e, %w = llm.route softmax %l top 2 : (tensor<?x4xf32>) -> (tensor<?x2xi32>, tensor<?x2xf32>)
  // expected-error @+1 {{'limits' needs a gate and silu}}
  %y = llm.experts silu %x, %e, %w up %up down %down limits <alpha = 1.0, limit = 7.0, offset = 0.0> : (tensor<?x8xf32>, tensor<?x2xi32>, tensor<?x2xf32>, tensor<4x16x8xf32>, tensor<4x8x16xf32>) -> tensor<?x8xf32>
  return
}

// -----

// glu_limits: positive
func.func @f(%x: tensor<?x8xf32>, %l: tensor<?x4xf32>, %up: tensor<4x16x8xf32>, %down: tensor<4x8x16xf32>, %other: tensor<4x16x9xf32>, %bias: tensor<4x16x1xf32>, %short: tensor<4x15x1xf32>, %q: tensor<1x32x32x!llm.quant<q8_0>>) {
  %e, %w = llm.route softmax %l top 2 : (tensor<?x4xf32>) -> (tensor<?x2xi32>, tensor<?x2xf32>)
  // expected-error @+1 {{glu_limits needs positive alpha and limit and a finite offset}}
  %y = llm.experts silu %x, %e, %w gate %up up %up down %down limits <alpha = 0.0, limit = 7.0, offset = 0.0> : (tensor<?x8xf32>, tensor<?x2xi32>, tensor<?x2xf32>, tensor<4x16x8xf32>, tensor<4x16x8xf32>, tensor<4x8x16xf32>) -> tensor<?x8xf32>
  return
}

// -----

// grouped_linear_c1: groups
func.func @f(%x: tensor<?x12xf32>, %w: tensor<5x3x2xf32>, %b: tensor<3x4x1xf32>) {
  // expected-error @+1 {{weight must be [G, N, K] with G dividing 12 channels}}
  %y = llm.grouped_linear %x, %w : (tensor<?x12xf32>, tensor<5x3x2xf32>) -> tensor<?x15xf32>
  return
}

// -----

// grouped_linear_c1: inputs
func.func @f(%x: tensor<?x12xf32>, %w: tensor<3x5x5xf32>, %b: tensor<3x4x1xf32>) {
  // expected-error @+1 {{K at most a group}}
  %y = llm.grouped_linear %x, %w : (tensor<?x12xf32>, tensor<3x5x5xf32>) -> tensor<?x15xf32>
  return
}

// -----

// grouped_linear_c1: rank
func.func @f(%x: tensor<?x12xf32>, %w: tensor<15x12xf32>, %b: tensor<3x4x1xf32>) {
  // expected-error @+1 {{weight must be [G, N, K]}}
  %y = llm.grouped_linear %x, %w : (tensor<?x12xf32>, tensor<15x12xf32>) -> tensor<?x15xf32>
  return
}

// -----

// grouped_linear_c2
func.func @f(%x: tensor<?x12xf32>, %w: tensor<3x5x4xf32>, %b: tensor<3x4x1xf32>) {
  // expected-error @+1 {{bias must be floats [3, 5, 1]}}
  %y = llm.grouped_linear %x, %w bias %b : (tensor<?x12xf32>, tensor<3x5x4xf32>, tensor<3x4x1xf32>) -> tensor<?x15xf32>
  return
}

// -----

// grouped_linear_c3
func.func @f(%x: tensor<?x12xf32>, %w: tensor<3x5x4xf32>, %b: tensor<3x4x1xf32>) {
  // expected-error @+1 {{result must have 15 channels}}
  %y = llm.grouped_linear %x, %w : (tensor<?x12xf32>, tensor<3x5x4xf32>) -> tensor<?x16xf32>
  return
}

// -----

// clamp_c1
func.func @f(%x: tensor<?x8xf32>) {
  // expected-error @+1 {{'limit' must be positive}}
  %y = llm.clamp %x to 0.0 : tensor<?x8xf32>
  return
}

// -----

// latent_attention_c1: a cache with values of its own
llm.state @kv : !llm.kv_cache<layers = 1, kv_heads = 1, head_dim = 6, f32>
func.func @f(%b: !llm.batch, %l: index, %q: tensor<?x8xf32>, %ql: tensor<?x8xf32>, %kv: tensor<?x6xf32>, %g: tensor<4xf32>, %t: tensor<?x2xf32>) {
  // expected-error @+1 {{names no kv_cache state of one KV head with value_dim: @kv}}
  %y = llm.latent_attention %q, %ql, %kv, @kv[%l], %b scale 0.5 norm <rms, eps = 1.0e-6> %g rotary <half, dim = 2> %t : (tensor<?x8xf32>, tensor<?x8xf32>, tensor<?x6xf32>, tensor<4xf32>, tensor<?x2xf32>, index, !llm.batch) -> tensor<?x8xf32>
  return
}

// -----

// latent_attention_c1: channels
llm.state @kv : !llm.kv_cache<layers = 1, kv_heads = 1, head_dim = 7, value_dim = 4, f32>
func.func @f(%b: !llm.batch, %l: index, %q: tensor<?x8xf32>, %ql: tensor<?x8xf32>, %kv: tensor<?x6xf32>, %g: tensor<4xf32>, %t: tensor<?x2xf32>) {
  // expected-error @+1 {{kv has 6 channels, the cache 7}}
  %y = llm.latent_attention %q, %ql, %kv, @kv[%l], %b scale 0.5 norm <rms, eps = 1.0e-6> %g rotary <half, dim = 2> %t : (tensor<?x8xf32>, tensor<?x8xf32>, tensor<?x6xf32>, tensor<4xf32>, tensor<?x2xf32>, index, !llm.batch) -> tensor<?x8xf32>
  return
}

// -----

// latent_attention_c2: a query's heads have room for what turns
llm.state @kv : !llm.kv_cache<layers = 1, kv_heads = 1, head_dim = 6, value_dim = 4, f32>
func.func @f(%b: !llm.batch, %l: index, %q: tensor<?x2xf32>, %ql: tensor<?x8xf32>, %kv: tensor<?x6xf32>, %g: tensor<4xf32>, %t: tensor<?x2xf32>) {
  // expected-error @+1 {{q_latent must be [T, H * 4] and q [T, H * S] with S at least 2}}
  %y = llm.latent_attention %q, %ql, %kv, @kv[%l], %b scale 0.5 norm <rms, eps = 1.0e-6> %g rotary <half, dim = 2> %t : (tensor<?x2xf32>, tensor<?x8xf32>, tensor<?x6xf32>, tensor<4xf32>, tensor<?x2xf32>, index, !llm.batch) -> tensor<?x8xf32>
  return
}

// -----

// latent_attention_c4
llm.state @kv : !llm.kv_cache<layers = 1, kv_heads = 1, head_dim = 6, value_dim = 4, f32>
func.func @f(%b: !llm.batch, %l: index, %q: tensor<?x8xf32>, %ql: tensor<?x8xf32>, %kv: tensor<?x6xf32>, %g: tensor<4xf32>, %t: tensor<?x2xf32>) {
  // expected-error @+1 {{rotary dim must equal the table's columns}}
  %y = llm.latent_attention %q, %ql, %kv, @kv[%l], %b scale 0.5 norm <rms, eps = 1.0e-6> %g rotary <half, dim = 4> %t : (tensor<?x8xf32>, tensor<?x8xf32>, tensor<?x6xf32>, tensor<4xf32>, tensor<?x2xf32>, index, !llm.batch) -> tensor<?x8xf32>
  return
}

// -----

// latent_attention_c5: kind of norm
llm.state @kv : !llm.kv_cache<layers = 1, kv_heads = 1, head_dim = 6, value_dim = 4, f32>
func.func @f(%b: !llm.batch, %l: index, %q: tensor<?x8xf32>, %ql: tensor<?x8xf32>, %kv: tensor<?x6xf32>, %g: tensor<4xf32>, %t: tensor<?x2xf32>) {
  // expected-error @+1 {{'norm' must be an rms norm}}
  %y = llm.latent_attention %q, %ql, %kv, @kv[%l], %b scale 0.5 norm <layer, eps = 1.0e-6> %g rotary <half, dim = 2> %t : (tensor<?x8xf32>, tensor<?x8xf32>, tensor<?x6xf32>, tensor<4xf32>, tensor<?x2xf32>, index, !llm.batch) -> tensor<?x8xf32>
  return
}

// -----

// latent_attention_c5: gain
llm.state @kv : !llm.kv_cache<layers = 1, kv_heads = 1, head_dim = 6, value_dim = 4, f32>
func.func @f(%b: !llm.batch, %l: index, %q: tensor<?x8xf32>, %ql: tensor<?x8xf32>, %kv: tensor<?x6xf32>, %g: tensor<6xf32>, %t: tensor<?x2xf32>) {
  // expected-error @+1 {{gain must be [4]}}
  %y = llm.latent_attention %q, %ql, %kv, @kv[%l], %b scale 0.5 norm <rms, eps = 1.0e-6> %g rotary <half, dim = 2> %t : (tensor<?x8xf32>, tensor<?x8xf32>, tensor<?x6xf32>, tensor<6xf32>, tensor<?x2xf32>, index, !llm.batch) -> tensor<?x8xf32>
  return
}

// -----

// latent_attention_c6
llm.state @kv : !llm.kv_cache<layers = 1, kv_heads = 1, head_dim = 6, value_dim = 4, f32>
func.func @f(%b: !llm.batch, %l: index, %q: tensor<?x8xf32>, %ql: tensor<?x8xf32>, %kv: tensor<?x6xf32>, %g: tensor<4xf32>, %t: tensor<?x2xf32>) {
  // expected-error @+1 {{'scale' must be positive}}
  %y = llm.latent_attention %q, %ql, %kv, @kv[%l], %b scale 0.0 norm <rms, eps = 1.0e-6> %g rotary <half, dim = 2> %t : (tensor<?x8xf32>, tensor<?x8xf32>, tensor<?x6xf32>, tensor<4xf32>, tensor<?x2xf32>, index, !llm.batch) -> tensor<?x8xf32>
  return
}

// -----

// attention_c1: a latent cache has no values of its own
llm.state @kv : !llm.kv_cache<layers = 1, kv_heads = 1, head_dim = 4, value_dim = 2, f32>
func.func @f(%b: !llm.batch, %l: index, %q: tensor<?x8xf32>, %k: tensor<?x4xf32>) {
  // expected-error @+1 {{names no kv_cache state with values of its own: @kv}}
  %y = llm.attention %q, %k, %k, @kv[%l], %b scale 0.5 : (tensor<?x8xf32>, tensor<?x4xf32>, tensor<?x4xf32>, index, !llm.batch) -> tensor<?x8xf32>
  return
}

// -----

// attention_c7
llm.state @kv : !llm.kv_cache<layers = 1, kv_heads = 1, head_dim = 4, f32>
func.func @f(%b: !llm.batch, %l: index, %q: tensor<?x8xf32>, %k: tensor<?x4xf32>, %s: tensor<1xf32>) {
  // expected-error @+1 {{'sinks' must be [2]}}
  %y = llm.attention %q, %k, %k, @kv[%l], %b scale 0.5 sinks %s : (tensor<?x8xf32>, tensor<?x4xf32>, tensor<?x4xf32>, index, !llm.batch, tensor<1xf32>) -> tensor<?x8xf32>
  return
}

// -----

// attention_c8
llm.state @kv : !llm.kv_cache<layers = 1, kv_heads = 1, head_dim = 4, f32>
func.func @f(%b: !llm.batch, %l: index, %q: tensor<?x8xf32>, %k: tensor<?x4xf32>, %s: tensor<3xf32>) {
  // expected-error @+1 {{'slopes' must be [2]}}
  %y = llm.attention %q, %k, %k, @kv[%l], %b scale 0.5 slopes %s : (tensor<?x8xf32>, tensor<?x4xf32>, tensor<?x4xf32>, index, !llm.batch, tensor<3xf32>) -> tensor<?x8xf32>
  return
}

// -----

// weight_c6: of a transpose
// expected-error @+1 {{'columns' must be [begin, end) with 8 columns of a transpose, and no 'rows'}}
llm.weight @w : !llm.weights<1x4x8xf32> from "w" columns [0, 8]

// -----

// weight_c6: count
// expected-error @+1 {{'columns' must be [begin, end) with 8 columns of a transpose, and no 'rows'}}
llm.weight @w : !llm.weights<1x2x4x8xf32> from "w" transpose columns [4, 8]

// -----

// kv_cache: values are among the keys
// expected-error @+1 {{kv_cache value_dim must be at most head_dim}}
llm.state @kv : !llm.kv_cache<layers = 1, kv_heads = 1, head_dim = 4, value_dim = 5, f32>
