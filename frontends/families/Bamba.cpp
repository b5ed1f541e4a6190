// Bamba: Mamba-2 mixers, and attention with rope over half of each head at the depths that the configuration lists.
// Sources: IBM's Bamba; transformers' modeling_bamba.py.
#include "frontends/families/Families.h"
#include "frontends/families/Mamba2.h"

using namespace llmc::frontends;

static constexpr llvm::StringRef types[] = {"bamba"};

static constexpr TensorName ownTensors[] = {
    {"norm", "model.final_layernorm.weight", ""},
    {"blk.ffn_norm", "model.layers.{layer}.pre_ff_layernorm.weight", ""},
    {"blk.gate", "model.layers.{layer}.feed_forward.gate_proj.weight", ""},
    {"blk.up", "model.layers.{layer}.feed_forward.up_proj.weight", ""},
    {"blk.down", "model.layers.{layer}.feed_forward.down_proj.weight", ""},
    {"blk.gate_bias", "model.layers.{layer}.feed_forward.gate_proj.bias", ""},
    {"blk.up_bias", "model.layers.{layer}.feed_forward.up_proj.bias", ""},
    {"blk.down_bias", "model.layers.{layer}.feed_forward.down_proj.bias", ""},
};
static constexpr auto tensors = withMamba2(ownTensors, mamba2Tensors);
static constexpr Sublayer scanning[] = {{"blk.attn_norm", &mamba2}, {"blk.ffn_norm", &gatedMlp}};
static constexpr LayerSpec layers[] = {{"full_attention", preNormGated},
                                       {.type = "linear_attention", .sublayers = scanning, .rotary = false}};

constinit const Family llmc::frontends::bamba = {
    .name = "bamba",
    .modelTypes = types,
    .tensors = llamaTensors,
    .ownTensors = tensors,
    .layers = layers,
    .layerRule = LayerRule::Chosen,
    .layerChoice = {.numbers = "attn_layer_indices"},
    .ssm = mambaKeys,
    .partialRotary = 0.5,
    .qkvBias = {BiasRule::ByKey, "attention_bias"},
    .outputBias = {BiasRule::ByKey, "attention_bias"},
    .mlpBias = {BiasRule::ByKey, "mlp_bias"},
    .context = {"max_position_embeddings", 262144},
    .eps = {"rms_norm_eps", 1e-5},
    .complete = completeMamba2,
};
