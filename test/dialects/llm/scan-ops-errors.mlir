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
