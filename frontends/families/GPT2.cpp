// GPT-2: learned positions, layer norms, biases everywhere, one tensor for q, k and v, weights stored [in, out].
// Sources: Radford et al. 2019; transformers' modeling_gpt2.py.
#include "frontends/families/Common.h"
#include "frontends/families/Families.h"

using namespace llmc::frontends;

static constexpr llvm::StringRef types[] = {"gpt2"};
static constexpr llvm::StringRef qkv[] = {"blk.q", "blk.k", "blk.v"};
static constexpr bool conv1D = true; // [in, out]

static constexpr TensorName qkvWeight(llvm::StringRef role) {
  return {role, "transformer.h.{layer}.attn.c_attn.weight", "blk.{layer}.attn_qkv.weight", conv1D, qkv};
}
static constexpr TensorName qkvBias(llvm::StringRef role) {
  return {role, "transformer.h.{layer}.attn.c_attn.bias", "blk.{layer}.attn_qkv.bias", false, qkv};
}

static constexpr TensorName tensors[] = {
    {"embed", "transformer.wte.weight", "token_embd.weight"},
    {"position_embed", "transformer.wpe.weight", "position_embd.weight"},
    {"norm", "transformer.ln_f.weight", "output_norm.weight"},
    {"norm_bias", "transformer.ln_f.bias", "output_norm.bias"},
    {"head", "lm_head.weight", "output.weight"},
    {"blk.attn_norm", "transformer.h.{layer}.ln_1.weight", "blk.{layer}.attn_norm.weight"},
    {"blk.attn_norm_bias", "transformer.h.{layer}.ln_1.bias", "blk.{layer}.attn_norm.bias"},
    qkvWeight("blk.q"),
    qkvWeight("blk.k"),
    qkvWeight("blk.v"),
    qkvBias("blk.q_bias"),
    qkvBias("blk.k_bias"),
    qkvBias("blk.v_bias"),
    {"blk.o", "transformer.h.{layer}.attn.c_proj.weight", "blk.{layer}.attn_output.weight", conv1D},
    {"blk.o_bias", "transformer.h.{layer}.attn.c_proj.bias", "blk.{layer}.attn_output.bias"},
    {"blk.ffn_norm", "transformer.h.{layer}.ln_2.weight", "blk.{layer}.ffn_norm.weight"},
    {"blk.ffn_norm_bias", "transformer.h.{layer}.ln_2.bias", "blk.{layer}.ffn_norm.bias"},
    {"blk.up", "transformer.h.{layer}.mlp.c_fc.weight", "blk.{layer}.ffn_up.weight", conv1D},
    {"blk.up_bias", "transformer.h.{layer}.mlp.c_fc.bias", "blk.{layer}.ffn_up.bias"},
    {"blk.down", "transformer.h.{layer}.mlp.c_proj.weight", "blk.{layer}.ffn_down.weight", conv1D},
    {"blk.down_bias", "transformer.h.{layer}.mlp.c_proj.bias", "blk.{layer}.ffn_down.bias"},
};
static constexpr Sublayer sublayers[] = {{"blk.attn_norm", &attention}, {"blk.ffn_norm", &plainMlp}};
static constexpr LayerSpec layers[] = {{"full_attention", sublayers}};
static constexpr Refusal refusals[] = {{"scale_attn_by_inverse_layer_idx"}};
static constexpr llvm::StringRef masks[] = {".attn.bias", ".attn.masked_bias"};

constinit const Family llmc::frontends::gpt2 = {
    .name = "gpt2",
    .modelTypes = types,
    .architectures = types,
    .tensors = tensors,
    .prefix = "transformer.",
    .layers = layers,
    .norm = llm::NormKind::layer,
    .learnedPositions = true,
    .tied = true,
    .qkvBias = {BiasRule::Always},
    .outputBias = {BiasRule::Always},
    .mlpBias = {BiasRule::Always},
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
    .scaleSwitch = "scale_attn_weights",
    .refusals = refusals,
    .ignoredTensors = masks,
};
