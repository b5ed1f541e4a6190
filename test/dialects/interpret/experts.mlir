// RUN: llmc-interpret %s --function route_softmax | FileCheck %s --check-prefix=ROUTE-SOFTMAX
// RUN: llmc-interpret %s --function route_logits | FileCheck %s --check-prefix=ROUTE-LOGITS
// RUN: llmc-interpret %s --function route_sigmoid | FileCheck %s --check-prefix=ROUTE-SIGMOID
// RUN: llmc-interpret %s --function route_groups | FileCheck %s --check-prefix=ROUTE-GROUPS
// RUN: llmc-interpret %s --function gated | FileCheck %s --check-prefix=GATED
// RUN: llmc-interpret %s --function biased | FileCheck %s --check-prefix=BIASED
// RUN: llmc-interpret %s --function plain | FileCheck %s --check-prefix=PLAIN
// RUN: llmc-interpret %s --function grouped | FileCheck %s --check-prefix=GROUPED
// RUN: llmc-interpret %s --function grouped_bias | FileCheck %s --check-prefix=GROUPED-BIAS
// RUN: llmc-interpret %s --function clamp | FileCheck %s --check-prefix=CLAMP
// RUN: llmc-interpret %s --function latent --tokens 1,3,0,2 | FileCheck %s --check-prefix=LATENT
// RUN: llmc-interpret %s --function latent --tokens 1,3,0,2 --chunks 1,2,1 | FileCheck %s --check-prefix=LATENT-STEPS
// RUN: llmc-interpret %s --function sinks --tokens 1,3,0,2 | FileCheck %s --check-prefix=SINKS
// Expected values: Inputs/reference_experts.py, in float64.

// ROUTE-SOFTMAX: step 0 result 0: 2 x 3
// ROUTE-SOFTMAX-NEXT: [2, 4, 0]
// ROUTE-SOFTMAX-NEXT: [1, 3, 0]
// ROUTE-SOFTMAX-NEXT: step 0 result 1: 2 x 3
// ROUTE-SOFTMAX-NEXT: [0.5128, 0.1887, 0.1144]
// ROUTE-SOFTMAX-NEXT: [0.3339, 0.3339, 0.2025]
// Equal scores: the lower number first.
func.func @route_softmax() -> (tensor<?x3xi32>, tensor<?x3xf32>) {
  %c = arith.constant dense<[[0.5, -1.0, 2.0, 0.25, 1.0, 0.0], [1.0, 1.5, -0.5, 1.5, 0.0, -2.0]]> : tensor<2x6xf32>
  %l = tensor.cast %c : tensor<2x6xf32> to tensor<?x6xf32>
  %e, %w = llm.route softmax %l top 3 : (tensor<?x6xf32>) -> (tensor<?x3xi32>, tensor<?x3xf32>)
  return %e, %w : tensor<?x3xi32>, tensor<?x3xf32>
}

