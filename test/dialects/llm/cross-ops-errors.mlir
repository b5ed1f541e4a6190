// RUN: llmc-opt %s --split-input-file --verify-diagnostics

// append_c1
func.func @f(%k: tensor<?x4xf32>, %i: index, %batch: !llm.batch) {
  // expected-error @+1 {{names no kv_cache state with values of its own}}
  llm.append %k, %k, @none[%i], %batch : tensor<?x4xf32>, tensor<?x4xf32>, !llm.batch
  return
}

// -----

llm.state @kv : !llm.kv_cache<layers = 1, kv_heads = 1, head_dim = 2, f32>
// append_c1: another size
func.func @f(%k: tensor<?x4xf32>, %i: index, %batch: !llm.batch) {
  // expected-error @+1 {{k and v have 4 channels, the cache 2}}
  llm.append %k, %k, @kv[%i], %batch : tensor<?x4xf32>, tensor<?x4xf32>, !llm.batch
  return
}

// -----

llm.state @kv : !llm.kv_cache<layers = 1, kv_heads = 1, head_dim = 2, f32>
// append_c2
func.func @f(%k: tensor<?x2xf32>, %v: tensor<?x4xf32>, %i: index, %batch: !llm.batch) {
  // expected-error @+1 {{k and v must be of one type}}
  llm.append %k, %v, @kv[%i], %batch : tensor<?x2xf32>, tensor<?x4xf32>, !llm.batch
  return
}

// -----

// cross_attention_c1
func.func @f(%q: tensor<?x4xf32>, %i: index, %batch: !llm.batch) {
  // expected-error @+1 {{names no kv_cache state with values of its own}}
  %y = llm.cross_attention %q, @none[%i], %batch scale 1.0 : tensor<?x4xf32>, !llm.batch
  return
}

// -----

llm.state @kv : !llm.kv_cache<layers = 1, kv_heads = 1, head_dim = 3, f32>
// cross_attention_c2
func.func @f(%q: tensor<?x4xf32>, %i: index, %batch: !llm.batch) {
  // expected-error @+1 {{q has 4 channels, no multiple of the cache's 3}}
  %y = llm.cross_attention %q, @kv[%i], %batch scale 1.0 : tensor<?x4xf32>, !llm.batch
  return
}

// -----

llm.state @kv : !llm.kv_cache<layers = 1, kv_heads = 1, head_dim = 2, f32>
// cross_attention_c3
func.func @f(%q: tensor<?x4xf32>, %i: index, %batch: !llm.batch) {
  // expected-error @+1 {{needs scale > 0}}
  %y = llm.cross_attention %q, @kv[%i], %batch scale 0.0 : tensor<?x4xf32>, !llm.batch
  return
}

// -----

llm.state @kv : !llm.kv_cache<layers = 1, kv_heads = 2, head_dim = 2, f32>
// attention_c9: a bias alone has no buckets
func.func @f(%q: tensor<?x4xf32>, %i: index, %batch: !llm.batch, %b: tensor<7xf32>) {
  // expected-error @+1 {{'bias' must be [buckets * 2] with an even number of buckets}}
  %y = llm.attention %q, %q, %q, @kv[%i], %batch scale 1.0 relative <max_distance = 9> %b : (tensor<?x4xf32>, tensor<?x4xf32>, tensor<?x4xf32>, index, !llm.batch, tensor<7xf32>) -> tensor<?x4xf32>
  return
}

// -----

llm.state @kv : !llm.kv_cache<layers = 1, kv_heads = 2, head_dim = 2, f32>
// attention_c9: all distances would have buckets of their own
func.func @f(%q: tensor<?x4xf32>, %i: index, %batch: !llm.batch, %b: tensor<16xf32>) {
  // expected-error @+1 {{max_distance must be 5 to 65536, got 4}}
  %y = llm.attention %q, %q, %q, @kv[%i], %batch scale 1.0 relative <max_distance = 4> %b : (tensor<?x4xf32>, tensor<?x4xf32>, tensor<?x4xf32>, index, !llm.batch, tensor<16xf32>) -> tensor<?x4xf32>
  return
}
