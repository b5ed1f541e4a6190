// The `tile` dialect: how one step runs. Step functions are sequences of `scf.forall` loops over tiles whose bodies call
// kernels; kernels are private functions that carry an attribute saying what they compute until a lowering gives them a body.
#ifndef LLMC_DIALECTS_TILE_BASE
#define LLMC_DIALECTS_TILE_BASE

include "dialects/llm/LLMBase.td"
include "dialects/tile/TileEnums.td"
include "dialects/tile/TileInterfaces.td"

def Tile_Dialect : Dialect {
  let name = "tile";
  let cppNamespace = "::llmc::tile";
  let summary = "One step of a model as parallel loops over tiles";
  let useDefaultAttributePrinterParser = 1;
  let dependentDialects = ["::llmc::llm::LLMDialect", "::mlir::LLVM::LLVMDialect", "::mlir::scf::SCFDialect",
                           "::mlir::arith::ArithDialect", "::mlir::func::FuncDialect"];
}

class Tile_Attr<string name, string mnemonic_, list<Trait> traits = []> : AttrDef<Tile_Dialect, name, traits> { let mnemonic = mnemonic_; }

// What a kernel computes: KernelWork.cpp says how much arithmetic that is.
class Tile_Kernel<string name, string mnemonic_> : Tile_Attr<name, mnemonic_, [DeclareAttrInterfaceMethods<Tile_WorkAttrInterface>]>;

def Tile_TargetAttr : Tile_Attr<"Target", "target"> {
  let summary = "What kernels may assume of the machine";
  let description = [{
    Module attribute `tile.target = #tile.target<"x86-64-v3", vector = 256, dot = avx2>`. `vector`: bits of a register that float loops use;
    `bf16`: there is an instruction for dot products of pairs of bf16. `tiles`: registers that hold matrices, for products of bf16.
    `threads`: how many run a kernel together, a block of a GPU (`… dot = portable in blocks of 256`); 0 where a worker is one thread.
    (C1) `tiles` come with `bf16`. (C2) `threads` is 0 or a multiple of 32 up to 1024.
  }];
  let parameters = (ins StringRefParameter<>:$name, "int64_t":$vector_bits, EnumParameter<Tile_Dot>:$dot,
    DefaultValuedParameter<"bool", "false">:$bf16, DefaultValuedParameter<"::llmc::tile::Tiles", "::llmc::tile::Tiles::none">:$tiles,
    DefaultValuedParameter<"int64_t", "0">:$threads);
  let assemblyFormat = [{
    `<` $name `,` `vector` `=` $vector_bits `,` `dot` `=` $dot (`,` `bf16` `=` $bf16^)? (`,` `tiles` `=` $tiles^)? (`in` `blocks` `of` $threads^)? `>`
  }];
  let builders = [AttrBuilder<(ins "::llvm::StringRef":$name, "int64_t":$vector_bits, "Dot":$dot, CArg<"bool", "false">:$bf16),
    [{ return Base::get($_ctxt, name, vector_bits, dot, bf16, Tiles::none, 0); }]>];
  let extraClassDeclaration = [{
    bool hasTiles() const { return getTiles() != Tiles::none; }
    bool isDevice() const { return getThreads() != 0; } // a GPU
  }];
  let genVerifyDecl = 1;
}

def Tile_ProductAttr : Tile_Kernel<"Product", "product"> {
  let summary = "Kernel: one panel of 16 outputs times the rows of the step";
  let description = [{
    `@k(panel, x, tokens: i64, out, scratch)`, pointers but for tokens. `out[t][0..15] = x[t] . panel^T`, f32 [tokens][16].
    `x`: f32 [tokens][inputs] for f32 arithmetic; the int8 or bf16 row layout of dialects/tile/Layout.h for those. `single`: tokens is 1.
  }];
  let parameters = (ins EnumParameter<LLM_Format>:$format, "int64_t":$inputs, EnumParameter<Tile_Arithmetic>:$arithmetic, "bool":$single);
  let assemblyFormat = "`<` struct(params) `>`";
}