// ROUTE-LOGITS: step 0 result 0: 2 x 2
// ROUTE-LOGITS-NEXT: [2, 4]
// ROUTE-LOGITS-NEXT: [1, 3]
// ROUTE-LOGITS-NEXT: step 0 result 1: 2 x 2
// ROUTE-LOGITS-NEXT: [0.7311, 0.2689]
// ROUTE-LOGITS-NEXT: [0.5, 0.5]
func.func @route_logits() -> (tensor<?x2xi32>, tensor<?x2xf32>) {
  %c = arith.constant dense<[[0.5, -1.0, 2.0, 0.25, 1.0, 0.0], [1.0, 1.5, -0.5, 1.5, 0.0, -2.0]]> : tensor<2x6xf32>
  %l = tensor.cast %c : tensor<2x6xf32> to tensor<?x6xf32>
  %e, %w = llm.route logits %l top 2 {normalize = #llm<router_normalize softmax>} : (tensor<?x6xf32>) -> (tensor<?x2xi32>, tensor<?x2xf32>)
  return %e, %w : tensor<?x2xi32>, tensor<?x2xf32>
}

// ROUTE-SIGMOID: step 0 result 0: 2 x 2
// ROUTE-SIGMOID-NEXT: [3, 5]
// ROUTE-SIGMOID-NEXT: [1, 0]
// ROUTE-SIGMOID-NEXT: step 0 result 1: 2 x 2
// ROUTE-SIGMOID-NEXT: [1.071, 0.9526]
// ROUTE-SIGMOID-NEXT: [1.136, 1.016]
func.func @route_sigmoid() -> (tensor<?x2xi32>, tensor<?x2xf32>) {
  %c = arith.constant dense<[[0.5, -1.0, 2.0, 0.25, 1.0, 0.0], [1.0, 1.5, -0.5, 1.5, 0.0, -2.0]]> : tensor<2x6xf32>
  %l = tensor.cast %c : tensor<2x6xf32> to tensor<?x6xf32>
  %b = arith.constant dense<[0.0, 0.0, -1.0, 0.5, 0.0, 0.25]> : tensor<6xf32>
  %e, %w = llm.route sigmoid %l bias %b top 2 {epsilon = 0.25 : f64, group_score = #llm<group_score top2_sum>, groups = 3 : i64, normalize = #llm<router_normalize sum>, scale = 2.5 : f64, top_groups = 2 : i64} : (tensor<?x6xf32>, tensor<6xf32>) -> (tensor<?x2xi32>, tensor<?x2xf32>)
  return %e, %w : tensor<?x2xi32>, tensor<?x2xf32>
}

// ROUTE-GROUPS: step 0 result 0: 2 x 2
// ROUTE-GROUPS-NEXT: [2, 0]
// ROUTE-GROUPS-NEXT: [1, 0]
// ROUTE-GROUPS-NEXT: step 0 result 1: 2 x 2
// ROUTE-GROUPS-NEXT: [0.5128, 0.1144]
// ROUTE-GROUPS-NEXT: [0.3339, 0.2025]
// The best group alone, though others hold better experts.
func.func @route_groups() -> (tensor<?x2xi32>, tensor<?x2xf32>) {
  %c = arith.constant dense<[[0.5, -1.0, 2.0, 0.25, 1.0, 0.0], [1.0, 1.5, -0.5, 1.5, 0.0, -2.0]]> : tensor<2x6xf32>
  %l = tensor.cast %c : tensor<2x6xf32> to tensor<?x6xf32>
  %e, %w = llm.route softmax %l top 2 {groups = 2 : i64} : (tensor<?x6xf32>) -> (tensor<?x2xi32>, tensor<?x2xf32>)
  return %e, %w : tensor<?x2xi32>, tensor<?x2xf32>
}

// GATED: step 0 result 0: 2 x 3
// GATED-NEXT: [-0.04988, -0.2204, 0.3105]
// GATED-NEXT: [-11.71, 1.794, -0.3035]
func.func @gated() -> tensor<?x3xf32> {
  %xc = arith.constant dense<[[-2.0, -0.5, 0.0, 1.5], [3.0, 1.0, -3.0, 0.25]]> : tensor<2x4xf32>
  %x = tensor.cast %xc : tensor<2x4xf32> to tensor<?x4xf32>
  %cc = arith.constant dense<[[0.0, 2.0, 1.0], [1.0, 0.5, 0.75]]> : tensor<2x3xf32>
  %c = tensor.cast %cc : tensor<2x3xf32> to tensor<?x3xf32>
  %e, %w = llm.route softmax %c top 2 : (tensor<?x3xf32>) -> (tensor<?x2xi32>, tensor<?x2xf32>)
  %g = arith.constant dense<[[[0.5, -1.0, 2.0, 0.25], [1.0, 0.0, -0.5, 0.75]], [[-0.25, 0.5, 1.0, -2.0], [1.0, 0.5, -0.5, 0.0]], [[0.25, 0.25, 0.25, 0.25], [2.0, -1.0, 0.5, 1.0]]]> : tensor<3x2x4xf32>
  %u = arith.constant dense<[[[1.0, 1.0, 0.0, 0.0], [0.0, 1.0, 1.0, 0.0]], [[0.0, 0.0, 1.0, 1.0], [1.0, 0.0, 0.0, 1.0]], [[-1.0, 0.5, 0.0, 0.0], [0.0, 0.0, -1.0, 0.5]]]> : tensor<3x2x4xbf16>
  %d = arith.constant dense<[[[1.0, 2.0], [-1.0, 0.5], [0.0, 1.0]], [[0.5, 0.5], [1.0, 0.0], [-2.0, 1.0]], [[1.0, -1.0], [0.25, 1.0], [1.0, 1.0]]]> : tensor<3x3x2xf16>
  %y = llm.experts silu %x, %e, %w gate %g up %u down %d : (tensor<?x4xf32>, tensor<?x2xi32>, tensor<?x2xf32>, tensor<3x2x4xf32>, tensor<3x2x4xbf16>, tensor<3x3x2xf16>) -> tensor<?x3xf32>
  return %y : tensor<?x3xf32>
}

// BIASED: step 0 result 0: 2 x 3
// BIASED-NEXT: [0.2354, 0.6142, 0.5022]
// BIASED-NEXT: [-1.275, 1.651, 0.4516]
// Clamped gates, and biases of every product.
func.func @biased() -> tensor<?x3xf32> {
  %xc = arith.constant dense<[[-2.0, -0.5, 0.0, 1.5], [3.0, 1.0, -3.0, 0.25]]> : tensor<2x4xf32>
  %x = tensor.cast %xc : tensor<2x4xf32> to tensor<?x4xf32>
  %cc = arith.constant dense<[[0.0, 2.0, 1.0], [1.0, 0.5, 0.75]]> : tensor<2x3xf32>
  %c = tensor.cast %cc : tensor<2x3xf32> to tensor<?x3xf32>
  %e, %w = llm.route softmax %c top 2 : (tensor<?x3xf32>) -> (tensor<?x2xi32>, tensor<?x2xf32>)
  %g = arith.constant dense<[[[0.5, -1.0, 2.0, 0.25], [1.0, 0.0, -0.5, 0.75]], [[-0.25, 0.5, 1.0, -2.0], [1.0, 0.5, -0.5, 0.0]], [[0.25, 0.25, 0.25, 0.25], [2.0, -1.0, 0.5, 1.0]]]> : tensor<3x2x4xf32>
  %u = arith.constant dense<[[[1.0, 1.0, 0.0, 0.0], [0.0, 1.0, 1.0, 0.0]], [[0.0, 0.0, 1.0, 1.0], [1.0, 0.0, 0.0, 1.0]], [[-1.0, 0.5, 0.0, 0.0], [0.0, 0.0, -1.0, 0.5]]]> : tensor<3x2x4xbf16>
  %d = arith.constant dense<[[[1.0, 2.0], [-1.0, 0.5], [0.0, 1.0]], [[0.5, 0.5], [1.0, 0.0], [-2.0, 1.0]], [[1.0, -1.0], [0.25, 1.0], [1.0, 1.0]]]> : tensor<3x3x2xf16>
  %gb = arith.constant dense<[[[0.5], [-0.5]], [[1.0], [0.0]], [[-1.0], [0.25]]]> : tensor<3x2x1xf32>
  %ub = arith.constant dense<[[[0.25], [0.0]], [[0.0], [-1.0]], [[0.5], [0.5]]]> : tensor<3x2x1xbf16>
  %db = arith.constant dense<[[[1.0], [0.0], [-1.0]], [[0.5], [0.5], [0.5]], [[0.0], [2.0], [0.0]]]> : tensor<3x3x1xf16>
  %y = llm.experts silu %x, %e, %w gate %g bias %gb up %u bias %ub down %d bias %db limits <alpha = 1.702, limit = 1.5, offset = 1.0> : (tensor<?x4xf32>, tensor<?x2xi32>, tensor<?x2xf32>, tensor<3x2x4xf32>, tensor<3x2x4xbf16>, tensor<3x3x2xf16>, tensor<3x2x1xf32>, tensor<3x2x1xbf16>, tensor<3x3x1xf16>) -> tensor<?x3xf32>
  return %y : tensor<?x3xf32>
}

// PLAIN: step 0 result 0: 2 x 3
// PLAIN-NEXT: [0.7437, 1.288, -1.384]
// PLAIN-NEXT: [0.6566, -0.6566, 1.02]
func.func @plain() -> tensor<?x3xf32> {
  %xc = arith.constant dense<[[-2.0, -0.5, 0.0, 1.5], [3.0, 1.0, -3.0, 0.25]]> : tensor<2x4xf32>
  %x = tensor.cast %xc : tensor<2x4xf32> to tensor<?x4xf32>
  %cc = arith.constant dense<[[0.0, 2.0, 1.0], [1.0, 0.5, 0.75]]> : tensor<2x3xf32>
  %c = tensor.cast %cc : tensor<2x3xf32> to tensor<?x3xf32>
  %e, %w = llm.route softmax %c top 2 : (tensor<?x3xf32>) -> (tensor<?x2xi32>, tensor<?x2xf32>)
  %g = arith.constant dense<[[[0.5, -1.0, 2.0, 0.25], [1.0, 0.0, -0.5, 0.75]], [[-0.25, 0.5, 1.0, -2.0], [1.0, 0.5, -0.5, 0.0]], [[0.25, 0.25, 0.25, 0.25], [2.0, -1.0, 0.5, 1.0]]]> : tensor<3x2x4xf32>
  %u = arith.constant dense<[[[1.0, 1.0, 0.0, 0.0], [0.0, 1.0, 1.0, 0.0]], [[0.0, 0.0, 1.0, 1.0], [1.0, 0.0, 0.0, 1.0]], [[-1.0, 0.5, 0.0, 0.0], [0.0, 0.0, -1.0, 0.5]]]> : tensor<3x2x4xbf16>
  %d = arith.constant dense<[[[1.0, 2.0], [-1.0, 0.5], [0.0, 1.0]], [[0.5, 0.5], [1.0, 0.0], [-2.0, 1.0]], [[1.0, -1.0], [0.25, 1.0], [1.0, 1.0]]]> : tensor<3x3x2xf16>
  %y = llm.experts relu %x, %e, %w up %u down %d : (tensor<?x4xf32>, tensor<?x2xi32>, tensor<?x2xf32>, tensor<3x2x4xbf16>, tensor<3x3x2xf16>) -> tensor<?x3xf32>
  return %y : tensor<?x3xf32>
}

// GROUPED: step 0 result 0: 2 x 6
// GROUPED-NEXT: [-2, -1, 2, 0, 0, 0]
// GROUPED-NEXT: [3, 1.5, -3, -6, 0, -0.75]
// Of each group of two channels the first is read.
func.func @grouped() -> tensor<?x6xf32> {
  %xc = arith.constant dense<[[-2.0, -0.5, 0.0, 1.5], [3.0, 1.0, -3.0, 0.25]]> : tensor<2x4xf32>
  %x = tensor.cast %xc : tensor<2x4xf32> to tensor<?x4xf32>
  %w = arith.constant dense<[[[1.0], [0.5], [-1.0]], [[2.0], [0.0], [0.25]]]> : tensor<2x3x1xf32>
  %y = llm.grouped_linear %x, %w : (tensor<?x4xf32>, tensor<2x3x1xf32>) -> tensor<?x6xf32>
  return %y : tensor<?x6xf32>
}

// GROUPED-BIAS: step 0 result 0: 2 x 6
// GROUPED-BIAS-NEXT: [-1.5, -1, 3, -1, 1, 0]
// GROUPED-BIAS-NEXT: [3.5, 1.5, -2, -7, 1, -0.75]
func.func @grouped_bias() -> tensor<?x6xf32> {
  %xc = arith.constant dense<[[-2.0, -0.5, 0.0, 1.5], [3.0, 1.0, -3.0, 0.25]]> : tensor<2x4xf32>
  %x = tensor.cast %xc : tensor<2x4xf32> to tensor<?x4xf32>
  %w = arith.constant dense<[[[1.0], [0.5], [-1.0]], [[2.0], [0.0], [0.25]]]> : tensor<2x3x1xf32>
  %b = arith.constant dense<[[[0.5], [0.0], [1.0]], [[-1.0], [1.0], [0.0]]]> : tensor<2x3x1xf32>
  %y = llm.grouped_linear %x, %w bias %b : (tensor<?x4xf32>, tensor<2x3x1xf32>, tensor<2x3x1xf32>) -> tensor<?x6xf32>
  return %y : tensor<?x6xf32>
}

// CLAMP: step 0 result 0: 2 x 4
// CLAMP-NEXT: [-1.5, -0.5, 0, 1.5]
// CLAMP-NEXT: [1.5, 1, -1.5, 0.25]
func.func @clamp() -> tensor<?x4xf32> {
  %xc = arith.constant dense<[[-2.0, -0.5, 0.0, 1.5], [3.0, 1.0, -3.0, 0.25]]> : tensor<2x4xf32>
  %x = tensor.cast %xc : tensor<2x4xf32> to tensor<?x4xf32>
  %y = llm.clamp %x to 1.5 : tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}

llm.state @latents : !llm.kv_cache<layers = 1, kv_heads = 1, head_dim = 4, value_dim = 2, f32>
llm.state @kv : !llm.kv_cache<layers = 1, kv_heads = 1, head_dim = 2, f32>

// LATENT: step 0 result 0: 4 x 4
// LATENT-NEXT: [-0.9487, -0.6325, -0.9487, -0.6325]
// LATENT-NEXT: [0.1334, -0.6475, -0.3852, -0.6403]
// LATENT-NEXT: [0.673, 0.08187, -0.2574, -0.4121]
// LATENT-NEXT: [0.4767, -0.1786, -0.2996, -0.004885]
// LATENT-STEPS: step 0 result 0: 1 x 4
// LATENT-STEPS-NEXT: [-0.9487, -0.6325, -0.9487, -0.6325]
// LATENT-STEPS-NEXT: step 1 result 0: 2 x 4
// LATENT-STEPS-NEXT: [0.1334, -0.6475, -0.3852, -0.6403]
// LATENT-STEPS-NEXT: [0.673, 0.08187, -0.2574, -0.4121]
// LATENT-STEPS-NEXT: step 2 result 0: 1 x 4
// LATENT-STEPS-NEXT: [0.4767, -0.1786, -0.2996, -0.004885]
func.func @latent(%batch: !llm.batch) -> tensor<?x4xf32> {
  %t = arith.constant dense<[[-1.25, -0.5, 0.25, 1.0, -1.0, -0.25, 0.5, 1.25, -0.75, 0.0, 0.75, -1.25, -0.5, 0.25], [0.5, 1.25, -0.75, 0.0, 0.75, -1.25, -0.5, 0.25, 1.0, -1.0, -0.25, 0.5, 1.25, -0.75], [-0.5, 0.25, 1.0, -1.0, -0.25, 0.5, 1.25, -0.75, 0.0, 0.75, -1.25, -0.5, 0.25, 1.0], [1.25, -0.75, 0.0, 0.75, -1.25, -0.5, 0.25, 1.0, -1.0, -0.25, 0.5, 1.25, -0.75, 0.0]]> : tensor<4x14xf32>
  %x = llm.embedding %batch, %t tokens : tensor<4x14xf32> -> tensor<?x14xf32>
  %layer = arith.constant 0 : index
  %q = llm.columns %x from 0 : tensor<?x14xf32> -> tensor<?x6xf32>
  %ql = llm.columns %x from 6 : tensor<?x14xf32> -> tensor<?x4xf32>
  %kv = llm.columns %x from 10 : tensor<?x14xf32> -> tensor<?x4xf32>
  %g = arith.constant dense<[1.5, -0.5]> : tensor<2xf32>
  %cs = llm.rope_table %batch theta 100.0 -> tensor<?x2xf32>
  %y = llm.latent_attention %q, %ql, %kv, @latents[%layer], %batch scale 0.5 norm <rms, eps = 1.0e-6> %g rotary <interleaved, dim = 2> %cs
    : (tensor<?x6xf32>, tensor<?x4xf32>, tensor<?x4xf32>, tensor<2xf32>, tensor<?x2xf32>, index, !llm.batch) -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}

// SINKS: step 0 result 0: 4 x 4
// SINKS-NEXT: [-0.1255, 0.06273, -0.3362, 0.1681]
// SINKS-NEXT: [-0.2395, 0.2504, -0.05796, 0.5407]
// SINKS-NEXT: [0.1701, 0.7427, 0.1091, 0.7442]
// SINKS-NEXT: [0.3331, 0.36, 0.002999, 0.3323]
func.func @sinks(%batch: !llm.batch) -> tensor<?x4xf32> {
  %t = arith.constant dense<[[-1.25, -0.5, 0.25, 1.0, -1.0, -0.25, 0.5, 1.25, -0.75, 0.0, 0.75, -1.25, -0.5, 0.25], [0.5, 1.25, -0.75, 0.0, 0.75, -1.25, -0.5, 0.25, 1.0, -1.0, -0.25, 0.5, 1.25, -0.75], [-0.5, 0.25, 1.0, -1.0, -0.25, 0.5, 1.25, -0.75, 0.0, 0.75, -1.25, -0.5, 0.25, 1.0], [1.25, -0.75, 0.0, 0.75, -1.25, -0.5, 0.25, 1.0, -1.0, -0.25, 0.5, 1.25, -0.75, 0.0]]> : tensor<4x14xf32>
  %x = llm.embedding %batch, %t tokens : tensor<4x14xf32> -> tensor<?x14xf32>
  %layer = arith.constant 0 : index
  %q = llm.columns %x from 0 : tensor<?x14xf32> -> tensor<?x4xf32>
  %k = llm.columns %x from 4 : tensor<?x14xf32> -> tensor<?x2xf32>
  %v = llm.columns %x from 6 : tensor<?x14xf32> -> tensor<?x2xf32>
  %s = arith.constant dense<[0.5, -1.0]> : tensor<2xbf16>
  %y = llm.attention %q, %k, %v, @kv[%layer], %batch scale 0.5 sinks %s : (tensor<?x4xf32>, tensor<?x2xf32>, tensor<?x2xf32>, index, !llm.batch, tensor<2xbf16>) -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}
