// RUN: llmc-interpret %s --function attention --tokens 1,5,0,2 | FileCheck %s --check-prefix=ATTENTION
// RUN: llmc-interpret %s --function attention_steps --tokens 1,5,0,2 --chunks 1,2,1 | FileCheck %s --check-prefix=ATTENTION-STEPS
// RUN: llmc-interpret %s --function attention_window --tokens 1,5,0,2 | FileCheck %s --check-prefix=ATTENTION-WINDOW
// RUN: llmc-interpret %s --function attention_softcap --tokens 1,5,0,2 | FileCheck %s --check-prefix=ATTENTION-SOFTCAP
// RUN: llmc-interpret %s --function attention_slots --tokens 1,5,0,2 --slots 0,1,0,1 | FileCheck %s --check-prefix=ATTENTION-SLOTS
// RUN: llmc-interpret %s --function attention_slopes --tokens 1,5,0,2 | FileCheck %s --check-prefix=ATTENTION-SLOPES
// RUN: llmc-interpret %s --function attention_slopes --tokens 1,5,0,2 --chunks 3,1 | FileCheck %s --check-prefix=SLOPES-STEPS
// RUN: llmc-interpret %s --function attention_two_heads --tokens 1,5,0,2 | FileCheck %s --check-prefix=ATTENTION-TWO-HEADS
// RUN: llmc-interpret %s --function attention_fused --tokens 1,5,0,2 | FileCheck %s --check-prefix=ATTENTION-FUSED
// Expected values: Inputs/reference.py, in float64.

llm.state @kv : !llm.kv_cache<layers = 1, kv_heads = 1, head_dim = 2, f32>
llm.state @kv2 : !llm.kv_cache<layers = 2, kv_heads = 2, head_dim = 2, f32> layers [3, 5]

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

// ATTENTION: [1, 0.5, 1, 0.5]
// ATTENTION-NEXT: [1, 1.065, 1, 1.187]
// ATTENTION-NEXT: [1, 0.7628, 1, 0.789]
// ATTENTION-NEXT: [1, 0.7793, 1, 0.841]
func.func @attention(%batch: !llm.batch) -> tensor<?x4xf32> {
  %q, %k, %v = call @qkv(%batch) : (!llm.batch) -> (tensor<?x4xf32>, tensor<?x2xf32>, tensor<?x2xf32>)
  %layer = arith.constant 0 : index
  %y = llm.attention %q, %k, %v, @kv[%layer], %batch scale 0.7 : (tensor<?x4xf32>, tensor<?x2xf32>, tensor<?x2xf32>, index, !llm.batch) -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}

// ATTENTION-STEPS: step 0 result 0: 1 x 4
// ATTENTION-STEPS-NEXT: [1, 0.5, 1, 0.5]
// ATTENTION-STEPS-NEXT: step 1 result 0: 2 x 4
// ATTENTION-STEPS-NEXT: [1, 1.065, 1, 1.187]
// ATTENTION-STEPS-NEXT: [1, 0.7628, 1, 0.789]
// ATTENTION-STEPS-NEXT: step 2 result 0: 1 x 4
// ATTENTION-STEPS-NEXT: [1, 0.7793, 1, 0.841]
// The cache carries over from step to step.
func.func @attention_steps(%batch: !llm.batch) -> tensor<?x4xf32> {
  %q, %k, %v = call @qkv(%batch) : (!llm.batch) -> (tensor<?x4xf32>, tensor<?x2xf32>, tensor<?x2xf32>)
  %layer = arith.constant 0 : index
  %y = llm.attention %q, %k, %v, @kv[%layer], %batch scale 0.7 : (tensor<?x4xf32>, tensor<?x2xf32>, tensor<?x2xf32>, index, !llm.batch) -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}

// ATTENTION-WINDOW: [1, 0.5, 1, 0.5]
// ATTENTION-WINDOW-NEXT: [1, 1.065, 1, 1.187]
// ATTENTION-WINDOW-NEXT: [1, 0.8921, 1, 0.9262]
// ATTENTION-WINDOW-NEXT: [1, 0.5082, 1, 0.5245]
func.func @attention_window(%batch: !llm.batch) -> tensor<?x4xf32> {
  %q, %k, %v = call @qkv(%batch) : (!llm.batch) -> (tensor<?x4xf32>, tensor<?x2xf32>, tensor<?x2xf32>)
  %layer = arith.constant 0 : index
  %y = llm.attention %q, %k, %v, @kv[%layer], %batch scale 0.7 {window = 2 : i64} : (tensor<?x4xf32>, tensor<?x2xf32>, tensor<?x2xf32>, index, !llm.batch) -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}

// ATTENTION-SOFTCAP: [1, 0.5, 1, 0.5]
// ATTENTION-SOFTCAP-NEXT: [1, 1, 1, 1.012]
// ATTENTION-SOFTCAP-NEXT: [1, 0.7839, 1, 0.8721]
// ATTENTION-SOFTCAP-NEXT: [1, 0.7535, 1, 0.8369]
func.func @attention_softcap(%batch: !llm.batch) -> tensor<?x4xf32> {
  %q, %k, %v = call @qkv(%batch) : (!llm.batch) -> (tensor<?x4xf32>, tensor<?x2xf32>, tensor<?x2xf32>)
  %layer = arith.constant 0 : index
  %y = llm.attention %q, %k, %v, @kv[%layer], %batch scale 4.0 {softcap = 0.5 : f64} : (tensor<?x4xf32>, tensor<?x2xf32>, tensor<?x2xf32>, index, !llm.batch) -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}