def Tile_TiledProductAttr : Tile_Kernel<"TiledProduct", "tiled_product"> {
  let summary = "Kernel: some panels times the rows of the step, by matrix tiles";
  let description = [{
    `@k(panel, panels: i64, x, tokens: i64, out, scratch)`: `panel` is the first of 1 to `most` that follow one another in memory.
    `out[p][t][0..15] = x[t] . panel_p^T`, f32 [panels, rounded up to an even number][tokens][16]; x: bf16 rows. For targets with `tiles`.
  }];
  let parameters = (ins EnumParameter<LLM_Format>:$format, "int64_t":$inputs, "int64_t":$most);
  let assemblyFormat = "`<` struct(params) `>`";
}

def Tile_QuantizeAttr : Tile_Kernel<"Quantize", "quantize"> {
  let summary = "Kernel: one f32 row to the row layout of an arithmetic";
  let description = [{ `@k(x, out)`: x f32 [inputs], out in the layout of dialects/tile/Layout.h for int8 or bf16. }];
  let parameters = (ins "int64_t":$inputs, DefaultValuedParameter<"::llmc::tile::Arithmetic", "::llmc::tile::Arithmetic::int8">:$arithmetic);
  let assemblyFormat = "`<` struct(params) `>`";
}

def Tile_DecodeRowAttr : Tile_Kernel<"DecodeRow", "decode_row"> {
  let summary = "Kernel: one row of a packed weight to f32 (embedding look-up)";
  let description = [{ `@k(weight, row: i64, out)`: out f32 [inputs]. }];
  let parameters = (ins EnumParameter<LLM_Format>:$format, "int64_t":$inputs);
  let assemblyFormat = "`<` struct(params) `>`";
}

//===----------------------------------------------------------------------===//
// Kernels over one row of activations: pointers to f32 rows, in and out may be the same row
//===----------------------------------------------------------------------===//

def Tile_NormAttr : Tile_Kernel<"Norm", "norm"> {
  let summary = "Kernel: normalise one row";
  let description = [{
    `@k(x, gain, [bias,] out)`: each run of `group` of the `channels` on its own; `gain`, `bias` f32 [group]. As `llm.rms_norm` and `llm.layer_norm`.
  }];
  let parameters = (ins "int64_t":$channels, "int64_t":$group, "::llmc::llm::NormAttr":$norm, "bool":$bias);
  let assemblyFormat = "`<` struct(params) `>`";
}

def Tile_PointwiseAttr : Tile_Kernel<"PointwiseKernel", "pointwise"> {
  let summary = "Kernel: a pointwise function of one to three rows";
  let description = [{
    `@k(a, [b, [c,]] out)`: add: a + b; copy: a; scale: a * constant; softcap: constant * tanh(a / constant); activation: f(a);
    glu: f(a) * b; clamp: a within -constant and constant; mul: a * b, b having one value for each `group` channels; mix: a * c + b * (1 - c).
  }];
  let parameters = (ins EnumParameter<Tile_Pointwise>:$kind, "int64_t":$channels,
    DefaultValuedParameter<"::llmc::llm::Real", "::llmc::llm::Real(0.0)">:$constant,
    OptionalParameter<"::llmc::llm::ActivationAttr">:$activation, DefaultValuedParameter<"int64_t", "1">:$group);
  let assemblyFormat = "`<` struct(params) `>`";
  let builders = [AttrBuilder<(ins "Pointwise":$kind, "int64_t":$channels, "::llmc::llm::Real":$constant, "::llmc::llm::ActivationAttr":$activation),
    [{ return Base::get($_ctxt, kind, channels, constant, activation, 1); }]>];
  let extraClassDeclaration = [{ int64_t getInputs() const; }];
}

