// RUN: llmc-opt %s --llm-fuse-glu | FileCheck %s
// RUN: llmc-opt %s --llm-fuse-glu --mlir-pass-statistics 2>&1 >/dev/null | FileCheck %s --check-prefix=STATS

// STATS: llm-fuse-glu
// STATS-DAG: (S) 3 fused-glus
// STATS-DAG: (S) 2 swapped-weights

// CHECK-LABEL: @gate_up
// CHECK-SAME: (%[[X:[^:]*]]: tensor<?x64xf32>, %[[G:[^:]*]]: tensor<96x64xf32>, %[[U:[^:]*]]: tensor<96x64xf32>)
// CHECK-NEXT: %[[Y:.*]] = llm.linear %[[X]][%[[G]], %[[U]]] activation silu glu :
// CHECK-NEXT: return %[[Y]]
func.func @gate_up(%x: tensor<?x64xf32>, %g: tensor<96x64xf32>, %u: tensor<96x64xf32>) -> tensor<?x96xf32> {
  %h:2 = llm.linear %x [%g, %u] : (tensor<?x64xf32>, tensor<96x64xf32>, tensor<96x64xf32>) -> (tensor<?x96xf32>, tensor<?x96xf32>)
  %y = llm.glu silu %h#0, %h#1 : tensor<?x96xf32>
  return %y : tensor<?x96xf32>
}

// CHECK-LABEL: @up_gate
// CHECK-SAME: (%[[X:[^:]*]]: tensor<?x64xf32>, %[[U:[^:]*]]: tensor<96x64xf32>, %[[G:[^:]*]]: tensor<96x64xf32>)
// CHECK-NEXT: llm.linear %[[X]][%[[G]], %[[U]]] activation gelu_tanh glu :
func.func @up_gate(%x: tensor<?x64xf32>, %u: tensor<96x64xf32>, %g: tensor<96x64xf32>) -> tensor<?x96xf32> {
  %h:2 = llm.linear %x [%u, %g] : (tensor<?x64xf32>, tensor<96x64xf32>, tensor<96x64xf32>) -> (tensor<?x96xf32>, tensor<?x96xf32>)
  %y = llm.glu gelu_tanh %h#1, %h#0 : tensor<?x96xf32>
  return %y : tensor<?x96xf32>
}

// CHECK-LABEL: @biases_follow
// CHECK-SAME: %[[U:[^:]*]]: tensor<96x64xf32>, %[[G:[^:]*]]: tensor<96x64xf32>, %[[BU:[^:]*]]: tensor<96xf32>, %[[BG:[^:]*]]: tensor<96xf32>)
// CHECK-NEXT: llm.linear %{{.*}}[%[[G]], %[[U]]] bias[%[[BG]], %[[BU]]] activation silu glu :
func.func @biases_follow(%x: tensor<?x64xf32>, %u: tensor<96x64xf32>, %g: tensor<96x64xf32>, %bu: tensor<96xf32>, %bg: tensor<96xf32>)
    -> tensor<?x96xf32> {
  %h:2 = llm.linear %x [%u, %g] bias [%bu, %bg]
    : (tensor<?x64xf32>, tensor<96x64xf32>, tensor<96x64xf32>, tensor<96xf32>, tensor<96xf32>) -> (tensor<?x96xf32>, tensor<?x96xf32>)
  %y = llm.glu silu %h#1, %h#0 : tensor<?x96xf32>
  return %y : tensor<?x96xf32>
}

// CHECK-LABEL: @keeps_second_reader
// CHECK: llm.glu
func.func @keeps_second_reader(%x: tensor<?x64xf32>, %g: tensor<96x64xf32>) -> (tensor<?x96xf32>, tensor<?x96xf32>) {
  %h:2 = llm.linear %x [%g, %g] : (tensor<?x64xf32>, tensor<96x64xf32>, tensor<96x64xf32>) -> (tensor<?x96xf32>, tensor<?x96xf32>)
  %y = llm.glu silu %h#0, %h#1 : tensor<?x96xf32>
  return %y, %h#1 : tensor<?x96xf32>, tensor<?x96xf32>
}

// CHECK-LABEL: @keeps_third_weight
// CHECK: llm.glu
func.func @keeps_third_weight(%x: tensor<?x64xf32>, %g: tensor<96x64xf32>) -> (tensor<?x96xf32>, tensor<?x96xf32>) {
  %h:3 = llm.linear %x [%g, %g, %g]
    : (tensor<?x64xf32>, tensor<96x64xf32>, tensor<96x64xf32>, tensor<96x64xf32>) -> (tensor<?x96xf32>, tensor<?x96xf32>, tensor<?x96xf32>)
  %y = llm.glu silu %h#0, %h#1 : tensor<?x96xf32>
  return %y, %h#2 : tensor<?x96xf32>, tensor<?x96xf32>
}

// CHECK-LABEL: @keeps_one_operand_twice
// CHECK: llm.glu
func.func @keeps_one_operand_twice(%x: tensor<?x64xf32>, %g: tensor<96x64xf32>) -> tensor<?x96xf32> {
  %h:2 = llm.linear %x [%g, %g] : (tensor<?x64xf32>, tensor<96x64xf32>, tensor<96x64xf32>) -> (tensor<?x96xf32>, tensor<?x96xf32>)
  %y = llm.glu silu %h#0, %h#0 : tensor<?x96xf32>
  return %y : tensor<?x96xf32>
}

// CHECK-LABEL: @keeps_activated_products
// CHECK: llm.glu
func.func @keeps_activated_products(%x: tensor<?x64xf32>, %g: tensor<96x64xf32>) -> tensor<?x96xf32> {
  %h:2 = llm.linear %x [%g, %g] activation relu : (tensor<?x64xf32>, tensor<96x64xf32>, tensor<96x64xf32>) -> (tensor<?x96xf32>, tensor<?x96xf32>)
  %y = llm.glu silu %h#0, %h#1 : tensor<?x96xf32>
  return %y : tensor<?x96xf32>
}

// CHECK-LABEL: @keeps_two_products
// CHECK: llm.glu
func.func @keeps_two_products(%x: tensor<?x64xf32>, %z: tensor<?x64xf32>, %g: tensor<96x64xf32>) -> tensor<?x96xf32> {
  %a = llm.linear %x [%g] : (tensor<?x64xf32>, tensor<96x64xf32>) -> tensor<?x96xf32>
  %b = llm.linear %z [%g] : (tensor<?x64xf32>, tensor<96x64xf32>) -> tensor<?x96xf32>
  %y = llm.glu silu %a, %b : tensor<?x96xf32>
  return %y : tensor<?x96xf32>
}
