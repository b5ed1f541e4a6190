// RUN: llmc-opt %s --llm-fuse-parallel-linears --mlir-print-debuginfo | FileCheck %s

// Each result keeps its location, so that values can be compared before and after.
// CHECK: llm.linear {{.*}} loc(#[[FUSED:.*]])
// CHECK-DAG: #[[Q:.*]] = loc("q")
// CHECK-DAG: #[[K:.*]] = loc("k")
// CHECK: #[[FUSED]] = loc(fused<"results">[#[[Q]], #[[K]]])
func.func @names(%x: tensor<?x64xf32>, %w: tensor<64x64xf32>) -> (tensor<?x64xf32>, tensor<?x64xf32>) {
  %q = llm.linear %x [%w] : (tensor<?x64xf32>, tensor<64x64xf32>) -> tensor<?x64xf32> loc("q")
  %k = llm.linear %x [%w] : (tensor<?x64xf32>, tensor<64x64xf32>) -> tensor<?x64xf32> loc("k")
  return %q, %k : tensor<?x64xf32>, tensor<?x64xf32>
}