def Tile_UnitNormAttr : Tile_Kernel<"UnitNorm", "unit_norm"> {
  let summary = "Kernel: normalise one row, without gain";
  let description = [{ `@k(x, out)`: each run of `group` of the `channels` on its own, as `llm.unit_norm`. }];
  let parameters = (ins "int64_t":$channels, "int64_t":$group, "::llmc::llm::Real":$eps);
  let assemblyFormat = "`<` struct(params) `>`";
}

def Tile_RopeTableAttr : Tile_Kernel<"RopeTable", "rope_table"> {
  let summary = "Kernel: cosines and sines of one token";
  let description = [{ `@k(position: i64, length: i64, [factors,] out)`: out f32 [dim], as `llm.rope_table`. }];
  let parameters = (ins "int64_t":$dim, "::llmc::llm::Real":$theta,
    OptionalParameter<"::llmc::llm::RopeScalingAttr">:$scaling, DefaultValuedParameter<"bool", "false">:$factors);
  let assemblyFormat = "`<` struct(params) `>`";
}

def Tile_RopeAttr : Tile_Kernel<"Rope", "rope"> {
  let summary = "Kernel: rotate the heads of one row";
  let description = [{ `@k(x, table, out)`: x and out f32 [channels]. As `llm.rope`. }];
  let parameters = (ins "int64_t":$channels, "int64_t":$head_dim, "::llmc::llm::RotaryAttr":$rotary);
  let assemblyFormat = "`<` struct(params) `>`";
}

//===----------------------------------------------------------------------===//
// Attention. A layer's cache is a sequence of blocks of 16 positions; a block holds, for each KV head, the keys as
// [head_dim][16 positions] and the values as [16 positions][head_dim].
//===----------------------------------------------------------------------===//

def Tile_PrepareAttr : Tile_Kernel<"Prepare", "prepare"> {
  let summary = "Kernel: norm and rotate some heads of one token; append keys and values";
  let description = [{
    `@k(tile: i64, position: i64, q, k, v, cache, [table,] [q_gain, k_gain])`: heads [tile * group, (tile + 1) * group), as far as there are.
    head < heads works on q in place; head - heads is a KV head, whose k goes through norm and rope to the cache, and v to the cache. `cache`: the layer's memory of the token's slot, laid out as
    `passes/lowering/kernels/CacheBlock.h` says of its `element`: f32, f16 or `!llm.quant<q8_0>`.
  }];
  let parameters = (ins "int64_t":$heads, "int64_t":$kv_heads, "int64_t":$head_dim, "::mlir::Type":$element,
    OptionalParameter<"::llmc::llm::RotaryAttr">:$rotary, OptionalParameter<"::llmc::llm::NormAttr">:$norm,
    DefaultValuedParameter<"int64_t", "1">:$group);
  let assemblyFormat = "`<` struct(params) `>`";
}

def Tile_AttendAttr : Tile_Kernel<"Attend", "attend"> {
  let summary = "Kernel: some heads of one token attend to its cache";
  let description = [{
    `@k(tile: i64, position: i64, q, cache, out, scratch[, sinks][, slopes][, bias][, length: i64])`: heads [tile * group, (tile + 1) * group),
    which share one head of the cache, so that its keys and values are read once for all of them; softmax over the positions in blocks of 64, in
    ascending order. A head's result does not depend on the group. scratch: group * (64 + head_dim) floats; sinks, slopes: f32 [heads].
    `mask` full: positions are those below `length`, and, with a window, less than that away on both sides. `reach` > 0: bias is
    f32 [heads][2 * reach + 1], what is added by the distance from -reach to reach, and the last 16 of each end are equal.
  }];
  let parameters = (ins "int64_t":$heads, "int64_t":$kv_heads, "int64_t":$head_dim, "::mlir::Type":$element,
    "::llmc::llm::Real":$scale, "int64_t":$window, "::llmc::llm::Real":$softcap, DefaultValuedParameter<"bool", "false">:$sinks,
    DefaultValuedParameter<"int64_t", "1">:$group, DefaultValuedParameter<"bool", "false">:$slopes,
    DefaultValuedParameter<"int64_t", "0">:$reach, DefaultValuedParameter<"::llmc::llm::Mask", "::llmc::llm::Mask::causal">:$mask);
  let assemblyFormat = "`<` struct(params) `>`";
}

