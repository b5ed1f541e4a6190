// Ops of the `llm` dialect. Each description numbers its constraints; verifiers cite them.
#ifndef LLMC_DIALECTS_LLM_OPS
#define LLMC_DIALECTS_LLM_OPS

include "dialects/llm/LLMBase.td"
include "dialects/llm/LLMInterfaces.td"
include "mlir/IR/SymbolInterfaces.td"
include "mlir/Interfaces/SideEffectInterfaces.td"
include "mlir/Interfaces/InferTypeOpInterface.td"

class LLM_Op<string mnemonic, list<Trait> traits = []> : Op<LLM_Dialect, mnemonic, traits>;

//===----------------------------------------------------------------------===//
// Declarations
//===----------------------------------------------------------------------===//

def LLM_AssetOp : LLM_Op<"asset", [Symbol]> {
  let summary = "A file that belongs to the model";
  let description = [{
    ```mlir
    llm.asset @weights0 weights "model-00001-of-00002.safetensors"
    llm.asset @tokenizer tokenizer "tokenizer.json"
    ```
    A tokenizer may be a tokenizer.json or a GGUF file whose metadata holds one.
    Whoever opens the file resolves `path` against the module's directory and refuses one that leaves it, unless the user
    allows that (compiler/support/ModelFiles.h).
    (C1) `path` is not empty and holds no NUL.
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, LLM_AssetKindAttr:$kind, StrAttr:$path);
  let assemblyFormat = "$sym_name $kind $path attr-dict";
  let hasVerifier = 1;
}

def LLM_WeightOp : LLM_Op<"weight", [Symbol]> {
  let summary = "An array over layers of weight tensors, by name in the model's weight files";
  let description = [{
    ```mlir
    llm.weight @blk.q : !llm.weights<16x2048x2048xbf16> from "model.layers.{layer}.self_attn.q_proj.weight"
    ```
    `{layer}` in `source` is replaced by the layer's number in the file: 0, 1, … or what `layers` lists (a kind of layer
    that occurs at some depths only; `llm.weight_load` still indexes by the model's layer number). `formats` gives, per
    layer, the index into the element type's formats. `transpose`: the file holds [in, out]. `rows`: the half-open
    range of rows (after transposition) of a tensor that several weights share; with a third number, every so many rows;
    with a fourth, that many rows in a run each time.

    ```mlir
    llm.weight @blk.gate_exps : !llm.weights<16x64x1024x2048xbf16> from "model.layers.{layer}.mlp.experts.{expert}.gate_proj.weight"
    llm.weight @blk.up_exps : !llm.weights<16x64x1024x2048xbf16> from "model.layers.{layer}.mlp.experts.gate_up_proj" transpose rows [1, 2048, 2]
    ```
    `columns`: the half-open range of columns of a transpose, the file's rows (the keys' part of a projection to keys and values, as
    what absorbs it into the queries). A weight of experts is one tensor each, where `{expert}` is replaced by the expert's number, or one tensor of rank three; `transpose`
    and `rows` are about each expert's matrix. The matrices of a stack may also lie one below the other in a tensor of rank two. Where a matrix has one column, a float tensor may lack that dimension. A float
    tensor may also have dimensions of 1 that the weight lacks (a depthwise convolution's [C, 1, taps]), and a vector may be
    the elements of a tensor of any shape.

    ```mlir
    llm.weight @blk.shared : !llm.weights<2x64x64xf32> from "model.layers.{layer}.shared.weight" layers [6, 11, 17, 23] entries [0, 1, 0, 1]
    llm.weight @blk.adapter : !llm.weights<2x8x64xf32> from "" layers [6, 11] names ["model.layers.6.list.0.weight", "model.layers.6.list.1.weight"]
    ```
    `entries` gives, for each of `layers`, the entry that it uses: blocks of weights that serve at several depths. An entry's name
    has the number of the first layer that uses it. `names` are the names of the entries where no pattern gives them.

    ```mlir
    llm.weight @slopes : !llm.weights<1x4xf32> from "" values [2.5e-1, 6.25e-2, 1.5625e-2, 3.90625e-3]
    ```
    `values`: numbers that an architecture fixes and no file holds, in place of a source; one stands for all elements.
    (C1) `source` has `{layer}` exactly once if there is more than one layer, and `{expert}` at most once, for experts only. (C2) `layers`, if given, has one entry per
    layer (or, with `entries`, which has one for each of them and names every entry, any number), ascending, not negative. (C3) `formats` is there exactly when the element has several formats, one entry per layer, in range.
    (C4) `rows` is [begin, end), [begin, end, step] or [begin, end, step, run], the run, at most the step, for what is not
    transposed, and gives as many rows as a matrix has, or elements as the vector has; only
    float matrices are transposed. (C6) `columns`, if given, is [begin, end) with as many columns as a matrix has, of one that is
    transposed, without `rows`. (C5) `names`, if given, are one for each entry, and `source` is empty. (C7) `values`, if given, are
    finite, one or as many as elements, of a vector of f32 in an array of one, whose `source` is empty.
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, TypeAttrOf<LLM_WeightsType>:$type, StrAttr:$source,
    OptionalAttr<DenseI64ArrayAttr>:$layers, OptionalAttr<DenseI32ArrayAttr>:$formats,
    OptionalAttr<DenseI64ArrayAttr>:$rows, UnitAttr:$transpose, OptionalAttr<DenseI64ArrayAttr>:$entries,
    OptionalAttr<StrArrayAttr>:$names, OptionalAttr<DenseI64ArrayAttr>:$columns, OptionalAttr<DenseF32ArrayAttr>:$values);
  let assemblyFormat = [{
    $sym_name `:` $type `from` $source (`transpose` $transpose^)? (`rows` $rows^)? (`columns` $columns^)? (`layers` $layers^)? (`entries` $entries^)?
    (`names` $names^)? (`values` $values^)? (`formats` $formats^)? attr-dict
  }];
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    WeightsType getWeights() { return ::llvm::cast<WeightsType>(getType()); }
    // Index into the array of the model's layer `layer`; -1 if this weight has none there.
    int64_t indexOfLayer(int64_t layer);
    // Name in the file of entry `index` of the array; of expert `expert` where there is a tensor for each.
    std::string sourceName(int64_t index, int64_t expert = 0);
    // Matrices of one entry: 1, or the number of experts.
    int64_t getExperts() { return getWeights().getShape().size() == 3 ? getWeights().getShape()[0] : 1; }
    // Does each expert have a tensor of its own?
    bool hasExpertTensors();
    Format formatOf(int64_t index);
  }];
}

