// RUN: llmc-interpret %s --function embedding_tokens --tokens 1,5,0,2 | FileCheck %s --check-prefix=EMBEDDING-TOKENS
// RUN: llmc-interpret %s --function embedding_positions --tokens 1,5,0,2 | FileCheck %s --check-prefix=EMBEDDING-POSITIONS
// RUN: llmc-interpret %s --function select_rows --tokens 1,5,0,2 --rows 3,1 | FileCheck %s --check-prefix=SELECT-ROWS
// Expected values: Inputs/reference.py, in float64.

// Row r, channel c: (r + 1) * (c - 1) / 8.
func.func private @table() -> tensor<6x4xf32> {
  %t = arith.constant dense<[[-0.125, 0.0, 0.125, 0.25], [-0.25, 0.0, 0.25, 0.5], [-0.375, 0.0, 0.375, 0.75], [-0.5, 0.0, 0.5, 1.0], [-0.625, 0.0, 0.625, 1.25], [-0.75, 0.0, 0.75, 1.5]]> : tensor<6x4xf32>
  return %t : tensor<6x4xf32>
}

// EMBEDDING-TOKENS: [-0.5, 0, 0.5, 1]
// EMBEDDING-TOKENS-NEXT: [-1.5, 0, 1.5, 3]
// EMBEDDING-TOKENS-NEXT: [-0.25, 0, 0.25, 0.5]
// EMBEDDING-TOKENS-NEXT: [-0.75, 0, 0.75, 1.5]
func.func @embedding_tokens(%batch: !llm.batch) -> tensor<?x4xf32> {
  %t = call @table() : () -> tensor<6x4xf32>
  %y = llm.embedding %batch, %t tokens {scale = 2.0 : f32} : tensor<6x4xf32> -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}

// EMBEDDING-POSITIONS: [-0.375, 0, 0.375, 0.75]
// EMBEDDING-POSITIONS-NEXT: [-0.5, 0, 0.5, 1]
// EMBEDDING-POSITIONS-NEXT: [-0.625, 0, 0.625, 1.25]
// EMBEDDING-POSITIONS-NEXT: [-0.75, 0, 0.75, 1.5]
func.func @embedding_positions(%batch: !llm.batch) -> tensor<?x4xf32> {
  %t = call @table() : () -> tensor<6x4xf32>
  %y = llm.embedding %batch, %t positions {offset = 2 : i64} : tensor<6x4xf32> -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}

// SELECT-ROWS: [-0.375, 0, 0.375, 0.75]
// SELECT-ROWS-NEXT: [-0.75, 0, 0.75, 1.5]
func.func @select_rows(%batch: !llm.batch) -> tensor<?x4xf32> {
  %t = call @table() : () -> tensor<6x4xf32>
  %e = llm.embedding %batch, %t tokens : tensor<6x4xf32> -> tensor<?x4xf32>
  %y = llm.select_rows %e, %batch : tensor<?x4xf32> -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}