def Tile_RelativeBiasAttr : Tile_Kernel<"RelativeBias", "relative_bias"> {
  let summary = "Kernel: what all heads add to scores at one distance";
  let description = [{
    `@k(bucket: i64, index: i64, weights, bias)`: bias f32 [heads][distances], of which it writes [h][index]; weights f32 [buckets][heads].
  }];
  let parameters = (ins "int64_t":$heads, "int64_t":$distances);
  let assemblyFormat = "`<` struct(params) `>`";
}

def Tile_AttendRunsAttr : Tile_Kernel<"AttendRuns", "attend_runs"> {
  let summary = "Kernel: some heads of some tokens attend to their caches, in pairs of bf16";
  let description = [{
    `@k(tile: i64, tokens: i64, positions, slots, q, first, second, out, scratch[, sinks][, slopes])`, for targets with bf16 dot products and caches of
    f16 or, with VNNI, `!llm.quant<q8_0>`. As `attend` for up to `count` consecutive tokens: those that follow one another in a slot read its keys and values once. Tiles of
    a group of `group` heads are the blocks of `count` tokens, the last block first; those of the next group follow. Rows of q and out are
    `…_bytes` apart; `first`, `second`: the layer's cache in slots 0 and 1.

    `split`: positions are cut into units of 256, and unit u belongs to part u mod 16; each part has a softmax of its own, and the parts
    are merged in ascending order. `partial`: tokens is 1, the tiles of part p are groups [p * groups, (p + 1) * groups), and out takes
    what `merge_parts` merges, which has the sinks. scratch: see attendScratchBytes.
  }];
  let parameters = (ins "int64_t":$heads, "int64_t":$kv_heads, "int64_t":$head_dim, "::mlir::Type":$element, "::llmc::llm::Real":$scale,
    "int64_t":$window, "::llmc::llm::Real":$softcap, "bool":$sinks, "int64_t":$group, "int64_t":$count, "int64_t":$q_bytes, "int64_t":$out_bytes,
    DefaultValuedParameter<"bool", "false">:$split, DefaultValuedParameter<"bool", "false">:$partial, DefaultValuedParameter<"bool", "false">:$slopes);
  let assemblyFormat = "`<` struct(params) `>`";
}

def Tile_MergePartsAttr : Tile_Kernel<"MergeParts", "merge_parts"> {
  let summary = "Kernel: merge the parts of one token's attention";
  let description = [{
    `@k(position: i64, parts, out[, sinks])`: parts f32 [16][heads][32 + head_dim] from `attend_runs`, of which a token at `position` has
    min(16, position / 256 + 1), and room for a record more; out f32 [heads][head_dim]. `scale` and `softcap` as there.
  }];
  let parameters = (ins "int64_t":$heads, "int64_t":$head_dim, "::llmc::llm::Real":$scale, "::llmc::llm::Real":$softcap, "bool":$sinks);
  let assemblyFormat = "`<` struct(params) `>`";
}

