// GPT-J: attention and feed-forward part beside each other behind one norm, pairs of neighbouring channels turn in the first
// `rotary_dim` of each head, a head with biases.
// Sources: Wang & Komatsuzaki 2021; transformers' modeling_gptj.py.
#include "frontends/families/Common.h"
#include "frontends/families/Families.h"

using namespace llmc::frontends;

static constexpr llvm::StringRef types[] = {"gptj"};

static constexpr TensorName tensors[] = {
    {"embed", "transformer.wte.weight", ""},
    {"norm", "transformer.ln_f.weight", ""},
    {"norm_bias", "transformer.ln_f.bias", ""},
    {"head", "lm_head.weight", ""},
    {"head_bias", "lm_head.bias", ""},
    {"blk.attn_norm", "transformer.h.{layer}.ln_1.weight", ""},
    {"blk.attn_norm_bias", "transformer.h.{layer}.ln_1.bias", ""},
    {"blk.q", "transformer.h.{layer}.attn.q_proj.weight", ""},
    {"blk.k", "transformer.h.{layer}.attn.k_proj.weight", ""},
    {"blk.v", "transformer.h.{layer}.attn.v_proj.weight", ""},
    {"blk.o", "transformer.h.{layer}.attn.out_proj.weight", ""},
    {"blk.up", "transformer.h.{layer}.mlp.fc_in.weight", ""},
    {"blk.up_bias", "transformer.h.{layer}.mlp.fc_in.bias", ""},
    {"blk.down", "transformer.h.{layer}.mlp.fc_out.weight", ""},
    {"blk.down_bias", "transformer.h.{layer}.mlp.fc_out.bias", ""},
};
static constexpr llvm::StringRef masks[] = {".attn.bias", ".attn.masked_bias"};

constinit const Family llmc::frontends::gptJ = {
    .name = "gptj",
    .modelTypes = types,
    .tensors = tensors,
    .prefix = "transformer.",
    .layers = plainLayers,
    .norm = llm::NormKind::layer,
    .rotary = llm::RotaryStyle::interleaved,
    .rotaryDim = {"rotary_dim", 64},
    .parallel = {BiasRule::Always},
    .sharedNorm = true,
    .mlpBias = {BiasRule::Always},
    .headBias = {BiasRule::Always},
    .activation = llm::Activation::gelu_tanh,
    .hidden = {"n_embd"},
    .layerCount = {"n_layer"},
    .heads = {"n_head"},
    .ffn = {"n_inner"},
    .context = {"n_positions"},
    .eps = {"layer_norm_epsilon", 1e-5},
    .kvHeadsKey = "",
    .headDim = {""},
    .ffnDefaultsToFourHidden = true,
    .activationKey = "activation_function",
    .ignoredTensors = masks,
};
