// RUN: llmc-interpret %s --function add | FileCheck %s --check-prefix=ADD
// RUN: llmc-interpret %s --function scale | FileCheck %s --check-prefix=SCALE
// RUN: llmc-interpret %s --function softcap | FileCheck %s --check-prefix=SOFTCAP
// RUN: llmc-interpret %s --function relu | FileCheck %s --check-prefix=RELU
// RUN: llmc-interpret %s --function silu | FileCheck %s --check-prefix=SILU
// RUN: llmc-interpret %s --function gelu | FileCheck %s --check-prefix=GELU
// RUN: llmc-interpret %s --function gelu_tanh | FileCheck %s --check-prefix=GELU-TANH
// RUN: llmc-interpret %s --function sigmoid | FileCheck %s --check-prefix=SIGMOID
// RUN: llmc-interpret %s --function tanh | FileCheck %s --check-prefix=TANH
// RUN: llmc-interpret %s --function glu | FileCheck %s --check-prefix=GLU
// Expected values: Inputs/reference.py, in float64.

func.func private @input() -> tensor<?x4xf32> {
  %c = arith.constant dense<[[-2.0, -0.5, 0.0, 1.5], [3.0, 10.0, -30.0, 0.25]]> : tensor<2x4xf32>
  %x = tensor.cast %c : tensor<2x4xf32> to tensor<?x4xf32>
  return %x : tensor<?x4xf32>
}

// ADD: [-4, -1, 0, 3]
// ADD-NEXT: [6, 20, -60, 0.5]
func.func @add() -> tensor<?x4xf32> {
  %x = call @input() : () -> tensor<?x4xf32>
  %y = llm.add %x, %x : tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}

// SCALE: [-1, -0.25, 0, 0.75]
// SCALE-NEXT: [1.5, 5, -15, 0.125]
func.func @scale() -> tensor<?x4xf32> {
  %x = call @input() : () -> tensor<?x4xf32>
  %y = llm.scale %x by 0.5 : tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}

// SOFTCAP: [-1.523, -0.4898, 0, 1.27]
// SOFTCAP-NEXT: [1.81, 2, -2, 0.2487]
func.func @softcap() -> tensor<?x4xf32> {
  %x = call @input() : () -> tensor<?x4xf32>
  %y = llm.softcap %x cap 2.0 : tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}

// RELU: [0, 0, 0, 1.5]
// RELU-NEXT: [3, 10, 0, 0.25]
func.func @relu() -> tensor<?x4xf32> {
  %x = call @input() : () -> tensor<?x4xf32>
  %y = llm.activation relu %x : tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}

// SILU: [-0.2384, -0.1888, 0, 1.226]
// SILU-NEXT: [2.858, 10, -2.807e-12, 0.1405]
func.func @silu() -> tensor<?x4xf32> {
  %x = call @input() : () -> tensor<?x4xf32>
  %y = llm.activation silu %x : tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}

// GELU: [-0.0455, -0.1543, 0, 1.4]
// GELU-NEXT: [2.996, 10, 0, 0.1497]
func.func @gelu() -> tensor<?x4xf32> {
  %x = call @input() : () -> tensor<?x4xf32>
  %y = llm.activation gelu %x : tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}

// GELU-TANH: [-0.0454, -0.1543, 0, 1.4]
// GELU-TANH-NEXT: [2.996, 10, 0, 0.1497]
func.func @gelu_tanh() -> tensor<?x4xf32> {
  %x = call @input() : () -> tensor<?x4xf32>
  %y = llm.activation gelu_tanh %x : tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}

// SIGMOID: [0.1192, 0.3775, 0.5, 0.8176]
// SIGMOID-NEXT: [0.9526, 1, 9.358e-14, 0.5622]
func.func @sigmoid() -> tensor<?x4xf32> {
  %x = call @input() : () -> tensor<?x4xf32>
  %y = llm.activation sigmoid %x : tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}

// TANH: [-0.964, -0.4621, 0, 0.9051]
// TANH-NEXT: [0.9951, 1, -1, 0.2449]
func.func @tanh() -> tensor<?x4xf32> {
  %x = call @input() : () -> tensor<?x4xf32>
  %y = llm.activation tanh %x : tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}

// GLU: [0.9536, 0.1888, 0, 3.679]
// GLU-NEXT: [17.15, 200, 1.684e-10, 0.07027]
func.func @glu() -> tensor<?x4xf32> {
  %x = call @input() : () -> tensor<?x4xf32>
  %up = llm.scale %x by 2.0 : tensor<?x4xf32>
  %y = llm.glu silu %x, %up : tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}