// A layer's latent cache is [positions][latent + turned].
def Tile_LatentPrepareAttr : Tile_Kernel<"LatentPrepare", "latent_prepare"> {
  let summary = "Kernel: make some queries of latent attention; norm, rotate and append a token's latent";
  let description = [{
    `@k(tile: i64, position: i64, q, q_latent, kv, gain, table, cache, queries)`: heads as of `prepare`. head < heads writes its query to
    queries [heads][latent + turned], its rotated part being the last of the `query` channels that each head of q has; head = heads
    normalises and rotates kv in place and appends it. As `llm.latent_attention`.
  }];
  let parameters = (ins "int64_t":$heads, "int64_t":$latent, "int64_t":$query, "::mlir::Type":$element, "::llmc::llm::RotaryAttr":$rotary,
    "::llmc::llm::NormAttr":$norm, DefaultValuedParameter<"int64_t", "1">:$group);
  let assemblyFormat = "`<` struct(params) `>`";
}

def Tile_LatentAttendAttr : Tile_Kernel<"LatentAttend", "latent_attend"> {
  let summary = "Kernel: one head of one token attends to its latent cache";
  let description = [{
    `@k(head: i64, position: i64, queries, cache, out, scratch)`: as `#tile.attend`; queries [heads][latent + turned], out [heads][latent];
    scratch: 64 + latent floats.
  }];
  let parameters = (ins "int64_t":$heads, "int64_t":$latent, "int64_t":$turned, "::mlir::Type":$element, "::llmc::llm::Real":$scale);
  let assemblyFormat = "`<` struct(params) `>`";
}

//===----------------------------------------------------------------------===//
// Recurrences. A tile is `panels` panels of 16 channels (the last of a row, or of a head, may be narrower) of all tokens. `positions`
// and `slots` are those of the step; `first` and `second` the layer's state in slots 0 and 1, which tells where the others lie. Rows
// of an operand are `…_bytes` apart; y is dense. Layout of states: conv_tail [taps][channels]; recurrent, where it has more than one
// number per channel, panel after panel of [states][lanes].
//===----------------------------------------------------------------------===//

def Tile_ConvAttr : Tile_Kernel<"Conv", "conv"> {
  let summary = "Kernel: a tile of a causal convolution";
  let description = [{
    `@k(tile: i64, tokens: i64, positions, slots, x, weight, [bias,] first, second, y)`. weight: packed panels of [channels][taps] in
    `format`; bias f32 [channels]. As `llm.causal_conv`.
  }];
  let parameters = (ins "int64_t":$channels, "int64_t":$taps, EnumParameter<LLM_Format>:$format, "bool":$bias, "int64_t":$x_bytes,
    "int64_t":$panels, OptionalParameter<"::llmc::llm::ActivationAttr">:$activation);
  let assemblyFormat = "`<` struct(params) `>`";
}

def Tile_ShiftAttr : Tile_Kernel<"Shift", "shift"> {
  let summary = "Kernel: a tile of the rows of the tokens before";
  let description = [{ `@k(tile: i64, tokens: i64, positions, slots, x, first, second, y)`. As `llm.shift`. }];
  let parameters = (ins "int64_t":$channels, "int64_t":$x_bytes, "int64_t":$panels);
  let assemblyFormat = "`<` struct(params) `>`";
}

def Tile_ScanAttr : Tile_Kernel<"Scan", "scan"> {
  let summary = "Kernel: a tile of a recurrence, token by token";
  let description = [{
    `@k(tile: i64, tokens: i64, positions, slots, x, a, [step,] [input,] [output,] [beta,] [skip,] first, second, y, scratch)`. An operand
    whose `…_bytes` are 0 is not there. `heads` of `width` channels with `states` states each; kinds without heads have one. a: f32
    [heads], [channels], or packed panels of [channels][states] in `format`. scratch: see scanScratchBytes. As `llm.scan`.
  }];
  let parameters = (ins EnumParameter<LLM_ScanKind>:$kind, EnumParameter<LLM_DecayForm>:$form, EnumParameter<LLM_Format>:$format,
    "int64_t":$heads, "int64_t":$width, "int64_t":$states, "int64_t":$groups, "int64_t":$x_bytes, "int64_t":$step_bytes,
    "int64_t":$input_bytes, "int64_t":$output_bytes, "int64_t":$beta_bytes, "bool":$skip, "int64_t":$panels,
    OptionalParameter<"::mlir::DenseF64ArrayAttr">:$limit);
  let assemblyFormat = "`<` struct(params) `>`";
  let extraClassDeclaration = [{
    int64_t getChannels() const { return getHeads() * getWidth(); }
    int64_t getPanelsOfHead() const { return (getWidth() + 15) / 16; }
  }];
}