// ATTENTION-SLOTS: [1, 0.5, 1, 0.5]
// ATTENTION-SLOTS-NEXT: [1, 1.5, 1, 1.5]
// ATTENTION-SLOTS-NEXT: [1, 0.3757, 1, 0.3771]
// ATTENTION-SLOTS-NEXT: [1, 1.143, 1, 1.18]
func.func @attention_slots(%batch: !llm.batch) -> tensor<?x4xf32> {
  %q, %k, %v = call @qkv(%batch) : (!llm.batch) -> (tensor<?x4xf32>, tensor<?x2xf32>, tensor<?x2xf32>)
  %layer = arith.constant 0 : index
  %y = llm.attention %q, %k, %v, @kv[%layer], %batch scale 0.7 : (tensor<?x4xf32>, tensor<?x2xf32>, tensor<?x2xf32>, index, !llm.batch) -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}

// ATTENTION-SLOPES: [1, 0.5, 1, 0.5]
// ATTENTION-SLOPES-NEXT: [1, 1.182, 1, 1.442]
// ATTENTION-SLOPES-NEXT: [1, 0.6941, 1, 0.4232]
// ATTENTION-SLOPES-NEXT: [1, 0.7347, 1, 0.7169]
// SLOPES-STEPS: step 1 result 0: 1 x 4
// SLOPES-STEPS-NEXT: [1, 0.7347, 1, 0.7169]
// The numbers of the weight stand in the module.
llm.weight @slopes : !llm.weights<1x2xf32> from "" values [0.5, 2.0]
func.func @attention_slopes(%batch: !llm.batch) -> tensor<?x4xf32> {
  %q, %k, %v = call @qkv(%batch) : (!llm.batch) -> (tensor<?x4xf32>, tensor<?x2xf32>, tensor<?x2xf32>)
  %layer = arith.constant 0 : index
  %s = llm.weight_load @slopes : tensor<2xf32>
  %y = llm.attention %q, %k, %v, @kv[%layer], %batch scale 0.7 slopes %s : (tensor<?x4xf32>, tensor<?x2xf32>, tensor<?x2xf32>, index, !llm.batch, tensor<2xf32>) -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}

// ATTENTION-TWO-HEADS: [-0.75, 0.5, 0, 1.25]
// ATTENTION-TWO-HEADS-NEXT: [-1.033, 1.065, 0, 1.564]
// ATTENTION-TWO-HEADS-NEXT: [-0.8814, 0.7628, 0, 1.388]
// ATTENTION-TWO-HEADS-NEXT: [-0.8896, 0.7793, 0, 1.405]
func.func @attention_two_heads(%batch: !llm.batch) -> tensor<?x4xf32> {
  %q, %k, %v = call @qkv(%batch) : (!llm.batch) -> (tensor<?x4xf32>, tensor<?x2xf32>, tensor<?x2xf32>)
  %layer = arith.constant 0 : index
  %w = arith.constant dense<[[1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0]]> : tensor<4x4xf32>
  %b = arith.constant dense<[-0.5, 0.0, 0.0, 1.0]> : tensor<4xf32>
  %kk = llm.linear %q[%w] bias[%b] : (tensor<?x4xf32>, tensor<4x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  %five = arith.constant 5 : index
  %y = llm.attention %q, %kk, %kk, @kv2[%five], %batch scale 0.7 : (tensor<?x4xf32>, tensor<?x4xf32>, tensor<?x4xf32>, index, !llm.batch) -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}

// ATTENTION-FUSED: [1, 0.5, 1, 0.5]
// ATTENTION-FUSED-NEXT: [1, 1.404, 1, 0.5114]
// ATTENTION-FUSED-NEXT: [1, 0.2793, 1, 0.5605]
// ATTENTION-FUSED-NEXT: [1, 0.7109, 1, 1.117]
func.func @attention_fused(%batch: !llm.batch) -> tensor<?x4xf32> {
  %q, %k, %v = call @qkv(%batch) : (!llm.batch) -> (tensor<?x4xf32>, tensor<?x2xf32>, tensor<?x2xf32>)
  %layer = arith.constant 0 : index
  %gq = arith.constant dense<[1.0, 0.5]> : tensor<2xf32>
  %gk = arith.constant dense<[2.0, -0.5]> : tensor<2xf32>
  %cs = llm.rope_table %batch theta 100.0 -> tensor<?x2xf32>
  %y = llm.attention %q, %k, %v, @kv[%layer], %batch scale 0.7 norm <rms, eps = 0.01, offset = 1.0> %gq, %gk rotary <half, dim = 2> %cs : (tensor<?x4xf32>, tensor<?x2xf32>, tensor<?x2xf32>, index, !llm.batch, tensor<?x2xf32>, tensor<2xf32>, tensor<2xf32>) -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}