def LLM_StateOp : LLM_Op<"state", [Symbol]> {
  let summary = "State that lives from step to step, one slot per sequence";
  let description = [{
    ```mlir
    llm.state @kv : !llm.kv_cache<layers = 16, kv_heads = 8, head_dim = 64, f16>
    ```
    `layers`: the model's layer numbers that use it, ascending; 0, 1, … when absent.
    (C1) `type` is a state type. (C2) `layers`, if given, has one ascending entry per layer of the type.
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, TypeAttr:$type, OptionalAttr<DenseI64ArrayAttr>:$layers);
  let assemblyFormat = "$sym_name `:` $type (`layers` $layers^)? attr-dict";
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    // Index of the model's layer `layer` among the layers of this state; -1 if it has none.
    int64_t indexOfLayer(int64_t layer);
  }];
}

//===----------------------------------------------------------------------===//
// Structure
//===----------------------------------------------------------------------===//

def LLM_WeightLoadOp : LLM_Op<"weight_load", [Pure, DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "The value of one layer of a weight array";
  let description = [{
    ```mlir
    %wq = llm.weight_load @blk.q[%layer] : tensor<2048x2048xbf16>
    %g = llm.weight_load @norm : tensor<2048xf32>
    ```
    (C1) `weight` names an `llm.weight`. (C2) the result is that weight's value type. (C3) without `layer` the array has one entry.
  }];
  let arguments = (ins FlatSymbolRefAttr:$weight, Optional<Index>:$layer);
  let results = (outs LLM_WeightTensor:$value);
  let assemblyFormat = "$weight (`[` $layer^ `]`)? attr-dict `:` type($value)";
  let builders = [OpBuilder<(ins "::llmc::llm::WeightOp":$weight, CArg<"::mlir::Value", "{}">:$layer)>];
}

