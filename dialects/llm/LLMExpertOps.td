// Ops of mixtures of experts and of products by groups of channels.
#ifndef LLMC_DIALECTS_LLM_EXPERT_OPS
#define LLMC_DIALECTS_LLM_EXPERT_OPS

include "dialects/llm/LLMBase.td"
include "dialects/llm/LLMInterfaces.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

// tensor<?xKxi32>: for each token the numbers of K different experts.
def LLM_ExpertIndices : Type<CPred<"::llmc::llm::isExpertIndices($_self)">, "expert numbers tensor<?xKxi32>", "::mlir::RankedTensorType">;

def LLM_RouteOp : LLM_Op<"route", [Pure, DeclareOpInterfaceMethods<LLM_CostOpInterface>]> {
  let summary = "Choose experts for each token, and their weights";
  let description = [{
    ```mlir
    %experts, %weights = llm.route sigmoid %logits bias %b top 8 {groups = 8 : i64, top_groups = 4 : i64, …} : (…) -> (tensor<?x8xi32>, tensor<?x8xf32>)
    ```
    `logits`: [T, E]. Scores s are the logits, their softmax over all E, or the sigmoid of each. Experts are chosen by c = s + bias. Where
    E falls into `groups` runs of E / groups experts, the `top_groups` runs with the greatest `group_score` of c remain. Of what remains, the
    `top` experts with the greatest c are chosen, greatest first; equals in ascending order. The weight of a chosen expert is its s (without
    bias); `normalize` sum divides by the sum of the chosen + `epsilon`, softmax takes the softmax over the chosen; then `scale` multiplies.
    (C1) `experts` and `weights` are [T, top]. (C2) `bias` is [E]. (C3) `groups` divides E, 1 <= top_groups <= groups, and a top2_sum needs
    groups of two or more. (C4) 1 <= top <= top_groups * E / groups; E is at most 4096. (C5) epsilon >= 0, and scale is finite.
    Sources: arXiv:2101.03961, 2401.04088 (Mixtral), 2405.04434 (DeepSeek V2), 2412.19437 (V3).
  }];
  let arguments = (ins LLM_Activations:$logits, Optional<LLM_WeightTensor>:$bias, LLM_RouterScoresAttr:$scores, I64Attr:$top,
    DefaultValuedAttr<I64Attr, "1">:$groups, DefaultValuedAttr<I64Attr, "1">:$top_groups,
    DefaultValuedAttr<LLM_GroupScoreAttr, "::llmc::llm::GroupScore::max">:$group_score,
    DefaultValuedAttr<LLM_RouterNormalizeAttr, "::llmc::llm::RouterNormalize::none">:$normalize,
    DefaultValuedAttr<F64Attr, "0.0">:$epsilon, DefaultValuedAttr<F64Attr, "1.0">:$scale);
  let results = (outs LLM_ExpertIndices:$experts, LLM_Activations:$weights);
  let assemblyFormat = "$scores $logits (`bias` $bias^)? `top` $top attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def LLM_ExpertsOp : LLM_Op<"experts", [Pure, AttrSizedOperandSegments, DeclareOpInterfaceMethods<LLM_CostOpInterface>]> {
  let summary = "The feed-forward parts of the experts that were chosen, weighted and summed";
  let description = [{
    ```mlir
    %y = llm.experts silu %x, %experts, %weights gate %g up %u down %d : (…) -> tensor<?x2048xf32>
    ```
    `x`: [T, C]; `up`: [E, F, C]; `down`: [E, D, F]. Expert e of x is `down_e(activation(up_e x))`, with `gate` ([E, F, C])
    `down_e(activation(gate_e x) * up_e x)`; each product plus its bias, if there is one. `limits` changes the gated unit. Then
    `y[t] = sum_k weights[t,k] * expert experts[t,k] of x[t]`, k ascending. Sums are f32; products as those of `llm.linear`. Only the experts
    that a step's tokens chose are read.
    (C1) shapes as above; `y` is [T, D]. (C2) biases are [E, F, 1] and [E, D, 1] of a float format; that of `gate` needs `gate`.
    (C3) `experts` is what an `llm.route` over E logits returns, and `weights` has as many columns. (C4) `limits` needs `gate` and silu.
    Source: arXiv:1701.06538.
  }];
  let arguments = (ins LLM_Activations:$x, LLM_ExpertIndices:$experts, LLM_Activations:$weights,
    Optional<LLM_WeightTensor>:$gate, LLM_WeightTensor:$up, LLM_WeightTensor:$down,
    Optional<LLM_WeightTensor>:$gate_bias, Optional<LLM_WeightTensor>:$up_bias, Optional<LLM_WeightTensor>:$down_bias,
    LLM_ActivationAttr:$activation, OptionalAttr<LLM_GLULimitsAttr>:$limits);
  let results = (outs LLM_Activations:$y);
  let assemblyFormat = [{
    $activation $x `,` $experts `,` $weights (`gate` $gate^ (`bias` $gate_bias^)?)? `up` $up (`bias` $up_bias^)?
    `down` $down (`bias` $down_bias^)? (`limits` $limits^)? attr-dict `:` functional-type(operands, results)
  }];
  let hasVerifier = 1;
  let extraClassDeclaration = [{ int64_t getExpertCount(); }];
}

