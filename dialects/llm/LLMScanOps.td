// Ops that state-space and other recurrent layers are made of.
#ifndef LLMC_DIALECTS_LLM_SCAN_OPS
#define LLMC_DIALECTS_LLM_SCAN_OPS

//===----------------------------------------------------------------------===//
// Small ops around a recurrence
//===----------------------------------------------------------------------===//

def LLM_MulOp : LLM_Op<"mul", [Pure, AllTypesMatch<["x", "y"]>, DeclareOpInterfaceMethods<LLM_CostOpInterface>]> {
  let summary = "Elementwise product, or one factor per group of channels";
  let description = [{
    `x`: [T, C], `factor`: [T, G]: `y[t,c] = x[t,c] * factor[t, c / (C/G)]`. G = C is the elementwise product, G = H over heads of C/H
    channels gates each head, G = 1 scales each row.
    (C1) `x` and `y` have one type. (C2) the factors G divide the channels C.
  }];
  let arguments = (ins LLM_Activations:$x, LLM_Activations:$factor);
  let results = (outs LLM_Activations:$y);
  let assemblyFormat = "$x `,` $factor attr-dict `:` type($x) `,` type($factor)";
  let hasVerifier = 1;
}

def LLM_ScaleChannelsOp : LLM_Op<"scale_channels", [Pure, AllTypesMatch<["x", "y"]>, DeclareOpInterfaceMethods<LLM_CostOpInterface>]> {
  let summary = "Multiply each channel by a weight";
  let description = [{
    `x`: [T, C], `weight`: [G]: `y[t,c] = x[t,c] * weight[c / (C/G)]`.
    (C1) `x` and `y` have one type. (C2) `weight` is [G], G divides C.
  }];
  let arguments = (ins LLM_Activations:$x, LLM_WeightTensor:$weight);
  let results = (outs LLM_Activations:$y);
  let assemblyFormat = "$x `,` $weight attr-dict `:` type($x) `,` type($weight)";
  let hasVerifier = 1;
}

def LLM_AddBiasOp : LLM_Op<"add_bias", [Pure, AllTypesMatch<["x", "y"]>, DeclareOpInterfaceMethods<LLM_CostOpInterface>]> {
  let summary = "Add a weight to each row";
  let description = [{
    `x`: [T, C], `bias`: [C]: `y[t,c] = x[t,c] + bias[c]`.
    (C1) `x` and `y` have one type. (C2) `bias` is [C].
  }];
  let arguments = (ins LLM_Activations:$x, LLM_WeightTensor:$bias);
  let results = (outs LLM_Activations:$y);
  let assemblyFormat = "$x `,` $bias attr-dict `:` type($x) `,` type($bias)";
  let hasVerifier = 1;
}

def LLM_MixOp : LLM_Op<"mix", [Pure, AllTypesMatch<["x", "other", "y"]>, DeclareOpInterfaceMethods<LLM_CostOpInterface>]> {
  let summary = "Interpolate two values, channel by channel";
  let description = [{
    `y[t,c] = x[t,c] * weight[c] + other[t,c] * (1 - weight[c])`: RWKV's mixing of a token with the one before (arXiv:2305.13048).
    (C1) `x`, `other` and `y` have one type. (C2) `weight` is [C].
  }];
  let arguments = (ins LLM_Activations:$x, LLM_Activations:$other, LLM_WeightTensor:$weight);
  let results = (outs LLM_Activations:$y);
  let assemblyFormat = "$x `,` $other `by` $weight attr-dict `:` type($x) `,` type($weight)";
  let hasVerifier = 1;
}

def LLM_ColumnsOp : LLM_Op<"columns", [Pure]> {
  let summary = "A range of channels";
  let description = [{
    `y[t,c] = x[t, begin + c]` for the channels [begin, begin + N) of `x`, N being those of `y`.
    ```mlir
    %b = llm.columns %x from 2048 : tensor<?x2304xf32> -> tensor<?x128xf32>
    ```
    In the schedule it is a view: only a reader that wants dense rows copies it.
    (C1) `begin` >= 0 and begin + N is at most the channels of `x`.
  }];
  let arguments = (ins LLM_Activations:$x, I64Attr:$begin);
  let results = (outs LLM_Activations:$y);
  let assemblyFormat = "$x `from` $begin attr-dict `:` type($x) `->` type($y)";
  let builders = [OpBuilder<(ins "::mlir::Value":$x, "int64_t":$begin, "int64_t":$count)>];
  let hasFolder = 1; // of all columns; of columns
  let hasVerifier = 1;
}