def LLM_LayersOp : LLM_Op<"layers", [AllTypesMatch<["x", "y"]>, DeclareOpInterfaceMethods<SymbolUserOpInterface>,
    DeclareOpInterfaceMethods<MemoryEffectsOpInterface>]> {
  let summary = "Run the layers one after another";
  let description = [{
    ```mlir
    %y = llm.layers %x, %batch (%cs_local, %cs_global : tensor<?x32xf32>, tensor<?x32xf32>)
           kinds [@local, @global] order [0, 0, 0, 0, 0, 1] : tensor<?x640xf32>
    ```
    Layer i calls `kinds[order[i]](%h, i, %batch, extra…)`, %h being the result of layer i - 1 (`x` for the first).
    (C1) each kind is a private func of (type of `x`, index, !llm.batch, types of `extra`) to the type of `x`, which is the type of `y`.
    (C2) `order` is not empty and indexes `kinds`; each kind occurs.
  }];
  let arguments = (ins LLM_Activations:$x, LLM_BatchType:$batch, Variadic<AnyType>:$extra,
    FlatSymbolRefArrayAttr:$kinds, DenseI32ArrayAttr:$order);
  let results = (outs LLM_Activations:$y);
  let assemblyFormat = [{
    $x `,` $batch (`(` $extra^ `:` type($extra) `)`)? `kinds` $kinds `order` $order attr-dict `:` type($x) `->` type($y)
  }];
}

def LLM_SelectRowsOp : LLM_Op<"select_rows", [Pure, AllTypesMatch<["x", "y"]>]> {
  let summary = "The rows whose logits are wanted";
  let description = [{ `y[r] = x[rows[r]]` for the R rows that the batch names. (C1) `x` and `y` are of one type. }];
  let arguments = (ins LLM_Activations:$x, LLM_BatchType:$batch);
  let results = (outs LLM_Activations:$y);
  let assemblyFormat = "$x `,` $batch attr-dict `:` type($x) `->` type($y)";
}

//===----------------------------------------------------------------------===//
// Compute
//===----------------------------------------------------------------------===//

def LLM_EmbeddingOp : LLM_Op<"embedding", [Pure, InferTypeOpAdaptor,
    DeclareOpInterfaceMethods<LLM_CostOpInterface>]> {
  let summary = "Rows of a table, by token id or by position";
  let description = [{
    `table`: [N, C], any weight element. `y[t] = scale * table[index[t] + offset]`.
    (C1) `y` is tensor<?xCxf32>. (C2) offset >= 0. (C3) scale is finite.
    An index outside the table is refused by the runtime before the step.
  }];
  let arguments = (ins LLM_BatchType:$batch, LLM_WeightTensor:$table, LLM_IndexSourceAttr:$index,
    DefaultValuedAttr<F32Attr, "1.0f">:$scale, DefaultValuedAttr<I64Attr, "0">:$offset);
  let results = (outs LLM_Activations:$y);
  let assemblyFormat = "$batch `,` $table $index attr-dict `:` type($table) `->` type($y)";
  let hasVerifier = 1;
}

def LLM_RMSNormOp : LLM_Op<"rms_norm", [Pure, AllTypesMatch<["x", "y"]>,
    DeclareOpInterfaceMethods<LLM_CostOpInterface>]> {
  let summary = "Scale each row by the inverse of its root mean square";
  let description = [{
    `x`: [T, C], `gain`: [D] with D dividing C; each run of D channels is one row (heads, where D < C).
    `y[c] = x[c] * (gain[c] + offset) / sqrt(mean(x^2) + eps)`. Sums are f32.
    (C1) `x` and `y` have one type. (C2) `gain` is [D], D divides C. (C3) `eps` > 0.
    Source: arXiv:1910.07467.
  }];
  let arguments = (ins LLM_Activations:$x, LLM_WeightTensor:$gain, F64Attr:$eps, DefaultValuedAttr<F64Attr, "0.0">:$offset);
  let results = (outs LLM_Activations:$y);
  let assemblyFormat = "$x `,` $gain attr-dict `:` type($x) `,` type($gain)";
  let hasVerifier = 1;
}

def LLM_LayerNormOp : LLM_Op<"layer_norm", [Pure, AllTypesMatch<["x", "y"]>,
    DeclareOpInterfaceMethods<LLM_CostOpInterface>]> {
  let summary = "Take out each row's mean and variance";
  let description = [{
    `y[c] = (x[c] - mean(x)) / sqrt(var(x) + eps) * gain[c] + bias[c]`, the variance being that of the population.
    (C1) `x` and `y` have one type. (C2) `gain` and `bias` are [C]. (C3) `eps` > 0.
    Source: arXiv:1607.06450.
  }];
  let arguments = (ins LLM_Activations:$x, LLM_WeightTensor:$gain, Optional<LLM_WeightTensor>:$bias, F64Attr:$eps);
  let results = (outs LLM_Activations:$y);
  let assemblyFormat = "$x `,` $gain (`,` $bias^)? attr-dict `:` type($x) `,` type($gain) (`,` type($bias)^)?";
  let hasVerifier = 1;
}

