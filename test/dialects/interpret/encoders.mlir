// What encoders, and decoders of an encoder's text, do in attention.
// RUN: llmc-interpret %s --function attention_full --tokens 1,5,0,2 | FileCheck %s --check-prefix=FULL
// RUN: llmc-interpret %s --function attention_around --tokens 1,5,0,2 | FileCheck %s --check-prefix=AROUND
// RUN: llmc-interpret %s --function attention_relative --tokens 1,5,0,2 | FileCheck %s --check-prefix=RELATIVE
// RUN: llmc-interpret %s --function attention_relative --tokens 1,5,0,2 --chunks 3,1 | FileCheck %s --check-prefix=STEPS
// RUN: llmc-interpret %s --function attention_both --tokens 1,5,0,2 | FileCheck %s --check-prefix=BOTH
// RUN: llmc-interpret %s --function cross_attention --source 5,0 --tokens 1,5,0,2 | FileCheck %s --check-prefix=CROSS
// RUN: llmc-interpret %s --function cross_attention --source 5,0 --tokens 1,5,0,2 --chunks 1,3 | FileCheck %s --check-prefix=CROSS-STEPS
// RUN: not llmc-interpret %s --function cross_attention --tokens 1 2>&1 | FileCheck %s --check-prefix=NONE
// RUN: llmc-interpret %s --function embeddings --tokens 1,5,0 | FileCheck %s --check-prefix=EMBEDDINGS
// Expected values: Inputs/reference.py, in float64.

llm.state @kv : !llm.kv_cache<layers = 1, kv_heads = 1, head_dim = 2, f32>
llm.state @cross : !llm.kv_cache<layers = 1, kv_heads = 1, head_dim = 2, f32>

// Row r, channel c: (r + 1) * (c - 1) / 8.
func.func private @table() -> tensor<6x4xf32> {
  %t = arith.constant dense<[[-0.125, 0.0, 0.125, 0.25], [-0.25, 0.0, 0.25, 0.5], [-0.375, 0.0, 0.375, 0.75], [-0.5, 0.0, 0.5, 1.0], [-0.625, 0.0, 0.625, 1.25], [-0.75, 0.0, 0.75, 1.5]]> : tensor<6x4xf32>
  return %t : tensor<6x4xf32>
}

// q: the embedding; k: (q0 - 0.5, q3); v: (q1 + 1, q2 - q0).
func.func private @qkv(%batch: !llm.batch) -> (tensor<?x4xf32>, tensor<?x2xf32>, tensor<?x2xf32>) {
  %t = call @table() : () -> tensor<6x4xf32>
  %wk = arith.constant dense<[[1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0]]> : tensor<2x4xf32>
  %bk = arith.constant dense<[-0.5, 0.0]> : tensor<2xf32>
  %wv = arith.constant dense<[[0.0, 1.0, 0.0, 0.0], [-1.0, 0.0, 1.0, 0.0]]> : tensor<2x4xf32>
  %bv = arith.constant dense<[1.0, 0.0]> : tensor<2xf32>
  %q = llm.embedding %batch, %t tokens : tensor<6x4xf32> -> tensor<?x4xf32>
  %k, %v = llm.linear %q[%wk, %wv] bias[%bk, %bv] : (tensor<?x4xf32>, tensor<2x4xf32>, tensor<2x4xf32>, tensor<2xf32>, tensor<2xf32>) -> (tensor<?x2xf32>, tensor<?x2xf32>)
  return %q, %k, %v : tensor<?x4xf32>, tensor<?x2xf32>, tensor<?x2xf32>
}