def LLM_ConcatOp : LLM_Op<"concat", [Pure, InferTypeOpAdaptor, DeclareOpInterfaceMethods<LLM_CostOpInterface>]> {
  let summary = "Channels of several values, one after the other";
  let description = [{
    `y[t] = (parts_0[t], parts_1[t], …)`.
    (C1) there are parts, and `y` has as many channels as all of them; at most 2^30.
  }];
  let arguments = (ins Variadic<LLM_Activations>:$parts);
  let results = (outs LLM_Activations:$y);
  let assemblyFormat = "$parts attr-dict `:` type($parts) `->` type($y)";
}

def LLM_UnitNormOp : LLM_Op<"unit_norm", [Pure, AllTypesMatch<["x", "y"]>, DeclareOpInterfaceMethods<LLM_CostOpInterface>]> {
  let summary = "Root mean square norm without gain";
  let description = [{
    `y[c] = x[c] / sqrt(mean(x^2) + eps)`, each run of `group` channels on its own. Norms whose gain differs from run to run (Mamba-2's
    grouped norm) are this and `llm.scale_channels`; an L2 norm over D channels is this with eps / D and a scale of 1/sqrt(D).
    (C1) `x` and `y` have one type. (C2) `group` > 0 divides the channels. (C3) `eps` > 0.
  }];
  let arguments = (ins LLM_Activations:$x, I64Attr:$group, F64Attr:$eps);
  let results = (outs LLM_Activations:$y);
  let assemblyFormat = "$x `group` $group attr-dict `:` type($x)";
  let hasVerifier = 1;
}

//===----------------------------------------------------------------------===//
// Recurrences
//
// Tokens of a step that follow one another in one slot are a run. A run that begins at position 0 begins without a past, whatever
// the state's memory holds; any other goes on from the state. When a run ends, the state is what its last token left.
//===----------------------------------------------------------------------===//

class LLM_RecurrentOp<string mnemonic, list<Trait> traits = []> : LLM_Op<mnemonic, !listconcat(traits, [AllTypesMatch<["x", "y"]>,
    DeclareOpInterfaceMethods<SymbolUserOpInterface>, DeclareOpInterfaceMethods<MemoryEffectsOpInterface>,
    DeclareOpInterfaceMethods<LLM_CostOpInterface>, DeclareOpInterfaceMethods<LLM_StatefulOpInterface>])>;

def LLM_ShiftOp : LLM_RecurrentOp<"shift"> {
  let summary = "The row of the token before";
  let description = [{
    `y[t] = x[t - 1]` of the same sequence; zeros for its first token. The state keeps the last row.
    (C1) `state` names an `llm.conv_tail` of as many channels as `x`, with one tap. (C2) `x` and `y` have one type.
  }];
  let arguments = (ins LLM_Activations:$x, Index:$layer, LLM_BatchType:$batch, FlatSymbolRefAttr:$state);
  let results = (outs LLM_Activations:$y);
  let assemblyFormat = "$x `,` $state `[` $layer `]` `,` $batch attr-dict `:` type($x)";
}

def LLM_CausalConvOp : LLM_RecurrentOp<"causal_conv"> {
  let summary = "Depthwise causal convolution over the sequence";
  let description = [{
    ```mlir
    %y = llm.causal_conv %x, %w bias %b, @conv[%layer], %batch activation silu : tensor<?x1536xf32>, tensor<1536x4xf32>, tensor<1536xf32>
    ```
    `x`: [T, C], `weight`: [C, K], `bias`: [C]. `y[t,c] = activation(bias[c] + sum_k weight[c,k] * x[t - (K-1) + k, c])` over the tokens of
    the sequence, x being 0 before its first. The state keeps the last K - 1 rows.
    (C1) `state` names an `llm.conv_tail` of C channels and K - 1 taps. (C2) `weight` is a matrix [C, K] of floats. (C3) `bias` is [C].
    (C4) `x` and `y` have one type.
  }];
  let arguments = (ins LLM_Activations:$x, LLM_WeightTensor:$weight, Optional<LLM_WeightTensor>:$bias, Index:$layer, LLM_BatchType:$batch,
    FlatSymbolRefAttr:$state, OptionalAttr<LLM_ActivationAttr>:$activation);
  let results = (outs LLM_Activations:$y);
  let assemblyFormat = [{
    $x `,` $weight (`bias` $bias^)? `,` $state `[` $layer `]` `,` $batch (`activation` $activation^)? attr-dict
    `:` type($x) `,` type($weight) (`,` type($bias)^)?
  }];
  let builders = [OpBuilder<(ins "::mlir::Value":$x, "::mlir::Value":$weight, "::mlir::Value":$bias, "::mlir::Value":$layer,
    "::mlir::Value":$batch, "::llvm::StringRef":$state, CArg<"std::optional<Activation>", "std::nullopt">:$activation)>];
  let hasVerifier = 1;
}