def LLM_LinearOp : LLM_Op<"linear", [Pure, AttrSizedOperandSegments,
    InferTypeOpAdaptor, DeclareOpInterfaceMethods<LLM_CostOpInterface>]> {
  let summary = "Products of one input with one or more weights";
  let description = [{
    ```mlir
    %q, %k, %v = llm.linear %x [%wq, %wk, %wv] bias [%bq, %bk, %bv] : tensor<?x640xf32>, … -> …
    ```
    `x`: [T, K]; weight i: [Ni, K]; result i: [T, Ni], `y_i = x * w_i^T + bias_i`. Passes fold neighbours into it, in this order:
      - `norm`: x is normalised first (`norm_gain`, `norm_bias`, as `llm.rms_norm` / `llm.layer_norm` over all K channels);
      - `activation`: of each result;
      - `glu`: with two weights, the one result is `activation(y_0) * y_1`;
      - `scale`, then `softcap`: of the one result, as `llm.scale` and `llm.softcap`;
      - `residual`: added to the one result.
    `top_k` changes no value: a step that is asked for the best of each row of the result, and not for all of it, may leave the rest unwritten.
    Sums are f32. Products are f32 in exact mode; otherwise the input may be rounded as the mode says (docs/architecture/numerics.md).
    (C1) weights are [Ni, K]. (C2) biases: none, or one [Ni] per weight. (C3) results: one [T, Ni] per weight; with `glu`
    two weights of one shape, an activation, and one result. (C4) `norm_gain` is there exactly with `norm`, and is [K];
    `norm_bias` [K] only with a layer norm. (C5) `residual` is of the type of the only result. (C6) `scale` (finite, not 0), `softcap` (> 0) and
    `top_k` stand at one weight without `glu` and `residual`.
  }];
  let arguments = (ins LLM_Activations:$x, Variadic<LLM_WeightTensor>:$weights, Variadic<LLM_WeightTensor>:$biases,
    Optional<LLM_WeightTensor>:$norm_gain, Optional<LLM_WeightTensor>:$norm_bias, Optional<LLM_Activations>:$residual,
    OptionalAttr<LLM_NormAttr>:$norm, OptionalAttr<LLM_ActivationAttr>:$activation, UnitAttr:$glu,
    OptionalAttr<F64Attr>:$scale, OptionalAttr<F64Attr>:$softcap, UnitAttr:$top_k);
  let results = (outs Variadic<LLM_Activations>:$y);
  let assemblyFormat = [{
    $x `[` $weights `]` (`bias` `[` $biases^ `]`)? (`norm` $norm^ $norm_gain (`,` $norm_bias^)?)? (`activation` $activation^)? (`glu` $glu^)?
    (`scale` $scale^)? (`softcap` $softcap^)? (`residual` $residual^)? (`top_k` $top_k^)? attr-dict `:` functional-type(operands, results)
  }];
  let builders = [
    // The plain product; results follow from the weights.
    OpBuilder<(ins "::mlir::Value":$x, "::mlir::ValueRange":$weights, CArg<"::mlir::ValueRange", "{}">:$biases)>];
  let hasVerifier = 1;
}

def LLM_ActivationOp : LLM_Op<"activation", [Pure, AllTypesMatch<["x", "y"]>,
    DeclareOpInterfaceMethods<LLM_CostOpInterface>, DeclareOpInterfaceMethods<LLM_EpilogueOpInterface>]> {
  let summary = "A pointwise nonlinearity";
  let description = [{ `gelu` is the exact form (erf), `gelu_tanh` its approximation (arXiv:1606.08415); `softplus` is log(1 + exp(x)), `relu2` max(x, 0)^2. (C1) `x` and `y` have one type. }];
  let arguments = (ins LLM_Activations:$x, LLM_ActivationAttr:$kind);
  let results = (outs LLM_Activations:$y);
  let assemblyFormat = "$kind $x attr-dict `:` type($x)";
  let hasFolder = 1; // relu(relu(x)) = relu(x)
}

def LLM_GLUOp : LLM_Op<"glu", [Pure, AllTypesMatch<["gate", "up", "y"]>,
    DeclareOpInterfaceMethods<LLM_CostOpInterface>, DeclareOpInterfaceMethods<LLM_EpilogueOpInterface>]> {
  let summary = "Gated linear unit: activation(gate) * up";
  let description = [{ Source: arXiv:2002.05202. (C1) `gate`, `up` and `y` have one type. }];
  let arguments = (ins LLM_Activations:$gate, LLM_Activations:$up, LLM_ActivationAttr:$kind);
  let results = (outs LLM_Activations:$y);
  let assemblyFormat = "$kind $gate `,` $up attr-dict `:` type($gate)";
}

