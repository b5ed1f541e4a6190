// BLOOM: ALiBi, a norm of the embeddings, q, k and v of each head side by side in one tensor.
// Sources: arXiv:2211.05100; transformers' modeling_bloom.py; for GGUF llama.cpp's bloom.
#include "frontends/families/Common.h"
#include "frontends/families/Families.h"

using namespace llmc::frontends;

static constexpr llvm::StringRef types[] = {"bloom"};

static constexpr TensorName tensors[] = {
    {"embed", "transformer.word_embeddings.weight", "token_embd.weight"},
    {"embed_norm", "transformer.word_embeddings_layernorm.weight", "token_embd_norm.weight"},
    {"embed_norm_bias", "transformer.word_embeddings_layernorm.bias", "token_embd_norm.bias"},
    {"norm", "transformer.ln_f.weight", "output_norm.weight"},
    {"norm_bias", "transformer.ln_f.bias", "output_norm.bias"},
    {"head", "lm_head.weight", "output.weight"},
    {"blk.attn_norm", "transformer.h.{layer}.input_layernorm.weight", "blk.{layer}.attn_norm.weight"},
    {"blk.attn_norm_bias", "transformer.h.{layer}.input_layernorm.bias", "blk.{layer}.attn_norm.bias"},
    {"blk.o", "transformer.h.{layer}.self_attention.dense.weight", "blk.{layer}.attn_output.weight"},
    {"blk.o_bias", "transformer.h.{layer}.self_attention.dense.bias", "blk.{layer}.attn_output.bias"},
    {"blk.ffn_norm", "transformer.h.{layer}.post_attention_layernorm.weight", "blk.{layer}.ffn_norm.weight"},
    {"blk.ffn_norm_bias", "transformer.h.{layer}.post_attention_layernorm.bias", "blk.{layer}.ffn_norm.bias"},
    {"blk.up", "transformer.h.{layer}.mlp.dense_h_to_4h.weight", "blk.{layer}.ffn_up.weight"},
    {"blk.up_bias", "transformer.h.{layer}.mlp.dense_h_to_4h.bias", "blk.{layer}.ffn_up.bias"},
    {"blk.down", "transformer.h.{layer}.mlp.dense_4h_to_h.weight", "blk.{layer}.ffn_down.weight"},
    {"blk.down_bias", "transformer.h.{layer}.mlp.dense_4h_to_h.bias", "blk.{layer}.ffn_down.bias"},
};
static constexpr auto ownTensors = fusedQkv("transformer.h.{layer}.self_attention.query_key_value.weight",
                                            "transformer.h.{layer}.self_attention.query_key_value.bias", TensorName::Turns::Heads);
static constexpr Refusal refusals[] = {{"apply_residual_connection_post_layernorm"}};

constinit const Family llmc::frontends::bloom = {
    .name = "bloom",
    .modelTypes = types,
    .architectures = types,
    .tensors = tensors,
    .ownTensors = ownTensors,
    .prefix = "transformer.",
    .layers = plainLayers,
    .norm = llm::NormKind::layer,
    .alibi = {.when = {BiasRule::Always}},
    .tied = true,
    .qkvBias = {BiasRule::Always},
    .outputBias = {BiasRule::Always},
    .mlpBias = {BiasRule::Always},
    .activation = llm::Activation::gelu_tanh,
    .hidden = {"hidden_size|n_embed"},
    .layerCount = {"n_layer|num_hidden_layers"},
    .heads = {"n_head|num_attention_heads"},
    .ffn = {""},
    .context = {"seq_length", 2048},
    .eps = {"layer_norm_epsilon", 1e-5},
    .kvHeadsKey = "",
    .headDim = {""},
    .ffnDefaultsToFourHidden = true,
    .activationKey = "",
    .refusals = refusals,
};
