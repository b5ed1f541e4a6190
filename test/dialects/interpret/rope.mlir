// RUN: llmc-interpret %s --function table_plain --tokens 0,0,0,0 | FileCheck %s --check-prefix=TABLE-PLAIN
// RUN: llmc-interpret %s --function table_factors --tokens 0,0,0,0 | FileCheck %s --check-prefix=TABLE-FACTORS
// RUN: llmc-interpret %s --function table_linear --tokens 0,0,0,0 | FileCheck %s --check-prefix=TABLE-LINEAR
// RUN: llmc-interpret %s --function table_llama3 --tokens 0,0,0,0 | FileCheck %s --check-prefix=TABLE-LLAMA3
// RUN: llmc-interpret %s --function table_yarn --tokens 0,0,0,0 | FileCheck %s --check-prefix=TABLE-YARN
// RUN: llmc-interpret %s --function table_yarn_exact --tokens 0,0,0,0 | FileCheck %s --check-prefix=TABLE-YARN-EXACT
// RUN: llmc-interpret %s --function table_dynamic_short --tokens 0,0,0,0 | FileCheck %s --check-prefix=TABLE-DYNAMIC-SHORT
// RUN: llmc-interpret %s --function table_dynamic_long --tokens 0,0,0,0 --lengths 32,32,32,32 | FileCheck %s --check-prefix=TABLE-DYNAMIC-LONG
// RUN: llmc-interpret %s --function table_longrope_short --tokens 0,0,0,0 | FileCheck %s --check-prefix=TABLE-LONGROPE-SHORT
// RUN: llmc-interpret %s --function table_longrope_long --tokens 0,0,0,0 --lengths 9,9,9,9 | FileCheck %s --check-prefix=TABLE-LONGROPE-LONG
// RUN: llmc-interpret %s --function rope_half --tokens 1,5,0,2 | FileCheck %s --check-prefix=ROPE-HALF
// RUN: llmc-interpret %s --function rope_interleaved --tokens 1,5,0,2 | FileCheck %s --check-prefix=ROPE-INTERLEAVED
// RUN: llmc-interpret %s --function rope_part --tokens 1,5,0,2 | FileCheck %s --check-prefix=ROPE-PART
// Expected values: Inputs/reference.py, in float64.

// Row r, channel c: (r + 1) * (c - 1) / 8.
func.func private @table() -> tensor<6x4xf32> {
  %t = arith.constant dense<[[-0.125, 0.0, 0.125, 0.25], [-0.25, 0.0, 0.25, 0.5], [-0.375, 0.0, 0.375, 0.75], [-0.5, 0.0, 0.5, 1.0], [-0.625, 0.0, 0.625, 1.25], [-0.75, 0.0, 0.75, 1.5]]> : tensor<6x4xf32>
  return %t : tensor<6x4xf32>
}

// TABLE-PLAIN: [1, 1, 0, 0]
// TABLE-PLAIN-NEXT: [0.5403, 0.995, 0.8415, 0.09983]
// TABLE-PLAIN-NEXT: [-0.4161, 0.9801, 0.9093, 0.1987]
// TABLE-PLAIN-NEXT: [-0.99, 0.9553, 0.1411, 0.2955]
func.func @table_plain(%batch: !llm.batch) -> tensor<?x4xf32> {
  %y = llm.rope_table %batch theta 100.0 -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}

// TABLE-FACTORS: [1, 1, 0, 0]
// TABLE-FACTORS-NEXT: [0.8776, 0.9997, 0.4794, 0.025]
// TABLE-FACTORS-NEXT: [0.5403, 0.9988, 0.8415, 0.04998]
// TABLE-FACTORS-NEXT: [0.07074, 0.9972, 0.9975, 0.07493]
func.func @table_factors(%batch: !llm.batch) -> tensor<?x4xf32> {
  %f = arith.constant dense<[2.0, 4.0]> : tensor<2xf32>
  %y = llm.rope_table %batch, %f : tensor<2xf32> theta 100.0 -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}

// TABLE-LINEAR: step 0
// TABLE-LINEAR-COUNT-3: [
// TABLE-LINEAR: [0.9305, 0.9993, 0.3663, 0.03749]
// Position 3.
func.func @table_linear(%batch: !llm.batch) -> tensor<?x4xf32> {
  %y = llm.rope_table %batch theta 100.0 scaling <linear, factor = 8.0> -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}