def Tile_ChunkScoresAttr : Tile_Kernel<"ChunkScores", "chunk_scores"> {
  let summary = "Kernel: the products of outputs and inputs inside chunks";
  let description = [{
    `@k(tile: i64, tokens: i64, positions, slots, input, output, scores, inputs, outputs, scratch)`: what `chunk_scan` kernels of the same
    step read, for the chunks number tile, tile + tiles, … of `chunk` tokens that long runs are cut into. scores: f32
    [tokens][groups][chunk]; inputs: words of 4 bytes [tokens][groups][states]; outputs: words [tokens][groups][states]. `bf16`: products
    take pairs of bf16. scratch: see chunkScratchBytes.
  }];
  let parameters = (ins "int64_t":$groups, "int64_t":$states, "int64_t":$chunk, "int64_t":$input_bytes, "int64_t":$output_bytes,
    "int64_t":$tiles, "bool":$bf16);
  let assemblyFormat = "`<` struct(params) `>`";
}

def Tile_ChunkScanAttr : Tile_Kernel<"ChunkScan", "chunk_scan"> {
  let summary = "Kernel: a head of a recurrence, a chunk of tokens at a time";
  let description = [{
    Arguments of `scan`, and (…, scores, inputs, outputs) from `chunk_scores`; tile is the head, whose width is a multiple of 16. Short
    runs go token by token. scratch: see chunkScratchBytes.
  }];
  let parameters = (ins "::llmc::tile::ScanAttr":$scan, "int64_t":$chunk, "bool":$bf16);
  let assemblyFormat = "`<` struct(params) `>`";
}

//===----------------------------------------------------------------------===//
// Linear
//===----------------------------------------------------------------------===//

def Tile_LinearAttr : Tile_Kernel<"Linear", "linear"> {
  let summary = "Kernel: one tile of the outputs of a product, with its epilogue";
  let description = [{
    `@k(tile: i64, tokens: i64, x, scratch, weight…, format: i64 …, [bias…,] [residual,] y…)`. Tiles are `panels` panels of 16 outputs of one weight (of both
    weights with `glu`); a weight's tiles follow those of the weight before it. `format` of a weight indexes its type's formats.
    Each weight's results go to y_i, f32 [tokens][N_i]. `limits` changes the gated unit of `glu`. `scale`, then `softcap`, if they are not 0,
    are those of `llm.linear`. `results`, of one weight: `rows`; `keys`: y is i32 [tokens][keys], for each panel the key of its greatest result, in the
    layout of dialects/tile/Layout.h; `panel`: `tile` is a panel, y f32 [tokens][16], -infinity beyond N. A result has the same bits in all three.
  }];
  let parameters = (ins "::mlir::ArrayAttr":$weights, EnumParameter<Tile_Arithmetic>:$arithmetic, "bool":$single, "int64_t":$panels,
    "bool":$bias, "bool":$glu, "bool":$residual, OptionalParameter<"::llmc::llm::ActivationAttr">:$activation,
    OptionalParameter<"::llmc::llm::GLULimitsAttr">:$limits,
    DefaultValuedParameter<"::llmc::llm::Real", "::llmc::llm::Real(0.0)">:$scale,
    DefaultValuedParameter<"::llmc::llm::Real", "::llmc::llm::Real(0.0)">:$softcap,
    DefaultValuedParameter<"::llmc::tile::Results", "::llmc::tile::Results::rows">:$results);
  let assemblyFormat = "`<` struct(params) `>`";
  let builders = [AttrBuilder<(ins "::mlir::ArrayAttr":$weights, "Arithmetic":$arithmetic, "bool":$single, "int64_t":$panels, "bool":$bias,
    "bool":$glu, "bool":$residual, "::llmc::llm::ActivationAttr":$activation, "::llmc::llm::GLULimitsAttr":$limits),
    [{ return Base::get($_ctxt, weights, arithmetic, single, panels, bias, glu, residual, activation, limits, ::llmc::llm::Real(0.0),
                        ::llmc::llm::Real(0.0), Results::rows); }]>];
}

