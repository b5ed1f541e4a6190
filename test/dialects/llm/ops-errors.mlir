// What the verifier refuses of ops, by numbered constraint.
// RUN: llmc-opt %s --split-input-file --verify-diagnostics

// operands are tensor<?xCxf32>: a static T
func.func @f(%x: tensor<4x8xf32>) -> tensor<4x8xf32> {
  // expected-error @+1 {{must be activations tensor<?xCxf32>}}
  %y = llm.scale %x by 2.0 : tensor<4x8xf32>
  return %y : tensor<4x8xf32>
}

// -----

// … unranked
func.func @f(%x: tensor<*xf32>) -> tensor<*xf32> {
  // expected-error @+1 {{expected builtin.tensor, but found 'tensor<*xf32>'}}
  %y = llm.scale %x by 2.0 : tensor<*xf32>
  return %y : tensor<*xf32>
}

// -----

// … of rank 0
func.func @f(%x: tensor<f32>) -> tensor<f32> {
  // expected-error @+1 {{must be activations tensor<?xCxf32>}}
  %y = llm.scale %x by 2.0 : tensor<f32>
  return %y : tensor<f32>
}

// -----

// … of no channels
func.func @f(%x: tensor<?x0xf32>) -> tensor<?x0xf32> {
  // expected-error @+1 {{must be activations tensor<?xCxf32>}}
  %y = llm.scale %x by 2.0 : tensor<?x0xf32>
  return %y : tensor<?x0xf32>
}

// -----

// weights have a static shape
func.func @f(%x: tensor<?x8xf32>, %g: tensor<?xf32>) -> tensor<?x8xf32> {
  // expected-error @+1 {{must be weight vector, matrix or stack of matrices of f32, f16, bf16 or !llm.quant}}
  %y = llm.rms_norm %x, %g {eps = 1.0e-5 : f64} : tensor<?x8xf32>, tensor<?xf32>
  return %y : tensor<?x8xf32>
}

// -----

// … and are not empty
func.func @f(%x: tensor<?x8xf32>, %g: tensor<0xf32>) -> tensor<?x8xf32> {
  // expected-error @+1 {{must be weight vector, matrix or stack of matrices}}
  %y = llm.rms_norm %x, %g {eps = 1.0e-5 : f64} : tensor<?x8xf32>, tensor<0xf32>
  return %y : tensor<?x8xf32>
}

// -----

// weight_load_c1
llm.state @kv : !llm.kv_cache<layers = 1, kv_heads = 1, head_dim = 4, f32>
func.func @f() {
  // expected-error @+1 {{names no llm.weight: @w}}
  %w = llm.weight_load @w : tensor<8xf32>
  return
}

// -----

// weight_load_c2
llm.weight @w : !llm.weights<2x8xf32> from "{layer}"
func.func @f(%l: index) {
  // expected-error @+1 {{result must be 'tensor<8xf32>', got 'tensor<4xf32>'}}
  %w = llm.weight_load @w[%l] : tensor<4xf32>
  return
}

// -----

// weight_load_c3
llm.weight @w : !llm.weights<2x8xf32> from "{layer}"
func.func @f() {
  // expected-error @+1 {{needs a layer index: @w has 2 layers}}
  %w = llm.weight_load @w : tensor<8xf32>
  return
}

// -----

