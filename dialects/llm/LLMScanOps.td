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

#endif
