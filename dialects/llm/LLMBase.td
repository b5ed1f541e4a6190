// The `llm` dialect: what a language model computes. See docs/reference for the generated op pages.
#ifndef LLMC_DIALECTS_LLM_BASE
#define LLMC_DIALECTS_LLM_BASE

include "mlir/IR/OpBase.td"
include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/EnumAttr.td"
include "mlir/IR/BuiltinAttributeInterfaces.td"
include "dialects/llm/LLMTypeInterfaces.td"

def LLM_Dialect : Dialect {
  let name = "llm";
  let cppNamespace = "::llmc::llm";
  let summary = "Language models as dataflow graphs over weights in files and explicit state";
  let description = [{
    Values are tensors `[T, C]` of f32; `T`, the tokens of this step, is the one dynamic dimension. Weights are symbols
    that point into checkpoint files; state (caches) is declared and named by the ops that touch it. A model is a module
    with one public function `@step(%batch: !llm.batch) -> (logits, hidden)`.
  }];
  let useDefaultTypePrinterParser = 1;
  let useDefaultAttributePrinterParser = 1;
  let extraClassDeclaration = [{ void registerTypes(); }];
  let dependentDialects = ["::mlir::func::FuncDialect", "::mlir::tensor::TensorDialect"];
}

class LLM_I32Enum<string name, string summary, list<I32EnumAttrCase> cases>
    : I32EnumAttr<name, summary, cases> {
  let cppNamespace = "::llmc::llm";
  let genSpecializedAttr = 0;
}

def LLM_Format : LLM_I32Enum<"Format", "storage format of weight elements", [
  I32EnumAttrCase<"f32", 0>, I32EnumAttrCase<"f16", 1>, I32EnumAttrCase<"bf16", 2>,
  I32EnumAttrCase<"q4_0", 3>, I32EnumAttrCase<"q5_0", 4>, I32EnumAttrCase<"q8_0", 5>,
  I32EnumAttrCase<"q4_k", 6>, I32EnumAttrCase<"q5_k", 7>, I32EnumAttrCase<"q6_k", 8>,
  I32EnumAttrCase<"q4_1", 9>, I32EnumAttrCase<"q5_1", 10>, I32EnumAttrCase<"q2_k", 11>,
  I32EnumAttrCase<"q3_k", 12>, I32EnumAttrCase<"iq4_nl", 13>, I32EnumAttrCase<"mxfp4", 14>]>;

def LLM_Activation : LLM_I32Enum<"Activation", "pointwise nonlinearity", [
  I32EnumAttrCase<"relu", 0>, I32EnumAttrCase<"silu", 1>, I32EnumAttrCase<"gelu", 2>,
  I32EnumAttrCase<"gelu_tanh", 3>, I32EnumAttrCase<"sigmoid", 4>, I32EnumAttrCase<"tanh", 5>,
  I32EnumAttrCase<"softplus", 6>, I32EnumAttrCase<"relu2", 7>]>;
def LLM_ActivationAttr : EnumAttr<LLM_Dialect, LLM_Activation, "activation">;

def LLM_ScanKind : LLM_I32Enum<"ScanKind", "which recurrence a scan runs", [
  I32EnumAttrCase<"diagonal", 0>, // a decay for each channel and state: Mamba
  I32EnumAttrCase<"scalar", 1>,   // a decay for each head: Mamba-2
  I32EnumAttrCase<"delta", 2>,    // gated delta rule: Qwen3-Next
  I32EnumAttrCase<"gated", 3>,    // RG-LRU
  I32EnumAttrCase<"wkv", 4>]>;    // RWKV-4
def LLM_ScanKindAttr : EnumAttr<LLM_Dialect, LLM_ScanKind, "scan_kind">;

def LLM_DecayForm : LLM_I32Enum<"DecayForm", "what the file stores of a decay's rate", [
  I32EnumAttrCase<"rate", 0>,       // rate = a
  I32EnumAttrCase<"neg_exp", 1>,    // rate = -exp(a)
  I32EnumAttrCase<"softplus8", 2>]>; // rate = -8 softplus(a)
def LLM_DecayFormAttr : EnumAttr<LLM_Dialect, LLM_DecayForm, "decay_form">;

def LLM_NormKind : LLM_I32Enum<"NormKind", "which mean a norm takes out", [
  I32EnumAttrCase<"rms", 0>, I32EnumAttrCase<"layer", 1>]>;

def LLM_RotaryStyle : LLM_I32Enum<"RotaryStyle", "which channels of a head form a rotated pair", [
  I32EnumAttrCase<"half", 0>,          // (i, i + dim/2): GPT-NeoX, Hugging Face
  I32EnumAttrCase<"interleaved", 1>]>; // (2i, 2i+1): GPT-J, GGUF's llama

