// GPT-NeoX and Pythia: attention and feed-forward part beside each other, each with a norm (or one after the other), rope over a part of
// each head, q, k and v of each head side by side in one tensor.
// Sources: arXiv:2204.06745; transformers' modeling_gpt_neox.py; for GGUF llama.cpp's gptneox.
#include "frontends/families/Common.h"
#include "frontends/families/Families.h"

using namespace llmc::frontends;

static constexpr llvm::StringRef types[] = {"gpt_neox"}, architectures[] = {"gptneox"};

static constexpr TensorName tensors[] = {
    {"embed", "gpt_neox.embed_in.weight", "token_embd.weight"},
    {"norm", "gpt_neox.final_layer_norm.weight", "output_norm.weight"},
    {"norm_bias", "gpt_neox.final_layer_norm.bias", "output_norm.bias"},
    {"head", "embed_out.weight", "output.weight"},
    {"blk.attn_norm", "gpt_neox.layers.{layer}.input_layernorm.weight", "blk.{layer}.attn_norm.weight"},
    {"blk.attn_norm_bias", "gpt_neox.layers.{layer}.input_layernorm.bias", "blk.{layer}.attn_norm.bias"},
    {"blk.o", "gpt_neox.layers.{layer}.attention.dense.weight", "blk.{layer}.attn_output.weight"},
    {"blk.o_bias", "gpt_neox.layers.{layer}.attention.dense.bias", "blk.{layer}.attn_output.bias"},
    {"blk.ffn_norm", "gpt_neox.layers.{layer}.post_attention_layernorm.weight", "blk.{layer}.ffn_norm.weight"},
    {"blk.ffn_norm_bias", "gpt_neox.layers.{layer}.post_attention_layernorm.bias", "blk.{layer}.ffn_norm.bias"},
    {"blk.up", "gpt_neox.layers.{layer}.mlp.dense_h_to_4h.weight", "blk.{layer}.ffn_up.weight"},
    {"blk.up_bias", "gpt_neox.layers.{layer}.mlp.dense_h_to_4h.bias", "blk.{layer}.ffn_up.bias"},
    {"blk.down", "gpt_neox.layers.{layer}.mlp.dense_4h_to_h.weight", "blk.{layer}.ffn_down.weight"},
    {"blk.down_bias", "gpt_neox.layers.{layer}.mlp.dense_4h_to_h.bias", "blk.{layer}.ffn_down.bias"},
};
static constexpr auto ownTensors = fusedQkv("gpt_neox.layers.{layer}.attention.query_key_value.weight",
                                            "gpt_neox.layers.{layer}.attention.query_key_value.bias", TensorName::Turns::Heads);
static constexpr llvm::StringRef buffers[] = {".attention.bias", ".attention.masked_bias", ".rotary_emb.inv_freq"};

constinit const Family llmc::frontends::gptNeoX = {
    .name = "gpt_neox",
    .modelTypes = types,
    .architectures = architectures,
    .tensors = tensors,
    .ownTensors = ownTensors,
    .prefix = "gpt_neox.",
    .layers = plainLayers,
    .norm = llm::NormKind::layer,
    .thetaKey = "rope_theta|rotary_emb_base",
    .partialRotary = 0.25,
    .partialRotaryKey = "partial_rotary_factor|rotary_pct",
    .parallel = {BiasRule::ByKey, "use_parallel_residual", true},
    .qkvBias = {BiasRule::ByKey, "attention_bias", true},
    .outputBias = {BiasRule::ByKey, "attention_bias", true},
    .mlpBias = {BiasRule::Always},
    .activation = llm::Activation::gelu,
    .eps = {"layer_norm_eps", 1e-5},
    .kvHeadsKey = "",
    .headDim = {""},
    .ignoredTensors = buffers,
};