def LLM_AddOp : LLM_Op<"add", [Pure, Commutative, SameOperandsAndResultType,
    DeclareOpInterfaceMethods<LLM_CostOpInterface>, DeclareOpInterfaceMethods<LLM_EpilogueOpInterface>]> {
  let summary = "Elementwise sum (the residual stream)";
  let description = [{ (C1) operands and result have one type. }];
  let arguments = (ins LLM_Activations:$a, LLM_Activations:$b);
  let results = (outs LLM_Activations:$y);
  let assemblyFormat = "$a `,` $b attr-dict `:` type($y)";
}

def LLM_ScaleOp : LLM_Op<"scale", [Pure, SameOperandsAndResultType, DeclareOpInterfaceMethods<LLM_CostOpInterface>]> {
  let summary = "Multiply by a constant";
  let description = [{ `y = x * factor`, the factor rounded to f32. (C1) `factor` is finite. }];
  let arguments = (ins LLM_Activations:$x, F64Attr:$factor);
  let results = (outs LLM_Activations:$y);
  let assemblyFormat = "$x `by` $factor attr-dict `:` type($y)";
  let hasFolder = 1; // x by 1 = x; factors are not multiplied, which would round otherwise
  let hasVerifier = 1;
}

def LLM_SoftcapOp : LLM_Op<"softcap", [Pure, SameOperandsAndResultType, DeclareOpInterfaceMethods<LLM_CostOpInterface>]> {
  let summary = "cap * tanh(x / cap)";
  let description = [{ (C1) `cap` > 0. Source: arXiv:2408.00118. }];
  let arguments = (ins LLM_Activations:$x, F64Attr:$cap);
  let results = (outs LLM_Activations:$y);
  let assemblyFormat = "$x `cap` $cap attr-dict `:` type($y)";
  let hasVerifier = 1;
}

def LLM_RopeTableOp : LLM_Op<"rope_table", [Pure, DeclareOpInterfaceMethods<LLM_CostOpInterface>]> {
  let summary = "Cosines and sines of rotary position embedding, one row per token";
  let description = [{
    `y[t] = (cos(p f_0) … cos(p f_{d/2-1}), sin(p f_0) … sin(p f_{d/2-1})) * attention_factor`, p the token's position, d = dim;
    `f_i = theta^(-2i/dim)` as `scaling` changes it, divided by `factors[i]` if given. `dynamic` and `longrope` look at the length
    of the token's sequence (`max_positions` of the batch entry).
    (C1) `y` is tensor<?xdimxf32>, dim even, positive, at most 65536. (C2) `factors` is [dim/2]. (C3) theta > 0; the scaling's parameters are in range.
    Source: arXiv:2104.09864.
  }];
  let arguments = (ins LLM_BatchType:$batch, Optional<LLM_WeightTensor>:$factors, F64Attr:$theta,
    OptionalAttr<LLM_RopeScalingAttr>:$scaling);
  let results = (outs LLM_Activations:$y);
  let assemblyFormat = "$batch (`,` $factors^ `:` type($factors))? `theta` $theta (`scaling` $scaling^)? attr-dict `->` type($y)";
  let hasVerifier = 1;
}

def LLM_RopeOp : LLM_Op<"rope", [Pure, AllTypesMatch<["x", "y"]>, DeclareOpInterfaceMethods<LLM_CostOpInterface>]> {
  let summary = "Turn pairs of channels of each head by their position's angle";
  let description = [{
    `x`: [T, heads * head_dim]; `table` from `llm.rope_table`. For the pair (a, b) number i:
    `y_a = x_a cos_i - x_b sin_i`, `y_b = x_b cos_i + x_a sin_i`.
    (C1) `x` and `y` have one type. (C2) head_dim divides the channels; rotary dim <= head_dim and equals the table's columns.
  }];
  let arguments = (ins LLM_Activations:$x, LLM_Activations:$table, I64Attr:$head_dim, LLM_RotaryAttr:$rotary);
  let results = (outs LLM_Activations:$y);
  let assemblyFormat = "$x `,` $table $rotary `head_dim` $head_dim attr-dict `:` type($x) `,` type($table)";
  let hasVerifier = 1;
}