def LLM_ScanOp : LLM_RecurrentOp<"scan", [AttrSizedOperandSegments]> {
  let summary = "The recurrence of a state-space or linear-attention layer";
  let description = [{
    ```mlir
    %y = llm.scan scalar %x, @ssm[%layer], %batch decay neg_exp %a step %dt input %b output %c skip %d
      : (tensor<?x1024xf32>, tensor<16xf32>, tensor<?x16xf32>, …) -> tensor<?x1024xf32>
    ```
    One update of a state `h` per token, in the order of the tokens; all of it is f32. `rate` is what `form` makes of the weight `a`: a
    itself, -exp(a), or -8 softplus(a).

    | kind | operands | state | update | y |
    | --- | --- | --- | --- | --- |
    | `diagonal` | x [C], step [C], a [C,N], input and output [N], skip [C]? | [C,N] | h[c,n] = exp(step[c] rate[c,n]) h[c,n] + step[c] input[n] x[c] | sum_n output[n] h[c,n] + skip[c] x[c] |
    | `scalar` | x [H*P], step [H], a [H], input and output [G*N], skip [H]? | [H,P,N] | h[h,p,n] = exp(step[h] rate[h]) h[h,p,n] + step[h] input[g,n] x[h,p] | sum_n output[g,n] h[h,p,n] + skip[h] x[h,p] |
    | `delta` | x (values) [H*V], step [H], a [H], input (keys) and output (queries) [G*K], beta [H] | [H,K,V] | h' = exp(step[h] rate[h]) h; h[k,v] = h'[k,v] + input[g,k] beta[h] (x[h,v] - sum_k h'[k,v] input[g,k]) | sum_k output[g,k] h[k,v] |
    | `gated` | x [C], step [C], a [C] | [C] | h = e h + sqrt(1 - e^2) x, e = exp(step rate); h = x at position 0 | h |
    | `wkv` | x (values) [C], input (keys) [C], a [C], skip (bonus) [C] | [3,C] | below | below |

    g = h / (H/G): groups of neighbouring heads share input and output. `wkv` is a weighted mean whose weights fade: before the first token
    num = den = 0 and max = -1e38;
    m = max(max, input + skip), y = (num e^(max-m) + x e^(input+skip-m)) / (den e^(max-m) + e^(input+skip-m));
    m' = max(max + rate, input), num = num e^(max+rate-m') + x e^(input-m'), den likewise with 1 for x, max = m'. State: num, den, max.
    `step_limit` = [low, high] clamps `step` first. `chunk` > 0: versions of many tokens may do that many at once by matrix products, which
    sums in another order; 0: one by one.

    How the memory of a state is laid out is up to the kernels, within its size.
    (C1) `state` names an `llm.recurrent` of the shape that the kind wants. (C2) the operands are those of the kind, of fitting shapes.
    (C3) `step_limit` is [low, high], low <= high, and there is a step. (C4) `chunk` >= 0. (C5) `x` and `y` have one type.
    Sources: diagonal arXiv:2312.00752; scalar arXiv:2405.21060; delta arXiv:2412.06464; gated arXiv:2402.19427; wkv arXiv:2305.13048.
  }];
  let arguments = (ins LLM_ScanKindAttr:$kind, LLM_Activations:$x, Index:$layer, LLM_BatchType:$batch, FlatSymbolRefAttr:$state,
    LLM_DecayFormAttr:$form, LLM_WeightTensor:$a, Optional<LLM_Activations>:$step, Optional<LLM_Activations>:$input,
    Optional<LLM_Activations>:$output, Optional<LLM_Activations>:$beta, Optional<LLM_WeightTensor>:$skip,
    OptionalAttr<DenseF64ArrayAttr>:$step_limit, DefaultValuedAttr<I64Attr, "0">:$chunk);
  let results = (outs LLM_Activations:$y);
  let assemblyFormat = [{
    $kind $x `,` $state `[` $layer `]` `,` $batch `decay` $form $a (`step` $step^)? (`input` $input^)? (`output` $output^)? (`beta` $beta^)?
    (`skip` $skip^)? (`chunk` $chunk^)? attr-dict `:` functional-type(operands, results)
  }];
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    // The state's shape of one layer; the op and its state have been verified.
    ::llvm::SmallVector<int64_t> getStateShape();
  }];
}

#endif