// layers_c1: no function
func.func @f(%x: tensor<?x8xf32>, %b: !llm.batch) -> tensor<?x8xf32> {
  // expected-error @+1 {{names no function: @kind}}
  %y = llm.layers %x, %b kinds [@kind] order [0] : tensor<?x8xf32> -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

// layers_c1: its type
func.func private @kind(tensor<?x8xf32>, !llm.batch) -> tensor<?x8xf32>
func.func @f(%x: tensor<?x8xf32>, %b: !llm.batch) -> tensor<?x8xf32> {
  // expected-error @+1 {{@kind must be}}
  %y = llm.layers %x, %b kinds [@kind] order [0] : tensor<?x8xf32> -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

// layers_c1: the result
func.func private @kind(tensor<?x8xf32>, index, !llm.batch) -> tensor<?x8xf32>
func.func @f(%x: tensor<?x8xf32>, %b: !llm.batch) -> tensor<?x4xf32> {
  // expected-error @+1 {{failed to verify that all of {x, y} have same type}}
  %y = llm.layers %x, %b kinds [@kind] order [0] : tensor<?x8xf32> -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}

// -----

// layers_c2: empty
func.func private @kind(tensor<?x8xf32>, index, !llm.batch) -> tensor<?x8xf32>
func.func @f(%x: tensor<?x8xf32>, %b: !llm.batch) -> tensor<?x8xf32> {
  // expected-error @+1 {{'order' is empty}}
  %y = llm.layers %x, %b kinds [@kind] order [] : tensor<?x8xf32> -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

// layers_c2: range
func.func private @kind(tensor<?x8xf32>, index, !llm.batch) -> tensor<?x8xf32>
func.func @f(%x: tensor<?x8xf32>, %b: !llm.batch) -> tensor<?x8xf32> {
  // expected-error @+1 {{'order' entry 1 is not one of 1 kinds}}
  %y = llm.layers %x, %b kinds [@kind] order [1] : tensor<?x8xf32> -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

// layers_c2: each kind occurs
func.func private @kind(tensor<?x8xf32>, index, !llm.batch) -> tensor<?x8xf32>
func.func @f(%x: tensor<?x8xf32>, %b: !llm.batch) -> tensor<?x8xf32> {
  // expected-error @+1 {{@kind occurs nowhere in 'order'}}
  %y = llm.layers %x, %b kinds [@kind, @kind] order [0] : tensor<?x8xf32> -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

// select_rows_c1
func.func @f(%x: tensor<?x8xf32>, %b: !llm.batch) -> tensor<?x4xf32> {
  // expected-error @+1 {{failed to verify that all of {x, y} have same type}}
  %y = llm.select_rows %x, %b : tensor<?x8xf32> -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}

// -----

// embedding_c1: a vector
func.func @f(%b: !llm.batch, %t: tensor<8xf32>) -> tensor<?x8xf32> {
  // expected-error @+2 {{failed to infer returned types}}
  // expected-error @+1 {{table must be [N, C], got 'tensor<8xf32>'}}
  %y = llm.embedding %b, %t tokens : tensor<8xf32> -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

// embedding_c1: the result
func.func @f(%b: !llm.batch, %t: tensor<9x4xf32>) -> tensor<?x8xf32> {
  // expected-error @+2 {{failed to infer returned types}}
  // expected-error @+1 {{inferred type(s) 'tensor<?x4xf32>' are incompatible with return type(s) of operation}}
  %y = llm.embedding %b, %t tokens : tensor<9x4xf32> -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

// embedding_c2
func.func @f(%b: !llm.batch, %t: tensor<9x8xf32>) -> tensor<?x8xf32> {
  // expected-error @+1 {{'offset' must not be negative}}
  %y = llm.embedding %b, %t tokens {offset = -1 : i64} : tensor<9x8xf32> -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

// embedding_c3
func.func @f(%b: !llm.batch, %t: tensor<9x8xf32>) -> tensor<?x8xf32> {
  // expected-error @+1 {{'scale' must be finite}}
  %y = llm.embedding %b, %t tokens {scale = 0x7F800000 : f32} : tensor<9x8xf32> -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

// rms_norm_c1
func.func @f(%x: tensor<?x8xf32>, %g: tensor<8xf32>) -> tensor<?x4xf32> {
  // expected-error @+1 {{failed to verify that all of {x, y} have same type}}
  %y = "llm.rms_norm"(%x, %g) {eps = 1.0e-5 : f64} : (tensor<?x8xf32>, tensor<8xf32>) -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}

// -----

// rms_norm_c2
func.func @f(%x: tensor<?x8xf32>, %g: tensor<3xf32>) -> tensor<?x8xf32> {
  // expected-error @+1 {{gain must be [D] with D dividing 8}}
  %y = llm.rms_norm %x, %g {eps = 1.0e-5 : f64} : tensor<?x8xf32>, tensor<3xf32>
  return %y : tensor<?x8xf32>
}

// -----

// rms_norm_c2: rank
func.func @f(%x: tensor<?x8xf32>, %g: tensor<1x8xf32>) -> tensor<?x8xf32> {
  // expected-error @+1 {{gain must be [D] with D dividing 8}}
  %y = llm.rms_norm %x, %g {eps = 1.0e-5 : f64} : tensor<?x8xf32>, tensor<1x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

// rms_norm_c3
func.func @f(%x: tensor<?x8xf32>, %g: tensor<8xf32>) -> tensor<?x8xf32> {
  // expected-error @+1 {{'eps' must be positive}}
  %y = llm.rms_norm %x, %g {eps = 0.0 : f64} : tensor<?x8xf32>, tensor<8xf32>
  return %y : tensor<?x8xf32>
}

// -----

// layer_norm_c1
func.func @f(%x: tensor<?x8xf32>, %g: tensor<8xf32>) -> tensor<?x4xf32> {
  // expected-error @+1 {{failed to verify that all of {x, y} have same type}}
  %y = "llm.layer_norm"(%x, %g) {eps = 1.0e-5 : f64} : (tensor<?x8xf32>, tensor<8xf32>) -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}

// -----

// layer_norm_c2
func.func @f(%x: tensor<?x8xf32>, %g: tensor<8xf32>, %c: tensor<4xf32>) -> tensor<?x8xf32> {
  // expected-error @+1 {{gain and bias must be [8]}}
  %y = llm.layer_norm %x, %g, %c {eps = 1.0e-5 : f64} : tensor<?x8xf32>, tensor<8xf32>, tensor<4xf32>
  return %y : tensor<?x8xf32>
}

// -----

// layer_norm_c3
func.func @f(%x: tensor<?x8xf32>, %g: tensor<8xf32>) -> tensor<?x8xf32> {
  // expected-error @+1 {{'eps' must be positive}}
  %y = llm.layer_norm %x, %g {eps = -1.0 : f64} : tensor<?x8xf32>, tensor<8xf32>
  return %y : tensor<?x8xf32>
}

// -----

// linear_c1
func.func @f(%x: tensor<?x8xf32>, %w: tensor<8x4xf32>) -> tensor<?x8xf32> {
  // expected-error @+1 {{weight must be [N, 8]}}
  %y = llm.linear %x[%w] : (tensor<?x8xf32>, tensor<8x4xf32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

// linear_c1: rank
func.func @f(%x: tensor<?x8xf32>, %w: tensor<8xf32>) -> tensor<?x8xf32> {
  // expected-error @+1 {{weight must be [N, 8], got}}
  %y = llm.linear %x[%w] : (tensor<?x8xf32>, tensor<8xf32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

// linear_c1: none
func.func @f(%x: tensor<?x8xf32>) {
  // expected-error @+1 {{needs a weight}}
  "llm.linear"(%x) <{operandSegmentSizes = array<i32: 1, 0, 0, 0, 0, 0>}> : (tensor<?x8xf32>) -> ()
  return
}

// -----

// linear_c2: count
func.func @f(%x: tensor<?x8xf32>, %w: tensor<8x8xf32>, %c: tensor<8xf32>) -> tensor<?x8xf32> {
  // expected-error @+1 {{has 1 biases for 2 weights}}
  %y, %z = llm.linear %x[%w, %w] bias[%c] : (tensor<?x8xf32>, tensor<8x8xf32>, tensor<8x8xf32>, tensor<8xf32>) -> (tensor<?x8xf32>, tensor<?x8xf32>)
  return %y : tensor<?x8xf32>
}

// -----

// linear_c2: shape
func.func @f(%x: tensor<?x8xf32>, %w: tensor<8x8xf32>, %c: tensor<4xf32>) -> tensor<?x8xf32> {
  // expected-error @+1 {{bias does not fit its weight}}
  %y = llm.linear %x[%w] bias[%c] : (tensor<?x8xf32>, tensor<8x8xf32>, tensor<4xf32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

// linear_c3: count
func.func @f(%x: tensor<?x8xf32>, %w: tensor<8x8xf32>) -> tensor<?x8xf32> {
  // expected-error @+2 {{failed to infer returned types}}
  // expected-error @+1 {{are incompatible with return type(s) of operation}}
  %y = llm.linear %x[%w, %w] : (tensor<?x8xf32>, tensor<8x8xf32>, tensor<8x8xf32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

// linear_c3: shape
func.func @f(%x: tensor<?x8xf32>, %w: tensor<8x8xf32>) -> tensor<?x4xf32> {
  // expected-error @+2 {{failed to infer returned types}}
  // expected-error @+1 {{are incompatible with return type(s) of operation}}
  %y = llm.linear %x[%w] : (tensor<?x8xf32>, tensor<8x8xf32>) -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}

// -----

// linear_c3: glu of one weight
func.func @f(%x: tensor<?x8xf32>, %w: tensor<8x8xf32>) -> tensor<?x8xf32> {
  // expected-error @+1 {{glu needs two weights of one shape and an activation}}
  %y = llm.linear %x[%w] activation silu glu : (tensor<?x8xf32>, tensor<8x8xf32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

// linear_c3: glu without activation
func.func @f(%x: tensor<?x8xf32>, %w: tensor<8x8xf32>) -> tensor<?x8xf32> {
  // expected-error @+1 {{glu needs two weights of one shape and an activation}}
  %y = llm.linear %x[%w, %w] glu : (tensor<?x8xf32>, tensor<8x8xf32>, tensor<8x8xf32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

// linear_c3: glu of two shapes
func.func @f(%x: tensor<?x8xf32>, %w: tensor<8x8xf32>, %v: tensor<4x8xf32>) -> tensor<?x8xf32> {
  // expected-error @+1 {{glu needs two weights of one shape and an activation}}
  %y = llm.linear %x[%w, %v] activation silu glu : (tensor<?x8xf32>, tensor<8x8xf32>, tensor<4x8xf32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

// linear_c4: a gain without norm
func.func @f(%x: tensor<?x8xf32>, %w: tensor<8x8xf32>, %g: tensor<8xf32>) -> tensor<?x8xf32> {
  // expected-error @+1 {{'norm' and its gain belong together}}
  %y = "llm.linear"(%x, %w, %g) <{operandSegmentSizes = array<i32: 1, 1, 0, 1, 0, 0>}> : (tensor<?x8xf32>, tensor<8x8xf32>, tensor<8xf32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

// linear_c4: its shape
func.func @f(%x: tensor<?x8xf32>, %w: tensor<8x8xf32>, %g: tensor<4xf32>) -> tensor<?x8xf32> {
  // expected-error @+1 {{norm gain must be [8]}}
  %y = llm.linear %x[%w] norm <rms, eps = 1.0e-5> %g : (tensor<?x8xf32>, tensor<8x8xf32>, tensor<4xf32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

// linear_c4: a bias of an rms norm
func.func @f(%x: tensor<?x8xf32>, %w: tensor<8x8xf32>, %g: tensor<8xf32>) -> tensor<?x8xf32> {
  // expected-error @+1 {{norm bias must be [8] of a layer norm}}
  %y = llm.linear %x[%w] norm <rms, eps = 1.0e-5> %g, %g : (tensor<?x8xf32>, tensor<8x8xf32>, tensor<8xf32>, tensor<8xf32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

// linear_c4: a bias without norm
func.func @f(%x: tensor<?x8xf32>, %w: tensor<8x8xf32>, %g: tensor<8xf32>) -> tensor<?x8xf32> {
  // expected-error @+1 {{norm bias must be [8] of a layer norm}}
  %y = "llm.linear"(%x, %w, %g) <{operandSegmentSizes = array<i32: 1, 1, 0, 0, 1, 0>}> : (tensor<?x8xf32>, tensor<8x8xf32>, tensor<8xf32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

// linear_c5
func.func @f(%x: tensor<?x8xf32>, %w: tensor<8x8xf32>, %r: tensor<?x4xf32>) -> tensor<?x8xf32> {
  // expected-error @+1 {{residual must be of the type of the only result}}
  %y = llm.linear %x[%w] residual %r : (tensor<?x8xf32>, tensor<8x8xf32>, tensor<?x4xf32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

// linear_c5: two results
func.func @f(%x: tensor<?x8xf32>, %w: tensor<8x8xf32>) -> tensor<?x8xf32> {
  // expected-error @+1 {{residual must be of the type of the only result}}
  %y, %z = llm.linear %x[%w, %w] residual %x : (tensor<?x8xf32>, tensor<8x8xf32>, tensor<8x8xf32>, tensor<?x8xf32>) -> (tensor<?x8xf32>, tensor<?x8xf32>)
  return %y : tensor<?x8xf32>
}

// -----

// linear_c6
func.func @f(%x: tensor<?x8xf32>, %w: tensor<8x8xf32>) -> tensor<?x8xf32> {
  // expected-error @+1 {{scale, softcap and top_k want one weight, no glu and no residual}}
  %y, %z = llm.linear %x[%w, %w] top_k : (tensor<?x8xf32>, tensor<8x8xf32>, tensor<8x8xf32>) -> (tensor<?x8xf32>, tensor<?x8xf32>)
  return %y : tensor<?x8xf32>
}

// -----

// linear_c6: a residual
func.func @f(%x: tensor<?x8xf32>, %w: tensor<8x8xf32>) -> tensor<?x8xf32> {
  // expected-error @+1 {{scale, softcap and top_k want one weight, no glu and no residual}}
  %y = llm.linear %x[%w] scale 0.5 residual %x : (tensor<?x8xf32>, tensor<8x8xf32>, tensor<?x8xf32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

// linear_c6: a scale of 0
func.func @f(%x: tensor<?x8xf32>, %w: tensor<8x8xf32>) -> tensor<?x8xf32> {
  // expected-error @+1 {{scale must be finite and not 0}}
  %y = llm.linear %x[%w] scale 0.0 : (tensor<?x8xf32>, tensor<8x8xf32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

// linear_c6: a softcap of 0
func.func @f(%x: tensor<?x8xf32>, %w: tensor<8x8xf32>) -> tensor<?x8xf32> {
  // expected-error @+1 {{softcap must be above 0}}
  %y = llm.linear %x[%w] softcap 0.0 : (tensor<?x8xf32>, tensor<8x8xf32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

// activation_c1
func.func @f(%x: tensor<?x8xf32>) -> tensor<?x4xf32> {
  // expected-error @+1 {{failed to verify that all of {x, y} have same type}}
  %y = "llm.activation"(%x) <{kind = #llm<activation silu>}> : (tensor<?x8xf32>) -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}

// -----

// glu_c1
func.func @f(%x: tensor<?x8xf32>, %u: tensor<?x4xf32>) -> tensor<?x8xf32> {
  // expected-error @+1 {{failed to verify that all of {gate, up, y} have same type}}
  %y = "llm.glu"(%x, %u) <{kind = #llm<activation silu>}> : (tensor<?x8xf32>, tensor<?x4xf32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

// add_c1
func.func @f(%x: tensor<?x8xf32>, %u: tensor<?x4xf32>) -> tensor<?x8xf32> {
  // expected-error @+1 {{requires the same type for all operands and results}}
  %y = "llm.add"(%x, %u) : (tensor<?x8xf32>, tensor<?x4xf32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

// scale_c1
func.func @f(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
  // expected-error @+1 {{'factor' must be finite}}
  %y = llm.scale %x by 0x7FF0000000000000 : tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

// softcap_c1
func.func @f(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
  // expected-error @+1 {{'cap' must be positive}}
  %y = llm.softcap %x cap 0.0 : tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

// rope_table_c1
func.func @f(%b: !llm.batch, %f: tensor<3xf32>) -> tensor<?x3xf32> {
  // expected-error @+1 {{with an even dim, at most 65536, got 3}}
  %y = llm.rope_table %b theta 100.0 -> tensor<?x3xf32>
  return %y : tensor<?x3xf32>
}

// -----

// rope_table_c1: a table that no head needs
func.func @f(%b: !llm.batch, %f: tensor<3xf32>) -> tensor<?x4294967296xf32> {
  // expected-error @+1 {{with an even dim, at most 65536}}
  %y = llm.rope_table %b theta 100.0 -> tensor<?x4294967296xf32>
  return %y : tensor<?x4294967296xf32>
}

// -----

// rope_table_c2
func.func @f(%b: !llm.batch, %f: tensor<3xf32>) -> tensor<?x4xf32> {
  // expected-error @+1 {{factors must be [2]}}
  %y = llm.rope_table %b, %f : tensor<3xf32> theta 100.0 -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}

// -----

// rope_table_c3: theta
func.func @f(%b: !llm.batch, %f: tensor<3xf32>) -> tensor<?x4xf32> {
  // expected-error @+1 {{'theta' must be positive}}
  %y = llm.rope_table %b theta 0.0 -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}

// -----

// rope_table_c3: factor
func.func @f(%b: !llm.batch, %f: tensor<3xf32>) -> tensor<?x4xf32> {
  // expected-error @+1 {{linear scaling needs positive factor and attention_factor}}
  %y = llm.rope_table %b theta 100.0 scaling <linear, factor = 0.0> -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}

// -----

// rope_table_c3: context
func.func @f(%b: !llm.batch, %f: tensor<3xf32>) -> tensor<?x4xf32> {
  // expected-error @+1 {{dynamic scaling needs positive original_max_positions}}
  %y = llm.rope_table %b theta 100.0 scaling <dynamic, factor = 2.0> -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}

// -----

// rope_table_c3: dynamic
func.func @f(%b: !llm.batch, %f: tensor<3xf32>) -> tensor<?x2xf32> {
  // expected-error @+1 {{dynamic scaling needs more than two channels}}
  %y = llm.rope_table %b theta 100.0 scaling <dynamic, factor = 2.0, original_max_positions = 8> -> tensor<?x2xf32>
  return %y : tensor<?x2xf32>
}

// -----

// rope_table_c3: llama3
func.func @f(%b: !llm.batch, %f: tensor<3xf32>) -> tensor<?x4xf32> {
  // expected-error @+1 {{llama3 scaling needs 0 < low_freq_factor < high_freq_factor}}
  %y = llm.rope_table %b theta 100.0 scaling <llama3, factor = 2.0, low_freq_factor = 4.0, high_freq_factor = 4.0, original_max_positions = 8> -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}

// -----

// rope_table_c3: yarn
func.func @f(%b: !llm.batch, %f: tensor<3xf32>) -> tensor<?x4xf32> {
  // expected-error @+1 {{yarn scaling needs positive beta_fast and beta_slow}}
  %y = llm.rope_table %b theta 100.0 scaling <yarn, factor = 2.0, beta_slow = 0.0, original_max_positions = 8> -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}

// -----

// rope_table_c3: yarn divides by the logarithm of theta
func.func @f(%b: !llm.batch, %f: tensor<3xf32>) -> tensor<?x4xf32> {
  // expected-error @+1 {{yarn scaling needs a theta other than 1}}
  %y = llm.rope_table %b theta 1.0 scaling <yarn, factor = 2.0, original_max_positions = 8> -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}

// -----

// rope_table_c3: longrope
func.func @f(%b: !llm.batch, %f: tensor<3xf32>) -> tensor<?x4xf32> {
  // expected-error @+1 {{longrope scaling needs dim / 2 positive short_factors and long_factors}}
  %y = llm.rope_table %b theta 100.0 scaling <longrope, original_max_positions = 8, short_factors = [1.0], long_factors = [1.0, 1.0]> -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}

// -----

// rope_c1
func.func @f(%x: tensor<?x8xf32>, %t: tensor<?x4xf32>) -> tensor<?x4xf32> {
  // expected-error @+1 {{failed to verify that all of {x, y} have same type}}
  %y = "llm.rope"(%x, %t) <{head_dim = 8 : i64, rotary = #llm.rotary<half, dim = 4>}> : (tensor<?x8xf32>, tensor<?x4xf32>) -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}

// -----

// rope_c2: head_dim
func.func @f(%x: tensor<?x8xf32>, %t: tensor<?x2xf32>) -> tensor<?x8xf32> {
  // expected-error @+1 {{head_dim 3 must divide 8 channels}}
  %y = llm.rope %x, %t <half, dim = 2> head_dim 3 : tensor<?x8xf32>, tensor<?x2xf32>
  return %y : tensor<?x8xf32>
}

// -----

// rope_c2: no head_dim
func.func @f(%x: tensor<?x8xf32>, %t: tensor<?x2xf32>) -> tensor<?x8xf32> {
  // expected-error @+1 {{head_dim 0 must divide 8 channels}}
  %y = llm.rope %x, %t <half, dim = 2> head_dim 0 : tensor<?x8xf32>, tensor<?x2xf32>
  return %y : tensor<?x8xf32>
}

// -----

// rope_c2: dim
func.func @f(%x: tensor<?x8xf32>, %t: tensor<?x8xf32>) -> tensor<?x8xf32> {
  // expected-error @+1 {{rotary dim 8 must be at most head_dim and equal the table}}
  %y = llm.rope %x, %t <half, dim = 8> head_dim 4 : tensor<?x8xf32>, tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

// rope_c2: columns
func.func @f(%x: tensor<?x8xf32>, %t: tensor<?x4xf32>) -> tensor<?x8xf32> {
  // expected-error @+1 {{rotary dim 2 must be at most head_dim and equal the table}}
  %y = llm.rope %x, %t <half, dim = 2> head_dim 4 : tensor<?x8xf32>, tensor<?x4xf32>
  return %y : tensor<?x8xf32>
}

// -----

// attention_c1: no state
llm.state @kv : !llm.kv_cache<layers = 1, kv_heads = 1, head_dim = 4, f32>
func.func @f(%b: !llm.batch, %l: index, %q: tensor<?x8xf32>, %k: tensor<?x4xf32>, %t: tensor<?x2xf32>, %g: tensor<4xf32>, %k3: tensor<?x3xf32>, %q6: tensor<?x6xf32>, %g2: tensor<2xf32>) -> tensor<?x8xf32> {
  // expected-error @+1 {{names no kv_cache state with values of its own: @none}}
  %y = llm.attention %q, %k, %k, @none[%l], %b scale 0.5 : (tensor<?x8xf32>, tensor<?x4xf32>, tensor<?x4xf32>, index, !llm.batch) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

// attention_c1: channels
llm.state @kv : !llm.kv_cache<layers = 1, kv_heads = 1, head_dim = 4, f32>
func.func @f(%b: !llm.batch, %l: index, %q: tensor<?x8xf32>, %k: tensor<?x4xf32>, %t: tensor<?x2xf32>, %g: tensor<4xf32>, %k3: tensor<?x3xf32>, %q6: tensor<?x6xf32>, %g2: tensor<2xf32>) -> tensor<?x8xf32> {
  // expected-error @+1 {{k and v have 8 channels, the cache 4}}
  %y = llm.attention %q, %q, %q, @kv[%l], %b scale 0.5 : (tensor<?x8xf32>, tensor<?x8xf32>, tensor<?x8xf32>, index, !llm.batch) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

// attention_c2: heads
llm.state @kv : !llm.kv_cache<layers = 1, kv_heads = 1, head_dim = 4, f32>
func.func @f(%b: !llm.batch, %l: index, %q: tensor<?x8xf32>, %k: tensor<?x4xf32>, %t: tensor<?x2xf32>, %g: tensor<4xf32>, %k3: tensor<?x3xf32>, %q6: tensor<?x6xf32>, %g2: tensor<2xf32>) -> tensor<?x6xf32> {
  // expected-error @+1 {{heads must be a multiple of kv_heads}}
  %y = llm.attention %q6, %k, %k, @kv[%l], %b scale 0.5 : (tensor<?x6xf32>, tensor<?x4xf32>, tensor<?x4xf32>, index, !llm.batch) -> tensor<?x6xf32>
  return %y : tensor<?x6xf32>
}

// -----

// attention_c2: k and v
llm.state @kv : !llm.kv_cache<layers = 1, kv_heads = 1, head_dim = 4, f32>
func.func @f(%b: !llm.batch, %l: index, %q: tensor<?x8xf32>, %k: tensor<?x4xf32>, %t: tensor<?x2xf32>, %g: tensor<4xf32>, %k3: tensor<?x3xf32>, %q6: tensor<?x6xf32>, %g2: tensor<2xf32>) -> tensor<?x8xf32> {
  // expected-error @+1 {{k and v of one type}}
  %y = llm.attention %q, %k, %q, @kv[%l], %b scale 0.5 : (tensor<?x8xf32>, tensor<?x4xf32>, tensor<?x8xf32>, index, !llm.batch) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

// attention_c3: scale
llm.state @kv : !llm.kv_cache<layers = 1, kv_heads = 1, head_dim = 4, f32>
func.func @f(%b: !llm.batch, %l: index, %q: tensor<?x8xf32>, %k: tensor<?x4xf32>, %t: tensor<?x2xf32>, %g: tensor<4xf32>, %k3: tensor<?x3xf32>, %q6: tensor<?x6xf32>, %g2: tensor<2xf32>) -> tensor<?x8xf32> {
  // expected-error @+1 {{needs scale > 0, window >= 0, softcap >= 0}}
  %y = llm.attention %q, %k, %k, @kv[%l], %b scale 0.0 : (tensor<?x8xf32>, tensor<?x4xf32>, tensor<?x4xf32>, index, !llm.batch) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

// attention_c3: window
llm.state @kv : !llm.kv_cache<layers = 1, kv_heads = 1, head_dim = 4, f32>
func.func @f(%b: !llm.batch, %l: index, %q: tensor<?x8xf32>, %k: tensor<?x4xf32>, %t: tensor<?x2xf32>, %g: tensor<4xf32>, %k3: tensor<?x3xf32>, %q6: tensor<?x6xf32>, %g2: tensor<2xf32>) -> tensor<?x8xf32> {
  // expected-error @+1 {{needs scale > 0, window >= 0, softcap >= 0}}
  %y = llm.attention %q, %k, %k, @kv[%l], %b scale 0.5 {window = -1 : i64} : (tensor<?x8xf32>, tensor<?x4xf32>, tensor<?x4xf32>, index, !llm.batch) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

// attention_c3: softcap
llm.state @kv : !llm.kv_cache<layers = 1, kv_heads = 1, head_dim = 4, f32>
func.func @f(%b: !llm.batch, %l: index, %q: tensor<?x8xf32>, %k: tensor<?x4xf32>, %t: tensor<?x2xf32>, %g: tensor<4xf32>, %k3: tensor<?x3xf32>, %q6: tensor<?x6xf32>, %g2: tensor<2xf32>) -> tensor<?x8xf32> {
  // expected-error @+1 {{needs scale > 0, window >= 0, softcap >= 0}}
  %y = llm.attention %q, %k, %k, @kv[%l], %b scale 0.5 {softcap = -1.0 : f64} : (tensor<?x8xf32>, tensor<?x4xf32>, tensor<?x4xf32>, index, !llm.batch) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

// attention_c4: columns
llm.state @kv : !llm.kv_cache<layers = 1, kv_heads = 1, head_dim = 4, f32>
func.func @f(%b: !llm.batch, %l: index, %q: tensor<?x8xf32>, %k: tensor<?x4xf32>, %t: tensor<?x2xf32>, %g: tensor<4xf32>, %k3: tensor<?x3xf32>, %q6: tensor<?x6xf32>, %g2: tensor<2xf32>) -> tensor<?x8xf32> {
  // expected-error @+1 {{rotary dim must equal the table's columns}}
  %y = llm.attention %q, %k, %k, @kv[%l], %b scale 0.5 rotary <half, dim = 4> %t : (tensor<?x8xf32>, tensor<?x4xf32>, tensor<?x4xf32>, index, !llm.batch, tensor<?x2xf32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

// attention_c4: head_dim
llm.state @kv : !llm.kv_cache<layers = 1, kv_heads = 1, head_dim = 4, f32>
func.func @f(%b: !llm.batch, %l: index, %q: tensor<?x8xf32>, %k: tensor<?x4xf32>, %t: tensor<?x2xf32>, %g: tensor<4xf32>, %k3: tensor<?x3xf32>, %q6: tensor<?x6xf32>, %g2: tensor<2xf32>) -> tensor<?x8xf32> {
  // expected-error @+1 {{rotary dim exceeds head_dim 4}}
  %y = llm.attention %q, %k, %k, @kv[%l], %b scale 0.5 rotary <half, dim = 8> %q : (tensor<?x8xf32>, tensor<?x4xf32>, tensor<?x4xf32>, index, !llm.batch, tensor<?x8xf32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

// attention_c4: a table without rotary
llm.state @kv : !llm.kv_cache<layers = 1, kv_heads = 1, head_dim = 4, f32>
func.func @f(%b: !llm.batch, %l: index, %q: tensor<?x8xf32>, %k: tensor<?x4xf32>, %t: tensor<?x2xf32>, %g: tensor<4xf32>, %k3: tensor<?x3xf32>, %q6: tensor<?x6xf32>, %g2: tensor<2xf32>) -> tensor<?x8xf32> {
  // expected-error @+1 {{'rotary' and its table belong together}}
  %y = "llm.attention"(%q, %k, %k, %l, %b, %t) <{scale = 0.5 : f64, state = @kv, operandSegmentSizes = array<i32: 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0>}> : (tensor<?x8xf32>, tensor<?x4xf32>, tensor<?x4xf32>, index, !llm.batch, tensor<?x2xf32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

// attention_c5: a layer norm
llm.state @kv : !llm.kv_cache<layers = 1, kv_heads = 1, head_dim = 4, f32>
func.func @f(%b: !llm.batch, %l: index, %q: tensor<?x8xf32>, %k: tensor<?x4xf32>, %t: tensor<?x2xf32>, %g: tensor<4xf32>, %k3: tensor<?x3xf32>, %q6: tensor<?x6xf32>, %g2: tensor<2xf32>) -> tensor<?x8xf32> {
  // expected-error @+1 {{'norm', an rms norm, and the gains of q and k belong together}}
  %y = llm.attention %q, %k, %k, @kv[%l], %b scale 0.5 norm <layer, eps = 1.0e-5> %g, %g : (tensor<?x8xf32>, tensor<?x4xf32>, tensor<?x4xf32>, index, !llm.batch, tensor<4xf32>, tensor<4xf32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

// attention_c5: shape
llm.state @kv : !llm.kv_cache<layers = 1, kv_heads = 1, head_dim = 4, f32>
func.func @f(%b: !llm.batch, %l: index, %q: tensor<?x8xf32>, %k: tensor<?x4xf32>, %t: tensor<?x2xf32>, %g: tensor<4xf32>, %k3: tensor<?x3xf32>, %q6: tensor<?x6xf32>, %g2: tensor<2xf32>) -> tensor<?x8xf32> {
  // expected-error @+1 {{norm gains must be [4]}}
  %y = llm.attention %q, %k, %k, @kv[%l], %b scale 0.5 norm <rms, eps = 1.0e-5> %g, %g2 : (tensor<?x8xf32>, tensor<?x4xf32>, tensor<?x4xf32>, index, !llm.batch, tensor<4xf32>, tensor<2xf32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

// attention_c5: gains without norm
llm.state @kv : !llm.kv_cache<layers = 1, kv_heads = 1, head_dim = 4, f32>
func.func @f(%b: !llm.batch, %l: index, %q: tensor<?x8xf32>, %k: tensor<?x4xf32>, %t: tensor<?x2xf32>, %g: tensor<4xf32>, %k3: tensor<?x3xf32>, %q6: tensor<?x6xf32>, %g2: tensor<2xf32>) -> tensor<?x8xf32> {
  // expected-error @+1 {{the gains of q and k belong together}}
  %y = "llm.attention"(%q, %k, %k, %l, %b, %g, %g) <{scale = 0.5 : f64, state = @kv, operandSegmentSizes = array<i32: 1, 1, 1, 1, 1, 0, 1, 1, 0, 0, 0>}> : (tensor<?x8xf32>, tensor<?x4xf32>, tensor<?x4xf32>, index, !llm.batch, tensor<4xf32>, tensor<4xf32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

// attention_c6
llm.state @kv : !llm.kv_cache<layers = 1, kv_heads = 1, head_dim = 4, f32>
func.func @f(%b: !llm.batch, %l: index, %q: tensor<?x8xf32>, %k: tensor<?x4xf32>, %t: tensor<?x2xf32>, %g: tensor<4xf32>, %k3: tensor<?x3xf32>, %q6: tensor<?x6xf32>, %g2: tensor<2xf32>) -> tensor<?x4xf32> {
  // expected-error @+1 {{failed to verify that all of {q, y} have same type}}
  %y = llm.attention %q, %k, %k, @kv[%l], %b scale 0.5 : (tensor<?x8xf32>, tensor<?x4xf32>, tensor<?x4xf32>, index, !llm.batch) -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}
