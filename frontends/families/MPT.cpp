// MPT: ALiBi, norms and products without biases. What the configuration says of attention is an object of its own.
// Sources: MosaicML 2023; transformers' modeling_mpt.py (which has ALiBi always, and four times the hidden size in the feed-forward
// part); for GGUF llama.cpp's mpt.
#include "frontends/families/Common.h"
#include "frontends/families/Families.h"

using namespace llmc::frontends;

static constexpr llvm::StringRef types[] = {"mpt"};

static constexpr TensorName qkv(llvm::StringRef role) {
  return {role, "transformer.blocks.{layer}.attn.Wqkv.weight", "blk.{layer}.attn_qkv.weight", false, qkvRoles};
}
static constexpr TensorName tensors[] = {
    {"embed", "transformer.wte.weight", "token_embd.weight"},
    {"norm", "transformer.norm_f.weight", "output_norm.weight"},
    {"head", "lm_head.weight", "output.weight"},
    {"blk.attn_norm", "transformer.blocks.{layer}.norm_1.weight", "blk.{layer}.attn_norm.weight"},
    qkv("blk.q"),
    qkv("blk.k"),
    qkv("blk.v"),
    {"blk.o", "transformer.blocks.{layer}.attn.out_proj.weight", "blk.{layer}.attn_output.weight"},
    {"blk.ffn_norm", "transformer.blocks.{layer}.norm_2.weight", "blk.{layer}.ffn_norm.weight"},
    {"blk.up", "transformer.blocks.{layer}.ffn.up_proj.weight", "blk.{layer}.ffn_up.weight"},
    {"blk.down", "transformer.blocks.{layer}.ffn.down_proj.weight", "blk.{layer}.ffn_down.weight"},
};
static constexpr Refusal refusals[] = {{"attn_config.qk_ln"}, {"attn_config.prefix_lm"}, {"attn_config.attn_uses_sequence_id"}};

constinit const Family llmc::frontends::mpt = {
    .name = "mpt",
    .modelTypes = types,
    .architectures = types,
    .tensors = tensors,
    .prefix = "transformer.",
    .layers = plainLayers,
    .norm = llm::NormKind::layer,
    .alibi = {.when = {BiasRule::Always}, .mostBias = {"attn_config.alibi_bias_max", 8}},
    .tied = true,
    .activation = llm::Activation::gelu,
    .hidden = {"d_model"},
    .layerCount = {"n_layers"},
    .heads = {"n_heads"},
    .ffn = {""},
    .context = {"max_seq_len"},
    .eps = {"layer_norm_epsilon", 1e-5},
    .kvHeadsKey = "",
    .headDim = {""},
    .ffnDefaultsToFourHidden = true,
    .activationKey = "",
    .scaleKey = "attn_config.softmax_scale",
    .qkvClamp = {"attn_config.clip_qkv", 0},
    .refusals = refusals,
};