def LLM_GroupedLinearOp : LLM_Op<"grouped_linear", [Pure, DeclareOpInterfaceMethods<LLM_CostOpInterface>]> {
  let summary = "A product for each group of channels, each with a matrix of its own";
  let description = [{
    ```mlir
    %y = llm.grouped_linear %x, %w : (tensor<?x3072xf32>, tensor<16x512x128xbf16>) -> tensor<?x8192xf32>
    ```
    `weight`: [G, N, K]. `x`: [T, G * S], S >= K; group g is the channels [g * S, g * S + K), the rest of its S channels are not read.
    `y[t, g * N + n] = sum_k x[t, g * S + k] * weight[g, n, k]`, plus `bias[g, n]`. A block-diagonal matrix; also what absorbs the key
    and value projections of latent attention into its queries and its result.
    (C1) `weight` is [G, N, K] with G dividing the channels of x, and K <= S. (C2) `bias` is [G, N, 1] of a float format. (C3) `y` is [T, G * N].
  }];
  let arguments = (ins LLM_Activations:$x, LLM_WeightTensor:$weight, Optional<LLM_WeightTensor>:$bias);
  let results = (outs LLM_Activations:$y);
  let assemblyFormat = "$x `,` $weight (`bias` $bias^)? attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def LLM_LatentAttentionOp : LLM_Op<"latent_attention", [AllTypesMatch<["q_latent", "y"]>,
    DeclareOpInterfaceMethods<SymbolUserOpInterface>, DeclareOpInterfaceMethods<MemoryEffectsOpInterface>,
    DeclareOpInterfaceMethods<LLM_CostOpInterface>, DeclareOpInterfaceMethods<LLM_StatefulOpInterface>]> {
  let summary = "Append latents to a cache, then attend to them";
  let description = [{
    ```mlir
    %a = llm.latent_attention %q, %ql, %kv, @kv[%layer], %batch scale 0.1 norm <rms, eps = 1.0e-6> %gain rotary <interleaved, dim = 64> %table : …
    ```
    The cache has one KV head of head_dim = R + P channels whose first R = value_dim are the values, too. `kv`: [T, R + P]; its first R
    channels go through `norm` with `gain` [R], the last P through `rotary` by `table`, and both are written to the token's slot and
    position. `q_latent`: [T, H * R], queries that have absorbed the projection to keys; `q`: [T, H * S], S >= P, of whose H heads the last
    P channels each go through `rotary`. Head h of token t scores position p <= pos(t) of its slot by
    `scale * (q_latent_h . latent_p + rotated q_h . rotated key_p)`; after a softmax it gets the weighted sum of latents, R channels of `y`.
    (C1) `state` names an `llm.kv_cache` with one KV head and value_dim; `kv` has its head_dim. (C2) R divides the channels of `q_latent`; H
    divides those of `q`, with P or more for each head. (C3) `y` is of the type of `q_latent`. (C4) the rotary's dim is P, the table's columns.
    (C5) `norm` is an rms norm and `gain` is [R]. (C6) scale > 0. Source: arXiv:2405.04434, section 2.1 (absorbed form).
  }];
  let arguments = (ins LLM_Activations:$q, LLM_Activations:$q_latent, LLM_Activations:$kv, LLM_WeightTensor:$gain, LLM_Activations:$table,
    Index:$layer, LLM_BatchType:$batch, FlatSymbolRefAttr:$state, F64Attr:$scale, LLM_NormAttr:$norm, LLM_RotaryAttr:$rotary);
  let results = (outs LLM_Activations:$y);
  let assemblyFormat = [{
    $q `,` $q_latent `,` $kv `,` $state `[` $layer `]` `,` $batch `scale` $scale `norm` $norm $gain `rotary` $rotary $table
    attr-dict `:` functional-type(operands, results)
  }];
  let hasVerifier = 1;
}

def LLM_ClampOp : LLM_Op<"clamp", [Pure, SameOperandsAndResultType, DeclareOpInterfaceMethods<LLM_CostOpInterface>]> {
  let summary = "Keep values within -limit and limit";
  let description = [{ `y = min(max(x, -limit), limit)`, the limit rounded to f32. (C1) `limit` > 0. }];
  let arguments = (ins LLM_Activations:$x, F64Attr:$limit);
  let results = (outs LLM_Activations:$y);
  let assemblyFormat = "$x `to` $limit attr-dict `:` type($y)";
  let hasVerifier = 1;
}

#endif