// TABLE-LLAMA3: step 0
// TABLE-LLAMA3-COUNT-3: [
// TABLE-LLAMA3: [-0.99, 0.7431, 0.9992, 0.9999, 0.1411, 0.6692, 0.03912, 0.01186]
// Position 3.
func.func @table_llama3(%batch: !llm.batch) -> tensor<?x8xf32> {
  %y = llm.rope_table %batch theta 100.0 scaling <llama3, factor = 8.0, low_freq_factor = 1.0, high_freq_factor = 4.0, original_max_positions = 64> -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// TABLE-YARN: step 0
// TABLE-YARN-COUNT-3: [
// TABLE-YARN: [-1.237, 0.9467, 1.236, 1.25, 0.1764, 0.8162, 0.1868, 0.02964]
// Position 3.
func.func @table_yarn(%batch: !llm.batch) -> tensor<?x8xf32> {
  %y = llm.rope_table %batch theta 100.0 scaling <yarn, factor = 4.0, original_max_positions = 64, beta_fast = 4.0, attention_factor = 1.25> -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// TABLE-YARN-EXACT: step 0
// TABLE-YARN-EXACT-COUNT-3: [
// TABLE-YARN-EXACT: [-0.99, 0.6693, 0.997, 0.9997, 0.1411, 0.743, 0.07791, 0.02371]
// Position 3.
func.func @table_yarn_exact(%batch: !llm.batch) -> tensor<?x8xf32> {
  %y = llm.rope_table %batch theta 100.0 scaling <yarn, factor = 4.0, original_max_positions = 64, beta_fast = 4.0, truncate = false> -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// TABLE-DYNAMIC-SHORT: step 0
// TABLE-DYNAMIC-SHORT-COUNT-3: [
// TABLE-DYNAMIC-SHORT: [-0.99, 0.9553, 0.1411, 0.2955]
// Position 3.
func.func @table_dynamic_short(%batch: !llm.batch) -> tensor<?x4xf32> {
  %y = llm.rope_table %batch theta 100.0 scaling <dynamic, factor = 2.0, original_max_positions = 8> -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}

// TABLE-DYNAMIC-LONG: step 0
// TABLE-DYNAMIC-LONG-COUNT-3: [
// TABLE-DYNAMIC-LONG: [-0.99, 0.9991, 0.1411, 0.04284]
// Position 3.
func.func @table_dynamic_long(%batch: !llm.batch) -> tensor<?x4xf32> {
  %y = llm.rope_table %batch theta 100.0 scaling <dynamic, factor = 2.0, original_max_positions = 8> -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}

// TABLE-LONGROPE-SHORT: step 0
// TABLE-LONGROPE-SHORT-COUNT-3: [
// TABLE-LONGROPE-SHORT: [-0.99, 0.9888, 0.1411, 0.1494]
// Position 3.
func.func @table_longrope_short(%batch: !llm.batch) -> tensor<?x4xf32> {
  %y = llm.rope_table %batch theta 100.0 scaling <longrope, original_max_positions = 8, short_factors = [1.0, 2.0], long_factors = [4.0, 8.0]> -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}

// TABLE-LONGROPE-LONG: step 0
// TABLE-LONGROPE-LONG-COUNT-3: [
// TABLE-LONGROPE-LONG: [0.7317, 0.9993, 0.6816, 0.03749]
// Position 3.
func.func @table_longrope_long(%batch: !llm.batch) -> tensor<?x4xf32> {
  %y = llm.rope_table %batch theta 100.0 scaling <longrope, original_max_positions = 8, short_factors = [1.0, 2.0], long_factors = [4.0, 8.0]> -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}

// ROPE-HALF: [-0.25, 0, 0.25, 0.5]
// ROPE-HALF-NEXT: [-1.036, -0.1498, -0.2259, 1.493]
// ROPE-HALF-NEXT: [-0.06164, -0.04967, -0.1657, 0.245]
// ROPE-HALF-NEXT: [0.3183, -0.2216, -0.4242, 0.7165]
func.func @rope_half(%batch: !llm.batch) -> tensor<?x4xf32> {
  %t = call @table() : () -> tensor<6x4xf32>
  %e = llm.embedding %batch, %t tokens : tensor<6x4xf32> -> tensor<?x4xf32>
  %cs = llm.rope_table %batch theta 100.0 -> tensor<?x4xf32>
  %y = llm.rope %e, %cs <half, dim = 4> head_dim 4 : tensor<?x4xf32>, tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}

// ROPE-INTERLEAVED: [-0.25, 0, 0.25, 0.5]
// ROPE-INTERLEAVED-NEXT: [-0.4052, -0.6311, 0.5965, 1.567]
// ROPE-INTERLEAVED-NEXT: [0.05202, -0.1137, 0.07284, 0.2699]
// ROPE-INTERLEAVED-NEXT: [0.3712, -0.05292, 0.1366, 0.8273]
func.func @rope_interleaved(%batch: !llm.batch) -> tensor<?x4xf32> {
  %t = call @table() : () -> tensor<6x4xf32>
  %e = llm.embedding %batch, %t tokens : tensor<6x4xf32> -> tensor<?x4xf32>
  %cs = llm.rope_table %batch theta 100.0 -> tensor<?x4xf32>
  %y = llm.rope %e, %cs <interleaved, dim = 4> head_dim 4 : tensor<?x4xf32>, tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}

// ROPE-PART: [-0.25, 0, 0.25, 0.5, -0.25, 0, 0.25, 0.5]
// ROPE-PART-NEXT: [-0.4052, -0.6311, 0.75, 1.5, -0.4052, -0.6311, 0.75, 1.5]
// ROPE-PART-NEXT: [0.05202, -0.1137, 0.125, 0.25, 0.05202, -0.1137, 0.125, 0.25]
// ROPE-PART-NEXT: [0.3712, -0.05292, 0.375, 0.75, 0.3712, -0.05292, 0.375, 0.75]
func.func @rope_part(%batch: !llm.batch) -> tensor<?x8xf32> {
  %t = call @table() : () -> tensor<6x4xf32>
  %e = llm.embedding %batch, %t tokens : tensor<6x4xf32> -> tensor<?x4xf32>
  %cs = llm.rope_table %batch theta 100.0 -> tensor<?x2xf32>
  %twice = arith.constant dense<[[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0], [0.0, 0.0, 0.0, 1.0], [1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0], [0.0, 0.0, 0.0, 1.0]]> : tensor<8x4xf32>
  %ee = llm.linear %e[%twice] : (tensor<?x4xf32>, tensor<8x4xf32>) -> tensor<?x8xf32>
  %y = llm.rope %ee, %cs <half, dim = 2> head_dim 4 : tensor<?x8xf32>, tensor<?x2xf32>
  return %y : tensor<?x8xf32>
}
