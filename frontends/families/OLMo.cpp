// OLMo: Llama whose norms are layer norms without gain, q, k and v perhaps clamped. OLMo 2: norms behind each part instead of before it,
// and of all of q and all of k.
// Sources: arXiv:2402.00838, 2501.00656; transformers' modeling_olmo.py and modeling_olmo2.py; for GGUF llama.cpp's olmo and olmo2.
#include "frontends/families/Common.h"
#include "frontends/families/Families.h"

using namespace llmc::frontends;

static constexpr llvm::StringRef types[] = {"olmo"}, types2[] = {"olmo2"};

// No norm has a tensor.
static constexpr TensorName noNorms[] = {
    {"norm", "", ""},
    {"blk.attn_norm", "", ""},
    {"blk.ffn_norm", "", ""},
};
static constexpr TensorName norms2[] = {
    {"blk.q_norm", "model.layers.{layer}.self_attn.q_norm.weight", "blk.{layer}.attn_q_norm.weight"},
    {"blk.k_norm", "model.layers.{layer}.self_attn.k_norm.weight", "blk.{layer}.attn_k_norm.weight"},
    {"blk.attn_post_norm", "model.layers.{layer}.post_attention_layernorm.weight", "blk.{layer}.post_attention_norm.weight"},
    {"blk.ffn_post_norm", "model.layers.{layer}.post_feedforward_layernorm.weight", "blk.{layer}.post_ffw_norm.weight"},
};
static constexpr Sublayer sublayers2[] = {{"", &attention, "blk.attn_post_norm"}, {"", &gatedMlp, "blk.ffn_post_norm"}};
static constexpr LayerSpec layers2[] = {{"full_attention", sublayers2}};

constinit const Family llmc::frontends::olmo = {
    .name = "olmo",
    .modelTypes = types,
    .architectures = types,
    .tensors = llamaTensors,
    .ownTensors = noNorms,
    .layers = preNormLayers,
    .norm = llm::NormKind::layer,
    .ggufRotary = llm::RotaryStyle::interleaved,
    .unitNorms = true,
    .qkvBias = {BiasRule::ByKey, "attention_bias"},
    .outputBias = {BiasRule::ByKey, "attention_bias"},
    .eps = {"", 1e-5},
    .qkvClamp = {"clip_qkv", 0},
    .ignoredTensors = rotaryBuffers,
};

constinit const Family llmc::frontends::olmo2 = {
    .name = "olmo2",
    .modelTypes = types2,
    .architectures = types2,
    .tensors = llamaTensors,
    .ownTensors = norms2,
    .layers = layers2,
    .wideHeadNorms = true,
    .qkvBias = {BiasRule::ByKey, "attention_bias"},
    .outputBias = {BiasRule::ByKey, "attention_bias"},
    .eps = {"rms_norm_eps", 1e-5},
};
