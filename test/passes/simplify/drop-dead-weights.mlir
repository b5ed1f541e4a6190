// RUN: llmc-opt %s --split-input-file --allow-unregistered-dialect --llm-drop-dead-weights | FileCheck %s
// RUN: llmc-opt %s --split-input-file --allow-unregistered-dialect --llm-drop-dead-weights --mlir-pass-statistics 2>&1 >/dev/null \
// RUN:   | FileCheck %s --check-prefix=STATS

// STATS: llm-drop-dead-weights
// STATS-DAG: (S) 3 dropped-functions
// STATS-DAG: (S) 1 dropped-states
// STATS-DAG: (S) 2 dropped-weights

// CHECK-LABEL: module
// CHECK: llm.asset @tokenizer
// CHECK-NOT: @rotary_inv_freq
// CHECK: llm.weight @norm
// CHECK-NOT: @only_dead
// CHECK: llm.state @kv :
// CHECK-NOT: @unused
// CHECK: func.func private @block
// CHECK-NOT: @dead
// CHECK: func.func @step
llm.asset @tokenizer tokenizer "tokenizer.json"
llm.weight @rotary_inv_freq : !llm.weights<1x32xf32> from "rotary.inv_freq"
llm.weight @norm : !llm.weights<2x64xf32> from "blk.{layer}.norm"
llm.weight @only_dead : !llm.weights<1x64xf32> from "dead.norm"
llm.state @kv : !llm.kv_cache<layers = 2, kv_heads = 1, head_dim = 64, f16>
llm.state @unused : !llm.kv_cache<layers = 2, kv_heads = 1, head_dim = 64, f16>
func.func private @block(%x: tensor<?x64xf32>, %i: index, %batch: !llm.batch) -> tensor<?x64xf32> {
  %g = llm.weight_load @norm[%i] : tensor<64xf32>
  %n = llm.rms_norm %x, %g {eps = 1.0e-5} : tensor<?x64xf32>, tensor<64xf32>
  %y = llm.attention %n, %n, %n, @kv[%i], %batch scale 0.125
    : (tensor<?x64xf32>, tensor<?x64xf32>, tensor<?x64xf32>, index, !llm.batch) -> tensor<?x64xf32>
  return %y : tensor<?x64xf32>
}
func.func private @dead(%x: tensor<?x64xf32>) -> tensor<?x64xf32> {
  %g = llm.weight_load @only_dead : tensor<64xf32>
  %y = llm.rms_norm %x, %g {eps = 1.0e-5} : tensor<?x64xf32>, tensor<64xf32>
  return %y : tensor<?x64xf32>
}
func.func @step(%x: tensor<?x64xf32>, %batch: !llm.batch) -> tensor<?x64xf32> {
  %y = llm.layers %x, %batch kinds [@block] order [0, 0] : tensor<?x64xf32> -> tensor<?x64xf32>
  return %y : tensor<?x64xf32>
}

// -----

// Functions that only call each other are dead too.
// CHECK-LABEL: module
// CHECK-NOT: func.func private
func.func private @ping() {
  func.call @pong() : () -> ()
  return
}
func.func private @pong() {
  func.call @ping() : () -> ()
  return
}
func.func @step() {
  return
}

// -----

// An op of an unregistered dialect with a region may be a symbol table: all stays.
// CHECK-LABEL: module
// CHECK: llm.weight @maybe
llm.weight @maybe : !llm.weights<1x64xf32> from "w"
func.func @step() {
  "other.op"() ({
  }) : () -> ()
  return
}