// FULL: [1, 0.7694, 1, 0.8097]
// FULL-NEXT: [1, 0.8097, 1, 0.9386]
// FULL-NEXT: [1, 0.7596, 1, 0.7793]
// FULL-NEXT: [1, 0.7793, 1, 0.841]
func.func @attention_full(%batch: !llm.batch) -> tensor<?x4xf32> {
  %q, %k, %v = call @qkv(%batch) : (!llm.batch) -> (tensor<?x4xf32>, tensor<?x2xf32>, tensor<?x2xf32>)
  %layer = arith.constant 0 : index
  %y = llm.attention %q, %k, %v, @kv[%layer], %batch scale 0.7 {mask = #llm<mask full>} : (tensor<?x4xf32>, tensor<?x2xf32>, tensor<?x2xf32>, index, !llm.batch) -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}

// AROUND: [1, 1.022, 1, 1.065]
// AROUND-NEXT: [1, 0.8294, 1, 0.9958]
// AROUND-NEXT: [1, 0.8449, 1, 0.8682]
// AROUND-NEXT: [1, 0.5082, 1, 0.5245]
// One token on each side.
func.func @attention_around(%batch: !llm.batch) -> tensor<?x4xf32> {
  %q, %k, %v = call @qkv(%batch) : (!llm.batch) -> (tensor<?x4xf32>, tensor<?x2xf32>, tensor<?x2xf32>)
  %layer = arith.constant 0 : index
  %y = llm.attention %q, %k, %v, @kv[%layer], %batch scale 0.7 {mask = #llm<mask full>, window = 2 : i64} : (tensor<?x4xf32>, tensor<?x2xf32>, tensor<?x2xf32>, index, !llm.batch) -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}

// RELATIVE: [1, 0.5, 1, 0.5]
// RELATIVE-NEXT: [1, 0.9409, 1, 1.131]
// RELATIVE-NEXT: [1, 0.979, 1, 0.7373]
// RELATIVE-NEXT: [1, 0.5729, 1, 0.8331]
func.func @attention_relative(%batch: !llm.batch) -> tensor<?x4xf32> {
  %q, %k, %v = call @qkv(%batch) : (!llm.batch) -> (tensor<?x4xf32>, tensor<?x2xf32>, tensor<?x2xf32>)
  %layer = arith.constant 0 : index
  %b = arith.constant dense<[0.5, -0.25, 1.0, 0.0, -0.5, 0.75, 0.25, 1.5]> : tensor<8xf32>
  %y = llm.attention %q, %k, %v, @kv[%layer], %batch scale 0.7 relative <max_distance = 3> %b : (tensor<?x4xf32>, tensor<?x2xf32>, tensor<?x2xf32>, index, !llm.batch, tensor<8xf32>) -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}

// STEPS: step 1 result 0: 1 x 4
// STEPS-NEXT: [1, 0.5729, 1, 0.8331]

// BOTH: [1, 0.7519, 1, 0.8832]
// BOTH-NEXT: [1, 0.794, 1, 0.6819]
// BOTH-NEXT: [1, 0.8248, 1, 0.7803]
// BOTH-NEXT: [1, 0.7825, 1, 0.8462]
func.func @attention_both(%batch: !llm.batch) -> tensor<?x4xf32> {
  %q, %k, %v = call @qkv(%batch) : (!llm.batch) -> (tensor<?x4xf32>, tensor<?x2xf32>, tensor<?x2xf32>)
  %layer = arith.constant 0 : index
  %b = arith.constant dense<[0.5, -0.25, 1.0, 0.0, -0.5, 0.75, 0.25, 1.5]> : tensor<8xf32>
  %y = llm.attention %q, %k, %v, @kv[%layer], %batch scale 0.7 relative <max_distance = 3, both = true> %b {mask = #llm<mask full>} : (tensor<?x4xf32>, tensor<?x2xf32>, tensor<?x2xf32>, index, !llm.batch, tensor<8xf32>) -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}

func.func @encode(%batch: !llm.batch) -> tensor<?x4xf32> {
  %q, %k, %v = call @qkv(%batch) : (!llm.batch) -> (tensor<?x4xf32>, tensor<?x2xf32>, tensor<?x2xf32>)
  %layer = arith.constant 0 : index
  llm.append %k, %v, @cross[%layer], %batch : tensor<?x2xf32>, tensor<?x2xf32>, !llm.batch
  return %q : tensor<?x4xf32>
}

// CROSS: [1, 0.9091, 1, 0.9766]
// CROSS-NEXT: [1, 0.9766, 1, 1.16]
// CROSS-NEXT: [1, 0.8921, 1, 0.9262]
// CROSS-NEXT: [1, 0.9262, 1, 1.026]
// Each token sees all of the source, whatever its position.
// CROSS-STEPS: step 1 result 0: 3 x 4
// CROSS-STEPS-NEXT: [1, 0.9766, 1, 1.16]
// NONE: slot 0 has no source
func.func @cross_attention(%batch: !llm.batch) -> tensor<?x4xf32> {
  %t = call @table() : () -> tensor<6x4xf32>
  %q = llm.embedding %batch, %t tokens : tensor<6x4xf32> -> tensor<?x4xf32>
  %layer = arith.constant 0 : index
  %y = llm.cross_attention %q, @cross[%layer], %batch scale 0.7 : tensor<?x4xf32>, !llm.batch
  return %y : tensor<?x4xf32>
}

// Where nobody says, tokens are of type 0; `first` takes row 0 for all.
// EMBEDDINGS-COUNT-3: [-0.125, 0, 0.125, 0.25]
// EMBEDDINGS-COUNT-3: [-0.125, 0, 0.125, 0.25]
func.func @embeddings(%batch: !llm.batch) -> (tensor<?x4xf32>, tensor<?x4xf32>) {
  %t = call @table() : () -> tensor<6x4xf32>
  %a = llm.embedding %batch, %t token_types : tensor<6x4xf32> -> tensor<?x4xf32>
  %b = llm.embedding %batch, %t first : tensor<6x4xf32> -> tensor<?x4xf32>
  return %a, %b : tensor<?x4xf32>, tensor<?x4xf32>
}