def LLM_AttentionOp : LLM_Op<"attention", [AttrSizedOperandSegments, AllTypesMatch<["q", "y"]>,
    DeclareOpInterfaceMethods<SymbolUserOpInterface>, DeclareOpInterfaceMethods<MemoryEffectsOpInterface>,
    DeclareOpInterfaceMethods<LLM_CostOpInterface>, DeclareOpInterfaceMethods<LLM_StatefulOpInterface>]> {
  let summary = "Append keys and values to a cache, then attend to it";
  let description = [{
    ```mlir
    %a = llm.attention %q, %k, %v, @kv[%layer], %batch scale 0.125 window 512 : …
    ```
    `q`: [T, heads * head_dim]; `k`, `v`: [T, kv_heads * head_dim]; head h reads KV head h * kv_heads / heads. First all k and v of the step
    are written to their tokens' slots and positions; then token t attends to the positions p <= pos(t) of its slot, and p > pos(t) - window if
    window > 0. With `mask` full it attends to all positions that its sequence has after the request, and, if window > 0, |p - pos(t)| < window: the
    whole sequence must be in one step. Scores are `scale * q.k`, with `softcap` > 0 `softcap * tanh(score / softcap)`; softmax and sums in f32.
    `sinks` ([heads], any float format): head h has one more score, sinks[h], whose value is zero (gpt-oss).
    `slopes` ([heads], any float format): slopes[h] * (p - pos(t)) is added to each score (ALiBi, arXiv:2108.12409).
    `bias` ([buckets * heads], heads innermost) with `relative`: bias[bucket(p - pos(t)), h] is added to each score (T5, arXiv:1910.10683).
    Passes fold into it: `norm` with `q_gain`, `k_gain` ([head_dim], over each head of q and k), then `rotary` by `table`.
    (C1) `state` names an `llm.kv_cache` without value_dim whose kv_heads and head_dim fit `k` and `v`. (C2) heads is a multiple of kv_heads.
    (C3) scale > 0, window >= 0, softcap >= 0. (C4) `table` is there exactly with `rotary`, whose dim <= head_dim equals its columns.
    (C5) `q_gain` and `k_gain`, [head_dim], are there exactly with `norm`, an rms norm. (C6) result type = type of `q`. (C7) `sinks` is [heads].
    (C8) `slopes` is [heads]. (C9) `bias` is there exactly with `relative`; it has an even number of buckets, 4 at least, for each head.
  }];
  let arguments = (ins LLM_Activations:$q, LLM_Activations:$k, LLM_Activations:$v, Index:$layer, LLM_BatchType:$batch,
    Optional<LLM_Activations>:$table, Optional<LLM_WeightTensor>:$q_gain, Optional<LLM_WeightTensor>:$k_gain, Optional<LLM_WeightTensor>:$sinks,
    Optional<LLM_WeightTensor>:$slopes, Optional<LLM_WeightTensor>:$bias, FlatSymbolRefAttr:$state, F64Attr:$scale,
    DefaultValuedAttr<I64Attr, "0">:$window, DefaultValuedAttr<F64Attr, "0.0">:$softcap, OptionalAttr<LLM_RotaryAttr>:$rotary,
    OptionalAttr<LLM_NormAttr>:$norm, OptionalAttr<LLM_RelativeAttr>:$relative, DefaultValuedAttr<LLM_MaskAttr, "::llmc::llm::Mask::causal">:$mask);
  let results = (outs LLM_Activations:$y);
  let assemblyFormat = [{
    $q `,` $k `,` $v `,` $state `[` $layer `]` `,` $batch `scale` $scale
    (`norm` $norm^ $q_gain `,` $k_gain)? (`rotary` $rotary^ $table)? (`sinks` $sinks^)? (`slopes` $slopes^)? (`relative` $relative^ $bias)? attr-dict `:` functional-type(operands, results)
  }];
  let builders = [
    // Nothing folded in: no norm, no rotation. `window` 0 and `softcap` 0: none.
    OpBuilder<(ins "::mlir::Value":$q, "::mlir::Value":$k, "::mlir::Value":$v, "::mlir::Value":$layer,
      "::mlir::Value":$batch, "::llvm::StringRef":$state, "double":$scale, CArg<"int64_t", "0">:$window,
      CArg<"double", "0.0">:$softcap)>];
  let extraClassDeclaration = "::mlir::LogicalResult verifyBias(int64_t heads);";
  let hasVerifier = 1;
}

include "dialects/llm/LLMScanOps.td"
include "dialects/llm/LLMExpertOps.td"
include "dialects/llm/LLMCrossOps.td"

#endif
