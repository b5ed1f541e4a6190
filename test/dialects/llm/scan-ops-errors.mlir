// What the verifier refuses of the ops around recurrences, by numbered constraint.
// RUN: llmc-opt %s --split-input-file --verify-diagnostics

// mul_c2
func.func @f(%x: tensor<?x8xf32>, %h: tensor<?x3xf32>) {
  // expected-error @+1 {{3 factors do not divide 8 channels}}
  %0 = llm.mul %x, %h : tensor<?x8xf32>, tensor<?x3xf32>
  return
}

// -----

// scale_channels_c2
func.func @f(%x: tensor<?x8xf32>, %w: tensor<3xf32>) {
  // expected-error @+1 {{3 factors do not divide 8 channels}}
  %0 = llm.scale_channels %x, %w : tensor<?x8xf32>, tensor<3xf32>
  return
}

// -----

// scale_channels_c2: a vector
func.func @f(%x: tensor<?x8xf32>, %w: tensor<8x1xf32>) {
  // expected-error @+1 {{weight must be a vector}}
  %0 = llm.scale_channels %x, %w : tensor<?x8xf32>, tensor<8x1xf32>
  return
}

// -----

// add_bias_c2
func.func @f(%x: tensor<?x8xf32>, %w: tensor<4xf32>) {
  // expected-error @+1 {{bias must be [8], got 'tensor<4xf32>'}}
  %0 = llm.add_bias %x, %w : tensor<?x8xf32>, tensor<4xf32>
  return
}

// -----

// mix_c2
func.func @f(%x: tensor<?x8xf32>, %w: tensor<4xf32>) {
  // expected-error @+1 {{weight must be [8], got 'tensor<4xf32>'}}
  %0 = llm.mix %x, %x by %w : tensor<?x8xf32>, tensor<4xf32>
  return
}

// -----

// columns_c1
func.func @f(%x: tensor<?x8xf32>) {
  // expected-error @+1 {{channels [5, 5 + 4) exceed the 8 there are}}
  %0 = llm.columns %x from 5 : tensor<?x8xf32> -> tensor<?x4xf32>
  return
}

// -----

// columns_c1: more than there are
func.func @f(%x: tensor<?x8xf32>) {
  // expected-error @+1 {{exceed the 8 there are}}
  %0 = llm.columns %x from 0 : tensor<?x8xf32> -> tensor<?x9xf32>
  return
}

// -----

// columns_c1: not negative
func.func @f(%x: tensor<?x8xf32>) {
  // expected-error @+1 {{exceed the 8 there are}}
  %0 = llm.columns %x from -1 : tensor<?x8xf32> -> tensor<?x4xf32>
  return
}

// -----

// unit_norm_c2
func.func @f(%x: tensor<?x8xf32>) {
  // expected-error @+1 {{group 3 must divide 8 channels}}
  %0 = llm.unit_norm %x group 3 {eps = 1.0e-5} : tensor<?x8xf32>
  return
}

// -----

// unit_norm_c3
func.func @f(%x: tensor<?x8xf32>) {
  // expected-error @+1 {{'eps' must be positive}}
  %0 = llm.unit_norm %x group 4 {eps = 0.0} : tensor<?x8xf32>
  return
}

// -----

// shift_c1
llm.state @s : !llm.conv_tail<layers = 1, channels = 8, taps = 3>
func.func @f(%x: tensor<?x8xf32>, %batch: !llm.batch, %layer: index) {
  // expected-error @+1 {{wants a conv_tail of 8 channels and 1 taps: @s}}
  %0 = llm.shift %x, @s[%layer], %batch : tensor<?x8xf32>
  return
}

// -----

// causal_conv_c1: taps
llm.state @s : !llm.conv_tail<layers = 1, channels = 8, taps = 3>
func.func @f(%x: tensor<?x8xf32>, %batch: !llm.batch, %layer: index, %w: tensor<8x3xf32>) {
  // expected-error @+1 {{wants a conv_tail of 8 channels and 2 taps: @s}}
  %0 = llm.causal_conv %x, %w, @s[%layer], %batch : tensor<?x8xf32>, tensor<8x3xf32>
  return
}

// -----

// causal_conv_c1: no such state
llm.state @s : !llm.conv_tail<layers = 1, channels = 8, taps = 3>
func.func @f(%x: tensor<?x8xf32>, %batch: !llm.batch, %layer: index, %w: tensor<8x4xf32>) {
  // expected-error @+1 {{wants a conv_tail of 8 channels and 3 taps: @t}}
  %0 = llm.causal_conv %x, %w, @t[%layer], %batch : tensor<?x8xf32>, tensor<8x4xf32>
  return
}

// -----