def Tile_AheadAttr : Tile_Kernel<"Ahead", "ahead"> {
  let summary = "Kernel: ask for the weights that a tile of a product begins with";
  let description = [{
    Arguments of `linear`, of which it uses tile, weights and formats: up to `bytes` of the tile's panels go to the cache that all blocks of a GPU share.
  }];
  let parameters = (ins "::llmc::tile::LinearAttr":$linear, "int64_t":$bytes);
  let assemblyFormat = "`<` struct(params) `>`";
}

def Tile_BestPanelsAttr : Tile_Kernel<"BestPanels", "best_panels"> {
  let summary = "Kernel: choose the panels of a row that hold its best results";
  let description = [{
    `@k(count: i64, keys, scratch, out)`: the `count` (at most as many as there are) panels of greatest key, in order, of equals the first; so the
    `count` best results, of equals the first, lie in them. keys: what `#tile.linear` with `results = keys` left of one row; they are used up.
    scratch: see bestPanelsScratchBytes in dialects/tile/Layout.h; out: i32 [count].
  }];
  let parameters = (ins "int64_t":$outputs);
  let assemblyFormat = "`<` struct(params) `>`";
}

//===----------------------------------------------------------------------===//
// Experts
//===----------------------------------------------------------------------===//

def Tile_RouteAttr : Tile_Kernel<"Route", "route"> {
  let summary = "Kernel: choose the experts of one token";
  let description = [{ `@k(logits, [bias,] experts, weights)`: logits f32 [count]; experts i32 [top], weights f32 [top], as `llm.route`. }];
  let parameters = (ins "int64_t":$count, "int64_t":$top, EnumParameter<LLM_RouterScores>:$scores, "int64_t":$groups, "int64_t":$top_groups,
    EnumParameter<LLM_GroupScore>:$group_score, EnumParameter<LLM_RouterNormalize>:$normalize, "::llmc::llm::Real":$epsilon,
    "::llmc::llm::Real":$scale, "bool":$bias);
  let assemblyFormat = "`<` struct(params) `>`";
}

def Tile_GroupTokensAttr : Tile_Kernel<"GroupTokens", "group_tokens"> {
  let summary = "Kernel: group the choices of tokens by expert";
  let description = [{
    `@k(tokens: i64, experts, starts, order, places)`, all i32. experts: [tokens][top], each less than `count`. Choices (number t * top + k)
    are sorted by expert, those of one expert stay in order: order [tokens * top] are their numbers, places [tokens * top] where each went;
    starts [count + 1]: expert e has the places [starts[e], starts[e + 1]).
  }];
  let parameters = (ins "int64_t":$count, "int64_t":$top);
  let assemblyFormat = "`<` struct(params) `>`";
}

def Tile_CombineAttr : Tile_Kernel<"Combine", "combine"> {
  let summary = "Kernel: the weighted sum of what the experts of one token gave";
  let description = [{
    `@k(results, [places,] weights, out)`: out[c] = sum_k weights[k] * results[places[k]][c], k ascending; results f32 [][channels], places
    i32 [top], weights f32 [top]. `places`: false for places[k] = k.
  }];
  let parameters = (ins "int64_t":$channels, "int64_t":$top, "bool":$places);
  let assemblyFormat = "`<` struct(params) `>`";
}

#endif
