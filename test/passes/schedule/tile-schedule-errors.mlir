// RUN: llmc-opt %s --tile-schedule --split-input-file --verify-diagnostics

// expected-error @+1 {{tile-schedule: the module has no tile.target}}
module {
  func.func @step_1(%batch: !llm.batch) attributes {llm.max_tokens = 1 : i64} { return }
}

// -----

module attributes {tile.target = #tile.target<"generic", vector = 128, dot = portable>} {
llm.asset @file weights "f"
llm.weight @embed : !llm.weights<1x8x8xf32> from "embed"
// Logits of all tokens would be written where room is for the wanted ones.
// expected-error @+1 {{tile-schedule: the step's results have one row per token; want those of llm.select_rows}}
func.func @step_1(%batch: !llm.batch) -> tensor<?x8xf32> attributes {llm.max_tokens = 1 : i64} {
  %t = llm.weight_load @embed : tensor<8x8xf32>
  %e = llm.embedding %batch, %t tokens : tensor<8x8xf32> -> tensor<?x8xf32>
  %l = llm.linear %e [%t] : (tensor<?x8xf32>, tensor<8x8xf32>) -> tensor<?x8xf32>
  return %l : tensor<?x8xf32>
}
}

// -----

module attributes {tile.target = #tile.target<"generic", vector = 128, dot = portable>} {
func.func @step_1(%batch: !llm.batch) attributes {llm.max_tokens = 1 : i64} {
  // expected-error @+1 {{tile-schedule: has no schedule}}
  %0 = arith.constant 0 : i64
  return
}
}
