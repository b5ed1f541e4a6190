// RUN: llmc-opt %s --llm-simplify | FileCheck %s
// RUN: llmc-opt %s --llm-simplify --mlir-pass-statistics 2>&1 >/dev/null | FileCheck %s --check-prefix=STATS

// STATS: llm-simplify
// STATS-DAG: (S) 3 folded-scales
// STATS-DAG: (S) 3 merged-scales

llm.weight @table : !llm.weights<1x32x64xbf16> from "embed.weight"

// CHECK-LABEL: @unit_scale
// CHECK-SAME: (%[[X:.*]]: tensor
// CHECK-NEXT: return %[[X]]
func.func @unit_scale(%x: tensor<?x64xf32>) -> tensor<?x64xf32> {
  %y = llm.scale %x by 1.0 : tensor<?x64xf32>
  return %y : tensor<?x64xf32>
}

// CHECK-LABEL: @merges_scales
// CHECK-NEXT: %[[Y:.*]] = llm.scale %{{.*}} by 6.000000e+00
// CHECK-NEXT: return %[[Y]]
func.func @merges_scales(%x: tensor<?x64xf32>) -> tensor<?x64xf32> {
  %a = llm.scale %x by 2.0 : tensor<?x64xf32>
  %b = llm.scale %a by 3.0 : tensor<?x64xf32>
  return %b : tensor<?x64xf32>
}

// The inner scale stays for its other reader.
// CHECK-LABEL: @merges_shared_scale
// CHECK-SAME: (%[[X:.*]]: tensor
// CHECK-DAG: llm.scale %[[X]] by 2.000000e+00
// CHECK-DAG: llm.scale %[[X]] by 8.000000e+00
func.func @merges_shared_scale(%x: tensor<?x64xf32>) -> (tensor<?x64xf32>, tensor<?x64xf32>) {
  %a = llm.scale %x by 2.0 : tensor<?x64xf32>
  %b = llm.scale %a by 4.0 : tensor<?x64xf32>
  return %a, %b : tensor<?x64xf32>, tensor<?x64xf32>
}

// 1e-30 * 1e-30 is no f32, though each factor is and x may be large.
// CHECK-LABEL: @keeps_product_out_of_range
// CHECK: llm.scale %{{.*}} by 1.000000e-30
// CHECK: llm.scale %{{.*}} by 1.000000e-30
func.func @keeps_product_out_of_range(%x: tensor<?x64xf32>) -> tensor<?x64xf32> {
  %a = llm.scale %x by 1.0e-30 : tensor<?x64xf32>
  %b = llm.scale %a by 1.0e-30 : tensor<?x64xf32>
  return %b : tensor<?x64xf32>
}

// CHECK-LABEL: @folds_into_embedding
// CHECK: %[[E:.*]] = llm.embedding %{{.*}}, %{{.*}} tokens {scale = 8.000000e+00 : f32}
// CHECK-NEXT: return %[[E]]
func.func @folds_into_embedding(%batch: !llm.batch) -> tensor<?x64xf32> {
  %t = llm.weight_load @table : tensor<32x64xbf16>
  %e = llm.embedding %batch, %t tokens : tensor<32x64xbf16> -> tensor<?x64xf32>
  %y = llm.scale %e by 8.0 : tensor<?x64xf32>
  return %y : tensor<?x64xf32>
}

// CHECK-LABEL: @multiplies_embedding_scale
// CHECK: llm.embedding %{{.*}}, %{{.*}} positions {offset = 2 : i64, scale = 6.000000e+00 : f32}
// CHECK-NOT: llm.scale
func.func @multiplies_embedding_scale(%batch: !llm.batch) -> tensor<?x64xf32> {
  %t = llm.weight_load @table : tensor<32x64xbf16>
  %e = llm.embedding %batch, %t positions {scale = 2.0 : f32, offset = 2 : i64} : tensor<32x64xbf16> -> tensor<?x64xf32>
  %y = llm.scale %e by 3.0 : tensor<?x64xf32>
  return %y : tensor<?x64xf32>
}

// Both rewrites in a row: three ops become one.
// CHECK-LABEL: @chain
// CHECK: llm.embedding %{{.*}} {scale = 1.000000e+01 : f32}
// CHECK-NOT: llm.scale
func.func @chain(%batch: !llm.batch) -> tensor<?x64xf32> {
  %t = llm.weight_load @table : tensor<32x64xbf16>
  %e = llm.embedding %batch, %t tokens : tensor<32x64xbf16> -> tensor<?x64xf32>
  %a = llm.scale %e by 4.0 : tensor<?x64xf32>
  %b = llm.scale %a by 2.5 : tensor<?x64xf32>
  return %b : tensor<?x64xf32>
}

// A second reader wants the plain rows.
// CHECK-LABEL: @keeps_scale_of_shared_embedding
// CHECK: llm.embedding %{{.*}} tokens :
// CHECK: llm.scale
func.func @keeps_scale_of_shared_embedding(%batch: !llm.batch) -> (tensor<?x64xf32>, tensor<?x64xf32>) {
  %t = llm.weight_load @table : tensor<32x64xbf16>
  %e = llm.embedding %batch, %t tokens : tensor<32x64xbf16> -> tensor<?x64xf32>
  %y = llm.scale %e by 8.0 : tensor<?x64xf32>
  return %e, %y : tensor<?x64xf32>, tensor<?x64xf32>
}

// CHECK-LABEL: @drops_unread_ops
// CHECK-NEXT: return
func.func @drops_unread_ops(%batch: !llm.batch) {
  %t = llm.weight_load @table : tensor<32x64xbf16>
  %e = llm.embedding %batch, %t tokens : tensor<32x64xbf16> -> tensor<?x64xf32>
  return
}
