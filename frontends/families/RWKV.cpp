// RWKV-4: no attention; each token is mixed with the one before it, and a weighted mean over the past fades.
// `rescale_every` guards half precision against overflow by halving stream and weights; we keep the stream in float32.
// Sources: arXiv:2305.13048; transformers' modeling_rwkv.py.
#include "frontends/HuggingFace.h"
#include "frontends/RecurrentParts.h"
#include "frontends/families/Families.h"

using namespace llmc::frontends;

static constexpr llvm::StringRef types[] = {"rwkv"};

static constexpr TensorName tensors[] = {
    {"embed", "rwkv.embeddings.weight", ""},
    {"embed_norm", "rwkv.blocks.0.pre_ln.weight", ""},
    {"embed_norm_bias", "rwkv.blocks.0.pre_ln.bias", ""},
    {"norm", "rwkv.ln_out.weight", ""},
    {"norm_bias", "rwkv.ln_out.bias", ""},
    {"head", "head.weight", ""},
    {"blk.time_norm", "rwkv.blocks.{layer}.ln1.weight", ""},
    {"blk.time_norm_bias", "rwkv.blocks.{layer}.ln1.bias", ""},
    {"blk.mix_k", "rwkv.blocks.{layer}.attention.time_mix_key", ""},
    {"blk.mix_v", "rwkv.blocks.{layer}.attention.time_mix_value", ""},
    {"blk.mix_r", "rwkv.blocks.{layer}.attention.time_mix_receptance", ""},
    {"blk.time_k", "rwkv.blocks.{layer}.attention.key.weight", ""},
    {"blk.time_v", "rwkv.blocks.{layer}.attention.value.weight", ""},
    {"blk.time_r", "rwkv.blocks.{layer}.attention.receptance.weight", ""},
    {"blk.time_decay", "rwkv.blocks.{layer}.attention.time_decay", ""},
    {"blk.time_first", "rwkv.blocks.{layer}.attention.time_first", ""},
    {"blk.time_out", "rwkv.blocks.{layer}.attention.output.weight", ""},
    {"blk.channel_norm", "rwkv.blocks.{layer}.ln2.weight", ""},
    {"blk.channel_norm_bias", "rwkv.blocks.{layer}.ln2.bias", ""},
    {"blk.channel_mix_k", "rwkv.blocks.{layer}.feed_forward.time_mix_key", ""},
    {"blk.channel_mix_r", "rwkv.blocks.{layer}.feed_forward.time_mix_receptance", ""},
    {"blk.channel_k", "rwkv.blocks.{layer}.feed_forward.key.weight", ""},
    {"blk.channel_r", "rwkv.blocks.{layer}.feed_forward.receptance.weight", ""},
    {"blk.channel_v", "rwkv.blocks.{layer}.feed_forward.value.weight", ""},
};
static constexpr Sublayer sublayers[] = {{"blk.time_norm", &timeMix}, {"blk.channel_norm", &channelMix}};
static constexpr LayerSpec layers[] = {{.type = "full_attention", .sublayers = sublayers, .rotary = false}};

constinit const Family llmc::frontends::rwkv = {
    .name = "rwkv",
    .modelTypes = types,
    .tensors = tensors,
    .prefix = "rwkv.",
    .layers = layers,
    .ssm = {.used = true, .channels = {"attention_hidden_size"}},
    .norm = llmc::llm::NormKind::layer,
    .finalNormEps = 1e-5,
    .heads = {"", 1},
    .context = {"context_length", 1024},
    .eps = {"layer_norm_epsilon", 1e-5},
    .kvHeadsKey = "",
    .headDim = {"", 1},
    .ffnDefaultsToFourHidden = true,
    .activationKey = "",
};
