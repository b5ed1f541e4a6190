// RUN: llmc-interpret %s --function rms_norm | FileCheck %s --check-prefix=RMS-NORM
// RUN: llmc-interpret %s --function rms_norm_offset | FileCheck %s --check-prefix=RMS-NORM-OFFSET
// RUN: llmc-interpret %s --function rms_norm_heads | FileCheck %s --check-prefix=RMS-NORM-HEADS
// RUN: llmc-interpret %s --function layer_norm | FileCheck %s --check-prefix=LAYER-NORM
// RUN: llmc-interpret %s --function layer_norm_no_bias | FileCheck %s --check-prefix=LAYER-NORM-NO-BIAS
// Expected values: Inputs/reference.py, in float64.

func.func private @input() -> tensor<?x4xf32> {
  %c = arith.constant dense<[[-2.0, -0.5, 0.0, 1.5], [3.0, 10.0, -30.0, 0.25]]> : tensor<2x4xf32>
  %x = tensor.cast %c : tensor<2x4xf32> to tensor<?x4xf32>
  return %x : tensor<?x4xf32>
}

// RMS-NORM: [-1.569, -0.1961, 0, 2.353]
// RMS-NORM-NEXT: [0.1889, 0.3148, 1.889, 0.03148]
func.func @rms_norm() -> tensor<?x4xf32> {
  %x = call @input() : () -> tensor<?x4xf32>
  %g = arith.constant dense<[1.0, 0.5, -1.0, 2.0]> : tensor<4xf32>
  %y = llm.rms_norm %x, %g {eps = 1.0e-5 : f64} : tensor<?x4xf32>, tensor<4xf32>
  return %y : tensor<?x4xf32>
}

// RMS-NORM-OFFSET: [-2.744, -0.5145, 0, 3.087]
// RMS-NORM-OFFSET-NEXT: [0.3774, 0.9435, 0, 0.04717]
func.func @rms_norm_offset() -> tensor<?x4xf32> {
  %x = call @input() : () -> tensor<?x4xf32>
  %g = arith.constant dense<[1.0, 0.5, -1.0, 2.0]> : tensor<4xf32>
  %y = llm.rms_norm %x, %g {eps = 0.5 : f64, offset = 1.0 : f64} : tensor<?x4xf32>, tensor<4xf32>
  return %y : tensor<?x4xf32>
}

// RMS-NORM-HEADS: [-1.372, -0.686, 0, 2.828]
// RMS-NORM-HEADS-NEXT: [0.4064, 2.709, -1.414, 0.02357]
func.func @rms_norm_heads() -> tensor<?x4xf32> {
  %x = call @input() : () -> tensor<?x4xf32>
  %g = arith.constant dense<[1.0, 2.0]> : tensor<2xf32>
  %y = llm.rms_norm %x, %g {eps = 1.0e-5 : f64} : tensor<?x4xf32>, tensor<2xf32>
  return %y : tensor<?x4xf32>
}

// LAYER-NORM: [-1.15, -0.1, 0.8, 1.8]
// LAYER-NORM-NEXT: [0.7191, 0.463, 2.685, -0.4207]
func.func @layer_norm() -> tensor<?x4xf32> {
  %x = call @input() : () -> tensor<?x4xf32>
  %g = arith.constant dense<[1.0, 0.5, -1.0, 2.0]> : tensor<4xf32>
  %b = arith.constant dense<[0.25, 0.0, 1.0, -1.0]> : tensor<4xf32>
  %y = llm.layer_norm %x, %g, %b {eps = 1.0e-5 : f64} : tensor<?x4xf32>, tensor<4xf32>, tensor<4xf32>
  return %y : tensor<?x4xf32>
}

// LAYER-NORM-NO-BIAS: [-1.219, -0.08704, -0.1741, 2.437]
// LAYER-NORM-NO-BIAS-NEXT: [0.4686, 0.4625, 1.683, 0.5787]
func.func @layer_norm_no_bias() -> tensor<?x4xf32> {
  %x = call @input() : () -> tensor<?x4xf32>
  %g = arith.constant dense<[1.0, 0.5, -1.0, 2.0]> : tensor<4xf32>
  %y = llm.layer_norm %x, %g {eps = 0.5 : f64} : tensor<?x4xf32>, tensor<4xf32>
  return %y : tensor<?x4xf32>
}