// causal_conv_c2: channels
llm.state @s : !llm.conv_tail<layers = 1, channels = 8, taps = 3>
func.func @f(%x: tensor<?x8xf32>, %batch: !llm.batch, %layer: index, %w: tensor<4x4xf32>) {
  // expected-error @+1 {{weight must be [8, K] of floats with K > 1, got}}
  %0 = llm.causal_conv %x, %w, @s[%layer], %batch : tensor<?x8xf32>, tensor<4x4xf32>
  return
}

// -----

// causal_conv_c2: one tap is no convolution
llm.state @s : !llm.conv_tail<layers = 1, channels = 8, taps = 3>
func.func @f(%x: tensor<?x8xf32>, %batch: !llm.batch, %layer: index, %w: tensor<8x1xf32>) {
  // expected-error @+1 {{weight must be [8, K] of floats with K > 1}}
  %0 = llm.causal_conv %x, %w, @s[%layer], %batch : tensor<?x8xf32>, tensor<8x1xf32>
  return
}

// -----

// causal_conv_c3
llm.state @s : !llm.conv_tail<layers = 1, channels = 8, taps = 3>
func.func @f(%x: tensor<?x8xf32>, %batch: !llm.batch, %layer: index, %w: tensor<8x4xf32>, %b: tensor<4xf32>) {
  // expected-error @+1 {{bias must be [8]}}
  %0 = llm.causal_conv %x, %w bias %b, @s[%layer], %batch : tensor<?x8xf32>, tensor<8x4xf32>, tensor<4xf32>
  return
}

// -----

// scan_c1: kind of state
llm.state @s : !llm.conv_tail<layers = 1, channels = 8, taps = 3>
func.func @f(%x: tensor<?x8xf32>, %batch: !llm.batch, %layer: index, %a: tensor<8x4xf32>, %n: tensor<?x4xf32>, %v: tensor<8xf32>) {
  // expected-error @+1 {{diagonal wants a recurrent state of rank 2: @s}}
  %0 = llm.scan diagonal %x, @s[%layer], %batch decay rate %a step %x input %n output %n : (tensor<?x8xf32>, index, !llm.batch, tensor<8x4xf32>, tensor<?x8xf32>, tensor<?x4xf32>, tensor<?x4xf32>) -> tensor<?x8xf32>
  return
}

// -----

// scan_c1: rank
llm.state @s : !llm.recurrent<1x8>
func.func @f(%x: tensor<?x8xf32>, %batch: !llm.batch, %layer: index, %a: tensor<8x4xf32>, %n: tensor<?x4xf32>, %v: tensor<8xf32>) {
  // expected-error @+1 {{diagonal wants a recurrent state of rank 2: @s}}
  %0 = llm.scan diagonal %x, @s[%layer], %batch decay rate %a step %x input %n output %n : (tensor<?x8xf32>, index, !llm.batch, tensor<8x4xf32>, tensor<?x8xf32>, tensor<?x4xf32>, tensor<?x4xf32>) -> tensor<?x8xf32>
  return
}

// -----

// scan_c1: three parts
llm.state @s : !llm.recurrent<1x2x8>
func.func @f(%x: tensor<?x8xf32>, %batch: !llm.batch, %layer: index, %a: tensor<8x4xf32>, %n: tensor<?x4xf32>, %v: tensor<8xf32>) {
  // expected-error @+1 {{wkv wants a recurrent state of rank 2, [3, C]: @s}}
  %0 = llm.scan wkv %x, @s[%layer], %batch decay rate %v input %x skip %v : (tensor<?x8xf32>, index, !llm.batch, tensor<8xf32>, tensor<?x8xf32>, tensor<8xf32>) -> tensor<?x8xf32>
  return
}

// -----

// scan_c2: x
llm.state @s : !llm.recurrent<1x4x4>
func.func @f(%x: tensor<?x8xf32>, %batch: !llm.batch, %layer: index, %a: tensor<8x4xf32>, %n: tensor<?x4xf32>, %v: tensor<8xf32>) {
  // expected-error @+1 {{diagonal with a state of [4, 4] wants x of 4 channels}}
  %0 = llm.scan diagonal %x, @s[%layer], %batch decay rate %a step %x input %n output %n : (tensor<?x8xf32>, index, !llm.batch, tensor<8x4xf32>, tensor<?x8xf32>, tensor<?x4xf32>, tensor<?x4xf32>) -> tensor<?x8xf32>
  return
}

// -----

// scan_c2: decay
llm.state @s : !llm.recurrent<1x8x4>
func.func @f(%x: tensor<?x8xf32>, %batch: !llm.batch, %layer: index, %a: tensor<8x4xf32>, %n: tensor<?x4xf32>, %v: tensor<8xf32>) {
  // expected-error @+1 {{diagonal with a state of [8, 4] wants decay [8, 4]}}
  %0 = llm.scan diagonal %x, @s[%layer], %batch decay rate %v step %x input %n output %n : (tensor<?x8xf32>, index, !llm.batch, tensor<8xf32>, tensor<?x8xf32>, tensor<?x4xf32>, tensor<?x4xf32>) -> tensor<?x8xf32>
  return
}

