// What the verifier refuses of assets, weights and states, by numbered constraint.
// RUN: llmc-opt %s --split-input-file --verify-diagnostics

// asset_c1
// expected-error @+1 {{'path' must not be empty or hold NUL}}
llm.asset @a weights ""

// -----

// weight_c1
// expected-error @+1 {{'source' must have {layer} once, got "w"}}
llm.weight @w : !llm.weights<2x4xf32> from "w"

// -----

// weight_c1: not twice
// expected-error @+1 {{'source' must have {layer} once}}
llm.weight @w : !llm.weights<2x4xf32> from "{layer}.{layer}"

// -----

// weight_c2: one entry per layer
// expected-error @+1 {{'layers' has 1 entries, want 2}}
llm.weight @w : !llm.weights<2x4xf32> from "{layer}" layers [0]

// -----

// weight_c2: ascending
// expected-error @+1 {{'layers' must ascend from 0 or more}}
llm.weight @w : !llm.weights<2x4xf32> from "{layer}" layers [3, 1]

// -----

// weight_c2: not negative
// expected-error @+1 {{'layers' must ascend from 0 or more}}
llm.weight @w : !llm.weights<1x4xf32> from "{layer}" layers [-1]

// -----

// weight_c3: missing
// expected-error @+1 {{'formats' belongs to elements of several formats}}
llm.weight @w : !llm.weights<2x4x256x!llm.quant<q4_k|q6_k>> from "{layer}"

// -----

// weight_c3: without need
// expected-error @+1 {{'formats' belongs to elements of several formats}}
llm.weight @w : !llm.weights<2x4xf32> from "{layer}" formats [0, 0]

// -----

// weight_c3: count
// expected-error @+1 {{'formats' has 1 entries, want 2}}
llm.weight @w : !llm.weights<2x4x256x!llm.quant<q4_k|q6_k>> from "{layer}" formats [0]

// -----

// weight_c3: range
// expected-error @+1 {{'formats' entry 2 is not one of 2 formats}}
llm.weight @w : !llm.weights<2x4x256x!llm.quant<q4_k|q6_k>> from "{layer}" formats [0, 2]

// -----

// weight_c4: count
// expected-error @+1 {{'rows' must be [begin, end), or with a step, with 4 rows}}
llm.weight @w : !llm.weights<1x4x8xf32> from "w" rows [0, 5]

// -----

// weight_c4: count with a step
// expected-error @+1 {{'rows' must be [begin, end), or with a step, with 4 rows}}
llm.weight @w : !llm.weights<1x2x4x8xf32> from "w" rows [1, 7, 2]

// -----

// weight_c4: the step is positive
// expected-error @+1 {{'rows' must be [begin, end), or with a step, with 4 rows}}
llm.weight @w : !llm.weights<1x4x8xf32> from "w" rows [0, 4, 0]

// -----

// weight_c4: count of a vector's elements
// expected-error @+1 {{'rows' must be [begin, end), or with a step, with 4 rows}}
llm.weight @w : !llm.weights<1x4xf32> from "w" rows [0, 9, 2]

// -----

// weight_c4: count with runs
// expected-error @+1 {{'rows' must be [begin, end), or with a step, with 4 rows}}
llm.weight @w : !llm.weights<1x4x8xf32> from "w" rows [2, 9, 6, 2]

// -----

// weight_c4: a run is no longer than a step
// expected-error @+1 {{'rows' must be [begin, end), or with a step, with 4 rows}}
llm.weight @w : !llm.weights<1x4x8xf32> from "w" rows [0, 4, 2, 3]

// -----

// weight_c4: no runs of a transposed matrix
// expected-error @+1 {{'rows' must be [begin, end), or with a step, with 4 rows}}
llm.weight @w : !llm.weights<1x4x8xf32> from "w" transpose rows [0, 8, 4, 2]

// -----

// weight_c2: every entry serves a layer
// expected-error @+1 {{'entries' belongs to 'layers' and names every entry}}
llm.weight @w : !llm.weights<2x8xf32> from "{layer}" layers [1, 3] entries [1, 1]

// -----

// weight_c2: entries without layers
// expected-error @+1 {{'entries' belongs to 'layers' and names every entry}}
llm.weight @w : !llm.weights<2x8xf32> from "{layer}" entries [0, 1]

// -----

// weight_c2: range of entries
// expected-error @+1 {{'entries' has 2, want 0 to 1}}
llm.weight @w : !llm.weights<2x8xf32> from "{layer}" layers [1, 3, 5] entries [0, 1, 2]

// -----

// weight_c2: one entry for each of the layers
// expected-error @+1 {{'layers' has 2 entries, want 3}}
llm.weight @w : !llm.weights<2x8xf32> from "{layer}" layers [1, 3] entries [0, 1, 0]

// -----

// weight_c5: count
// expected-error @+1 {{'names' must be one for each of 2 entries, from ""}}
llm.weight @w : !llm.weights<2x8xf32> from "" names ["a"]

// -----

// weight_c5: instead of a pattern
// expected-error @+1 {{'names' must be one for each of 1 entries, from ""}}
llm.weight @w : !llm.weights<1x8xf32> from "{layer}" names ["a"]

// -----

// weight_c7: instead of a source
// expected-error @+1 {{'values' are of a vector of f32 in an array of one, from ""}}
llm.weight @w : !llm.weights<1x4xf32> from "w" values [1.0]

// -----

// weight_c7: of f32
// expected-error @+1 {{'values' are of a vector of f32 in an array of one, from ""}}
llm.weight @w : !llm.weights<1x4xbf16> from "" values [1.0]

// -----

// weight_c7: of a vector
// expected-error @+1 {{'values' are of a vector of f32 in an array of one, from ""}}
llm.weight @w : !llm.weights<1x2x2xf32> from "" values [1.0]

// -----

// weight_c7: count
// expected-error @+1 {{has 3 'values', want 1 or 4}}
llm.weight @w : !llm.weights<1x4xf32> from "" values [1.0, 2.0, 3.0]

// -----

// weight_c7: finite
// expected-error @+1 {{'values' must be finite}}
llm.weight @w : !llm.weights<1x4xf32> from "" values [1.0e39]

// -----

// weight_c1: a tensor for each expert, where there are experts
// expected-error @+1 {{'source' may have {expert} once, for experts only, got "w.{expert}"}}
llm.weight @w : !llm.weights<1x4x8xf32> from "w.{expert}"

// -----

// weight_c1: once
// expected-error @+1 {{'source' may have {expert} once, for experts only, got "{expert}.{expert}"}}
llm.weight @w : !llm.weights<1x2x4x8xf32> from "{expert}.{expert}"

// -----

// weight_c4: order
// expected-error @+1 {{'rows' must be [begin, end), or with a step, with 4 rows}}
llm.weight @w : !llm.weights<1x4x8xf32> from "w" rows [4, 0]

// -----

// weight_c4: a vector has no transpose
// expected-error @+1 {{only a matrix can be transposed}}
llm.weight @w : !llm.weights<1x4xf32> from "w" transpose

// -----

// weight_c4: nor have blocks
// expected-error @+1 {{quantised weights can't be transposed}}
llm.weight @w : !llm.weights<1x4x32x!llm.quant<q8_0>> from "w" transpose

// -----

// state_c1
// expected-error @+1 {{type must be a state type such as !llm.kv_cache, got 'f32'}}
llm.state @s : f32

// -----

// state_c2
// expected-error @+1 {{'layers' has 3 entries, want 2}}
llm.state @s : !llm.kv_cache<layers = 2, kv_heads = 1, head_dim = 4, f32> layers [0, 1, 2]