def LLM_RopeScalingKind : LLM_I32Enum<"RopeScalingKind", "how rope frequencies are stretched", [
  I32EnumAttrCase<"none", 0>, I32EnumAttrCase<"linear", 1>, I32EnumAttrCase<"dynamic", 2>,
  I32EnumAttrCase<"llama3", 3>, I32EnumAttrCase<"yarn", 4>, I32EnumAttrCase<"longrope", 5>]>;

def LLM_AssetKind : LLM_I32Enum<"AssetKind", "what a file beside the model is for", [
  I32EnumAttrCase<"weights", 0>, I32EnumAttrCase<"tokenizer", 1>, I32EnumAttrCase<"chat_template", 2>,
  I32EnumAttrCase<"generation_config", 3>]>;
def LLM_AssetKindAttr : EnumAttr<LLM_Dialect, LLM_AssetKind, "asset_kind">;

def LLM_RouterScores : LLM_I32Enum<"RouterScores", "what a router makes of its logits", [
  I32EnumAttrCase<"logits", 0>, I32EnumAttrCase<"softmax", 1>, I32EnumAttrCase<"sigmoid", 2>]>;
def LLM_RouterScoresAttr : EnumAttr<LLM_Dialect, LLM_RouterScores, "router_scores">;

def LLM_GroupScore : LLM_I32Enum<"GroupScore", "by what groups of experts are chosen", [
  I32EnumAttrCase<"max", 0>,        // the greatest score of a member
  I32EnumAttrCase<"top2_sum", 1>]>; // the sum of the two greatest
def LLM_GroupScoreAttr : EnumAttr<LLM_Dialect, LLM_GroupScore, "group_score">;

def LLM_RouterNormalize : LLM_I32Enum<"RouterNormalize", "how the scores of the chosen become weights", [
  I32EnumAttrCase<"none", 0>, I32EnumAttrCase<"sum", 1>, I32EnumAttrCase<"softmax", 2>]>;
def LLM_RouterNormalizeAttr : EnumAttr<LLM_Dialect, LLM_RouterNormalize, "router_normalize">;

def LLM_IndexSource : LLM_I32Enum<"IndexSource", "what an embedding looks up", [
  I32EnumAttrCase<"tokens", 0>, I32EnumAttrCase<"positions", 1>,
  I32EnumAttrCase<"token_types", 2>, // the segment that a token belongs to: BERT
  I32EnumAttrCase<"first", 3>]>;     // row 0 for all
def LLM_IndexSourceAttr : EnumAttr<LLM_Dialect, LLM_IndexSource, "index_source">;

def LLM_Mask : LLM_I32Enum<"Mask", "which positions a token attends to", [
  I32EnumAttrCase<"causal", 0>, // its own and those before it
  I32EnumAttrCase<"full", 1>]>; // all of its sequence: encoders
def LLM_MaskAttr : EnumAttr<LLM_Dialect, LLM_Mask, "mask">;

//===----------------------------------------------------------------------===//
// Attributes
//===----------------------------------------------------------------------===//

class LLM_Attr<string name, string mnemonic_> : AttrDef<LLM_Dialect, name> { let mnemonic = mnemonic_; }

def LLM_NormAttr : LLM_Attr<"Norm", "norm"> {
  let summary = "A normalisation folded into another op";
  let description = [{
    `#llm.norm<rms, eps = 1.0e-6, offset = 1.0>`: as `llm.rms_norm` (or `llm.layer_norm`) with that epsilon; `offset` is
    added to the gain (Gemma stores gain - 1). `eps` is positive.
  }];
  let parameters = (ins EnumParameter<LLM_NormKind>:$kind, "::llmc::llm::Real":$eps, DefaultValuedParameter<"::llmc::llm::Real", "::llmc::llm::Real(0.0)">:$offset);
  let assemblyFormat = "`<` $kind `,` `eps` `=` $eps (`,` `offset` `=` $offset^)? `>`";
  let genVerifyDecl = 1;
}

def LLM_GLULimitsAttr : LLM_Attr<"GLULimits", "glu_limits"> {
  let summary = "A gated unit whose inputs are clamped";
  let description = [{
    `#llm.glu_limits<alpha = 1.702, limit = 7.0, offset = 1.0>`: with `g = min(gate, limit)` and `u = min(max(up, -limit), limit)` the unit is
    `g * sigmoid(alpha * g) * (u + offset)`. `alpha` and `limit` are positive, `offset` is finite. Source: OpenAI's gpt-oss.
  }];
  let parameters = (ins "::llmc::llm::Real":$alpha, "::llmc::llm::Real":$limit, "::llmc::llm::Real":$offset);
  let assemblyFormat = "`<` `alpha` `=` $alpha `,` `limit` `=` $limit `,` `offset` `=` $offset `>`";
  let genVerifyDecl = 1;
}

