// The ops around recurrences: spelling, folds.
// RUN: llmc-opt %s | llmc-opt | FileCheck %s
// RUN: llmc-opt %s --canonicalize | FileCheck %s --check-prefix=FOLD

// CHECK-LABEL: @parts(
func.func @parts(%x: tensor<?x8xf32>, %h: tensor<?x2xf32>, %w: tensor<8xf32>, %g: tensor<2xf32>) -> tensor<?x8xf32> {
  // CHECK: llm.mul %{{.*}}, %{{.*}} : tensor<?x8xf32>, tensor<?x2xf32>
  %0 = llm.mul %x, %h : tensor<?x8xf32>, tensor<?x2xf32>
  // CHECK: llm.scale_channels %{{.*}}, %{{.*}} : tensor<?x8xf32>, tensor<2xf32>
  %1 = llm.scale_channels %0, %g : tensor<?x8xf32>, tensor<2xf32>
  // CHECK: llm.add_bias %{{.*}}, %{{.*}} : tensor<?x8xf32>, tensor<8xf32>
  %2 = llm.add_bias %1, %w : tensor<?x8xf32>, tensor<8xf32>
  // CHECK: llm.mix %{{.*}}, %{{.*}} by %{{.*}} : tensor<?x8xf32>, tensor<8xf32>
  %3 = llm.mix %2, %x by %w : tensor<?x8xf32>, tensor<8xf32>
  // CHECK: llm.unit_norm %{{.*}} group 4 {eps = {{.*}}} : tensor<?x8xf32>
  %4 = llm.unit_norm %3 group 4 {eps = 1.0e-5} : tensor<?x8xf32>
  return %4 : tensor<?x8xf32>
}

// Columns of columns are columns; all of them are the value.
// FOLD-LABEL: @columns(
// FOLD-NEXT: llm.columns %arg0 from 3 : tensor<?x8xf32> -> tensor<?x2xf32>
// FOLD-NEXT: return
func.func @columns(%x: tensor<?x8xf32>) -> tensor<?x2xf32> {
  // CHECK: llm.columns %{{.*}} from 1 : tensor<?x8xf32> -> tensor<?x4xf32>
  %0 = llm.columns %x from 0 : tensor<?x8xf32> -> tensor<?x8xf32>
  %1 = llm.columns %0 from 1 : tensor<?x8xf32> -> tensor<?x4xf32>
  %2 = llm.columns %1 from 2 : tensor<?x4xf32> -> tensor<?x2xf32>
  return %2 : tensor<?x2xf32>
}
