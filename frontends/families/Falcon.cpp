// Falcon in its three shapes. 7B: one head of keys and values, one norm for both parts of a layer, which stand beside each other; 40B:
// groups of heads, a norm for each part; RW: parts one after the other, ALiBi, biases. The tensor of q, k and v has the rows of each
// head of keys and values together.
// Sources: arXiv:2311.16867; transformers' modeling_falcon.py (rounds slopes to bf16 and scales them as scores); for GGUF llama.cpp's falcon.
#include "frontends/HuggingFace.h"
#include "frontends/families/Common.h"
#include "frontends/families/Families.h"

using namespace llmc::frontends;

static constexpr llvm::StringRef types[] = {"falcon"};

static constexpr TensorName tensors[] = {
    {"embed", "transformer.word_embeddings.weight", "token_embd.weight"},
    {"norm", "transformer.ln_f.weight", "output_norm.weight"},
    {"norm_bias", "transformer.ln_f.bias", "output_norm.bias"},
    {"head", "lm_head.weight", "output.weight"},
    {"blk.attn_norm", "transformer.h.{layer}.ln_attn.weight", "blk.{layer}.attn_norm_2.weight"},
    {"blk.attn_norm", "transformer.h.{layer}.input_layernorm.weight", "blk.{layer}.attn_norm.weight"},
    {"blk.attn_norm_bias", "transformer.h.{layer}.ln_attn.bias", "blk.{layer}.attn_norm_2.bias"},
    {"blk.attn_norm_bias", "transformer.h.{layer}.input_layernorm.bias", "blk.{layer}.attn_norm.bias"},
    {"blk.o", "transformer.h.{layer}.self_attention.dense.weight", "blk.{layer}.attn_output.weight"},
    {"blk.o_bias", "transformer.h.{layer}.self_attention.dense.bias", ""},
    {"blk.ffn_norm", "transformer.h.{layer}.ln_mlp.weight", "blk.{layer}.attn_norm.weight"},
    {"blk.ffn_norm", "transformer.h.{layer}.post_attention_layernorm.weight", ""},
    {"blk.ffn_norm_bias", "transformer.h.{layer}.ln_mlp.bias", "blk.{layer}.attn_norm.bias"},
    {"blk.ffn_norm_bias", "transformer.h.{layer}.post_attention_layernorm.bias", ""},
    {"blk.up", "transformer.h.{layer}.mlp.dense_h_to_4h.weight", "blk.{layer}.ffn_up.weight"},
    {"blk.up_bias", "transformer.h.{layer}.mlp.dense_h_to_4h.bias", ""},
    {"blk.down", "transformer.h.{layer}.mlp.dense_4h_to_h.weight", "blk.{layer}.ffn_down.weight"},
    {"blk.down_bias", "transformer.h.{layer}.mlp.dense_4h_to_h.bias", ""},
};
static constexpr auto ownTensors = fusedQkv("transformer.h.{layer}.self_attention.query_key_value.weight",
                                            "transformer.h.{layer}.self_attention.query_key_value.bias", TensorName::Turns::KVHeads);

static void complete(Model &model, const Config &config) {
  bool isNew = config.flag("new_decoder_architecture", false);
  model.parallel = isNew || config.flag("parallel_attn", true);
  model.sharedNorm = !isNew || config.integer({"num_ln_in_parallel_attn", 2}) == 1;
  if (isNew)
    model.kvHeads = config.integer({"num_kv_heads|n_head_kv", static_cast<double>(model.heads)});
  else if (config.flag("multi_query", true))
    model.kvHeads = 1;
}

constinit const Family llmc::frontends::falcon = {
    .name = "falcon",
    .modelTypes = types,
    .architectures = types,
    .tensors = tensors,
    .ownTensors = ownTensors,
    .prefix = "transformer.",
    .layers = plainLayers,
    .norm = llm::NormKind::layer,
    .parallel = {BiasRule::Always},
    .sharedNorm = true,
    .alibi = {.when = {BiasRule::ByKey, "alibi"}, .inBf16 = true, .scaled = true},
    .tied = true,
    .qkvBias = {BiasRule::ByKey, "bias"},
    .outputBias = {BiasRule::ByKey, "bias"},
    .mlpBias = {BiasRule::ByKey, "bias"},
    .activation = llm::Activation::gelu,
    .hidden = {"hidden_size|n_embed"},
    .layerCount = {"num_hidden_layers|n_layer"},
    .heads = {"num_attention_heads|n_head"},
    .ffn = {"ffn_hidden_size"},
    .context = {"max_position_embeddings", 2048},
    .eps = {"layer_norm_epsilon", 1e-5},
    .kvHeadsKey = "",
    .headDim = {""},
    .ffnDefaultsToFourHidden = true,
    .activationKey = "activation",
    .ignoredTensors = rotaryBuffers,
    .complete = complete,
};