def LLM_RotaryAttr : LLM_Attr<"Rotary", "rotary"> {
  let summary = "Rotary position embedding of heads, by a table of cosines and sines";
  let description = [{ `#llm.rotary<half, dim = 64>`: the first `dim` channels of each head turn, the rest stay. `dim` is even and positive. }];
  let parameters = (ins EnumParameter<LLM_RotaryStyle>:$style, "int64_t":$dim);
  let assemblyFormat = "`<` $style `,` `dim` `=` $dim `>`";
  let genVerifyDecl = 1;
}

def LLM_RelativeAttr : LLM_Attr<"Relative", "relative"> {
  let summary = "Buckets of distances between tokens, as T5 has them";
  let description = [{
    `#llm.relative<max_distance = 128, both>`: of n buckets, the first n/2 are for distances 0, 1, …, the others grow with the distance's logarithm up
    to `max_distance`. With `both`, half of all buckets are for tokens that come later; without it, those count as distance 0.
    `max_distance` is at most 65536 and more than the distances that have buckets of their own. Source: arXiv:1910.10683.
  }];
  let parameters = (ins "int64_t":$max_distance, DefaultValuedParameter<"bool", "false">:$both);
  let assemblyFormat = "`<` struct(params) `>`";
}

def LLM_RopeScalingAttr : LLM_Attr<"RopeScaling", "rope_scaling"> {
  let summary = "Frequencies of a rope table beyond the plain theta^(-2i/dim)";
  let description = [{
    Parameters as in Hugging Face's `rope_parameters`; zero or empty where a kind has no such parameter.
    Sources: linear arXiv:2306.15595; dynamic (NTK) and yarn arXiv:2309.00071; longrope arXiv:2402.13753; llama3: Llama 3.1.
  }];
  let parameters = (ins EnumParameter<LLM_RopeScalingKind>:$kind,
    DefaultValuedParameter<"::llmc::llm::Real", "::llmc::llm::Real(1.0)">:$factor,
    DefaultValuedParameter<"::llmc::llm::Real", "::llmc::llm::Real(0.0)">:$low_freq_factor,
    DefaultValuedParameter<"::llmc::llm::Real", "::llmc::llm::Real(0.0)">:$high_freq_factor,
    DefaultValuedParameter<"int64_t", "0">:$original_max_positions,
    DefaultValuedParameter<"::llmc::llm::Real", "::llmc::llm::Real(32.0)">:$beta_fast,
    DefaultValuedParameter<"::llmc::llm::Real", "::llmc::llm::Real(1.0)">:$beta_slow,
    DefaultValuedParameter<"::llmc::llm::Real", "::llmc::llm::Real(1.0)">:$attention_factor,
    DefaultValuedParameter<"bool", "true">:$truncate,
    OptionalArrayRefParameter<"::llmc::llm::Real">:$short_factors,
    OptionalArrayRefParameter<"::llmc::llm::Real">:$long_factors);
  let hasCustomAssemblyFormat = 1;
}

//===----------------------------------------------------------------------===//
// Types
//===----------------------------------------------------------------------===//

class LLM_Type<string name, string mnemonic_, list<Trait> traits = []> : TypeDef<LLM_Dialect, name, traits> { let mnemonic = mnemonic_; }

def LLM_QuantType : LLM_Type<"Quant", "quant"> {
  let summary = "Element type of a quantised weight";
  let description = [{
    `!llm.quant<q4_k>`, or `!llm.quant<q5_0|q8_0>` where a weight array keeps some layers in one format and some in
    another. Formats are GGUF's blocks: `dialects/llm/Formats.h` tells each one's group, scale, zero point, super-block.
  }];
  let parameters = (ins ArrayRefParameter<"::llmc::llm::Format">:$formats);
  let hasCustomAssemblyFormat = 1;
  let genVerifyDecl = 1;
}