// -----

// scan_c2: a missing operand
llm.state @s : !llm.recurrent<1x8x4>
func.func @f(%x: tensor<?x8xf32>, %batch: !llm.batch, %layer: index, %a: tensor<8x4xf32>, %n: tensor<?x4xf32>, %v: tensor<8xf32>) {
  // expected-error @+1 {{diagonal with a state of [8, 4] wants step of 8 channels}}
  %0 = llm.scan diagonal %x, @s[%layer], %batch decay rate %a input %n output %n : (tensor<?x8xf32>, index, !llm.batch, tensor<8x4xf32>, tensor<?x4xf32>, tensor<?x4xf32>) -> tensor<?x8xf32>
  return
}

// -----

// scan_c2: an operand of another kind
llm.state @s : !llm.recurrent<1x8>
func.func @f(%x: tensor<?x8xf32>, %batch: !llm.batch, %layer: index, %a: tensor<8x4xf32>, %n: tensor<?x4xf32>, %v: tensor<8xf32>) {
  // expected-error @+1 {{gated with a state of [8] wants input absent}}
  %0 = llm.scan gated %x, @s[%layer], %batch decay rate %v step %x input %n : (tensor<?x8xf32>, index, !llm.batch, tensor<8xf32>, tensor<?x8xf32>, tensor<?x4xf32>) -> tensor<?x8xf32>
  return
}

// -----

// scan_c2: three groups for two heads
llm.state @s : !llm.recurrent<1x2x4x16>
func.func @f(%x: tensor<?x8xf32>, %batch: !llm.batch, %layer: index, %a: tensor<2xf32>, %step: tensor<?x2xf32>, %n: tensor<?x48xf32>) {
  // expected-error @+1 {{scalar with a state of [2, 4, 16] wants input of 16 channels for each group of heads}}
  %0 = llm.scan scalar %x, @s[%layer], %batch decay rate %a step %step input %n output %n : (tensor<?x8xf32>, index, !llm.batch, tensor<2xf32>, tensor<?x2xf32>, tensor<?x48xf32>, tensor<?x48xf32>) -> tensor<?x8xf32>
  return
}

// -----

// scan_c3
llm.state @s : !llm.recurrent<1x8x4>
func.func @f(%x: tensor<?x8xf32>, %batch: !llm.batch, %layer: index, %a: tensor<8x4xf32>, %n: tensor<?x4xf32>, %v: tensor<8xf32>) {
  // expected-error @+1 {{'step_limit' must be [low, high] of a step}}
  %0 = llm.scan diagonal %x, @s[%layer], %batch decay rate %a step %x input %n output %n {step_limit = array<f64: 1.0, 0.5>} : (tensor<?x8xf32>, index, !llm.batch, tensor<8x4xf32>, tensor<?x8xf32>, tensor<?x4xf32>, tensor<?x4xf32>) -> tensor<?x8xf32>
  return
}

// -----

// scan_c4
llm.state @s : !llm.recurrent<1x8x4>
func.func @f(%x: tensor<?x8xf32>, %batch: !llm.batch, %layer: index, %a: tensor<8x4xf32>, %n: tensor<?x4xf32>, %v: tensor<8xf32>) {
  // expected-error @+1 {{'chunk' must not be negative}}
  %0 = llm.scan diagonal %x, @s[%layer], %batch decay rate %a step %x input %n output %n chunk -1 : (tensor<?x8xf32>, index, !llm.batch, tensor<8x4xf32>, tensor<?x8xf32>, tensor<?x4xf32>, tensor<?x4xf32>) -> tensor<?x8xf32>
  return
}

// -----

// concat_c1
func.func @f(%x: tensor<?x8xf32>, %h: tensor<?x2xf32>) {
  // expected-error @+2 {{failed to infer returned types}}
  // expected-error @+1 {{'llm.concat' op inferred type(s) 'tensor<?x10xf32>' are incompatible with return type(s) of operation 'tensor<?x9xf32>'}}
  %0 = llm.concat %x, %h : tensor<?x8xf32>, tensor<?x2xf32> -> tensor<?x9xf32>
  return
}

// -----

// concat_c1: of nothing
func.func @f() {
  // expected-error @+2 {{failed to infer returned types}}
  // expected-error @+1 {{wants parts of 1 to 1073741824 channels in all}}
  %0 = "llm.concat"() : () -> tensor<?x9xf32>
  return
}
