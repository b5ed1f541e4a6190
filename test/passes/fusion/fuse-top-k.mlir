// RUN: llmc-opt %s --split-input-file --llm-fuse-top-k | FileCheck %s
// RUN: llmc-opt %s --split-input-file --llm-fuse-top-k --mlir-pass-statistics 2>&1 >/dev/null | FileCheck %s --check-prefix=STATS

// STATS: llm-fuse-top-k
// STATS-NEXT: (S) 2 fused-epilogues
// STATS-NEXT: (S) 2 marked-products

// CHECK-LABEL: @step
// CHECK-NEXT: %[[Y:.*]] = llm.linear %{{.*}}[%{{.*}}] scale 2.500000e-01 softcap 3.000000e+01 top_k :
// CHECK-NEXT: return %[[Y]], %{{.*}} :
func.func @step(%x: tensor<?x64xf32>, %w: tensor<40x64xf32>) -> (tensor<?x40xf32>, tensor<?x64xf32>) {
  %l = llm.linear %x [%w] : (tensor<?x64xf32>, tensor<40x64xf32>) -> tensor<?x40xf32>
  %s = llm.scale %l by 0.25 : tensor<?x40xf32>
  %y = llm.softcap %s cap 30.0 : tensor<?x40xf32>
  return %y, %x : tensor<?x40xf32>, tensor<?x64xf32>
}

// -----

// The bare product, with its norm and bias; another function's product stays.
// CHECK-LABEL: @step
// CHECK-NEXT: llm.linear %{{.*}}[%{{.*}}] bias[%{{.*}}] norm <rms, eps = 1.000000e-05> %{{.*}} top_k :
func.func @step(%x: tensor<?x64xf32>, %w: tensor<40x64xf32>, %b: tensor<40xf32>, %g: tensor<64xf32>) -> (tensor<?x40xf32>, tensor<?x64xf32>) {
  %y = llm.linear %x [%w] bias [%b] norm <rms, eps = 1.0e-5> %g
    : (tensor<?x64xf32>, tensor<40x64xf32>, tensor<40xf32>, tensor<64xf32>) -> tensor<?x40xf32>
  return %y, %x : tensor<?x40xf32>, tensor<?x64xf32>
}

// CHECK-LABEL: @layer
// CHECK-NOT: top_k
func.func @layer(%x: tensor<?x64xf32>, %w: tensor<64x64xf32>) -> tensor<?x64xf32> {
  %y = llm.linear %x [%w] : (tensor<?x64xf32>, tensor<64x64xf32>) -> tensor<?x64xf32>
  return %y : tensor<?x64xf32>
}

// -----

// A softcap before the scale is another function: what comes last is a scale of what no product makes.
// CHECK-LABEL: @step
// CHECK-NEXT: llm.linear
// CHECK-NOT: top_k
// CHECK: llm.softcap
// CHECK-NEXT: llm.scale
func.func @step(%x: tensor<?x64xf32>, %w: tensor<40x64xf32>) -> (tensor<?x40xf32>, tensor<?x64xf32>) {
  %l = llm.linear %x [%w] : (tensor<?x64xf32>, tensor<40x64xf32>) -> tensor<?x40xf32>
  %c = llm.softcap %l cap 30.0 : tensor<?x40xf32>
  %y = llm.scale %c by 0.25 : tensor<?x40xf32>
  return %y, %x : tensor<?x40xf32>, tensor<?x64xf32>
}

// -----

// The logits are the hidden rows too.
// CHECK-LABEL: @step
// CHECK-NOT: top_k
func.func @step(%x: tensor<?x64xf32>, %w: tensor<40x64xf32>) -> (tensor<?x40xf32>, tensor<?x40xf32>) {
  %y = llm.linear %x [%w] : (tensor<?x64xf32>, tensor<40x64xf32>) -> tensor<?x40xf32>
  return %y, %y : tensor<?x40xf32>, tensor<?x40xf32>
}

// -----

// CHECK-LABEL: @step
// CHECK-NOT: top_k
func.func @step(%x: tensor<?x64xf32>, %w: tensor<40x64xf32>) -> (tensor<?x40xf32>, tensor<?x64xf32>) {
  %y = llm.linear %x [%w] activation relu : (tensor<?x64xf32>, tensor<40x64xf32>) -> tensor<?x40xf32>
  return %y, %x : tensor<?x40xf32>, tensor<?x64xf32>
}
// -----

// A product that may be infinite, times 0, is not 0.
// CHECK-LABEL: @step
// CHECK-NOT: top_k
// CHECK: llm.scale
func.func @step(%x: tensor<?x64xf32>, %w: tensor<40x64xf32>) -> (tensor<?x40xf32>, tensor<?x64xf32>) {
  %l = llm.linear %x [%w] : (tensor<?x64xf32>, tensor<40x64xf32>) -> tensor<?x40xf32>
  %y = llm.scale %l by 0.0 : tensor<?x40xf32>
  return %y, %x : tensor<?x40xf32>, tensor<?x64xf32>
}