def LLM_WeightsType : LLM_Type<"Weights", "weights"> {
  let summary = "An array over layers of weight tensors that lie in files";
  let description = [{
    `!llm.weights<18x2048x640xbf16>`: 18 layers of [2048, 640]. The element is f32, f16, bf16 or `!llm.quant`. A weight that
    is not per layer is an array of one. `!llm.weights<16x64x1024x2048xbf16>`: 16 layers of 64 experts' matrices each; a bias of
    experts is a matrix of one column each, `16x64x1024x1`.
  }];
  let parameters = (ins "int64_t":$layers, ArrayRefParameter<"int64_t">:$shape, "::mlir::Type":$element);
  let hasCustomAssemblyFormat = 1;
  let genVerifyDecl = 1;
  let extraClassDeclaration = [{
    // The formats that layers of this array may have (one for f32, f16, bf16).
    ::llvm::SmallVector<Format> getFormats() const;
    // Type of one layer's value: `tensor<2048x640xbf16>`.
    ::mlir::RankedTensorType getValueType() const;
  }];
}

class LLM_StateType<string name, string mnemonic_> : LLM_Type<name, mnemonic_, [
    DeclareTypeInterfaceMethods<LLM_StateTypeInterface>]>;

def LLM_KVCacheType : LLM_StateType<"KVCache", "kv_cache"> {
  let summary = "Keys and values of attention layers, per sequence slot";
  let description = [{
    `!llm.kv_cache<layers = 18, kv_heads = 1, head_dim = 256, f16>`. `layers` counts the layers that use it. A slot can be
    rolled back to a position, copied and cleared. `!llm.kv_cache<layers = 60, kv_heads = 1, head_dim = 576, value_dim = 512, f16>`: values
    are the first 512 channels of the keys, and nothing but the keys is kept (latent attention). The element is f32, f16 or, without
    value_dim, `!llm.quant<q8_0>`: groups of 32 channels of a head, the last one maybe shorter, as whole numbers from -127 to 127 times an
    f16 scale. `dialects/llm/CacheLayout.h` has the formula, `passes/lowering/kernels/CacheBlock.h` the layout.
  }];
  let parameters = (ins "int64_t":$layers, "int64_t":$kv_heads, "int64_t":$head_dim, DefaultValuedParameter<"int64_t", "0">:$value_dim,
    "::mlir::Type":$element);
  let assemblyFormat = [{
    `<` `layers` `=` $layers `,` `kv_heads` `=` $kv_heads `,` `head_dim` `=` $head_dim `,` (`value_dim` `=` $value_dim^ `,`)? $element `>`
  }];
  let builders = [TypeBuilder<(ins "int64_t":$layers, "int64_t":$kv_heads, "int64_t":$head_dim, "::mlir::Type":$element),
    [{ return Base::get($_ctxt, layers, kv_heads, head_dim, int64_t(0), element); }]>];
  let genVerifyDecl = 1;
}

def LLM_ConvTailType : LLM_StateType<"ConvTail", "conv_tail"> {
  let summary = "The last inputs of causal convolutions, per sequence slot";
  let description = [{
    `!llm.conv_tail<layers = 24, channels = 1536, taps = 3>`: f32 [taps][channels], the oldest first. A convolution over k tokens
    keeps k - 1 of them. A sequence begins with zeros.
  }];
  let parameters = (ins "int64_t":$layers, "int64_t":$channels, "int64_t":$taps);
  let assemblyFormat = "`<` `layers` `=` $layers `,` `channels` `=` $channels `,` `taps` `=` $taps `>`";
  let genVerifyDecl = 1;
}

def LLM_RecurrentType : LLM_StateType<"Recurrent", "recurrent"> {
  let summary = "The state of recurrences, per sequence slot";
  let description = [{
    `!llm.recurrent<24x8x16x64>`: 24 layers of f32 [8][16][64], what the last token of the sequence left. A sequence begins with zeros.
  }];
  let parameters = (ins "int64_t":$layers, ArrayRefParameter<"int64_t">:$shape);
  let hasCustomAssemblyFormat = 1;
  let genVerifyDecl = 1;
}

def LLM_BatchType : LLM_Type<"Batch", "batch"> {
  let summary = "The tokens of one step";
  let description = [{
    A ragged batch: T token ids, each with its position, its sequence slot and its sequence's length; and the R rows whose
    logits are wanted.
  }];
  let assemblyFormat = "";
}

// tensor<?xCxf32> with C >= 1.
def LLM_Activations : Type<CPred<"::llmc::llm::isActivations($_self)">, "activations tensor<?xCxf32>", "::mlir::RankedTensorType">;
// One entry of !llm.weights: a vector, a matrix or experts' matrices, of static, positive shape.
def LLM_WeightTensor : Type<CPred<"::llmc::llm::isWeightTensor($_self)">,
  "weight vector, matrix or stack of matrices of f32, f16, bf16 or !llm.quant", "::mlir::RankedTensorType">;

#endif
