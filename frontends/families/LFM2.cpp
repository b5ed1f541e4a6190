// LFM2: short gated convolutions, and attention with norms of each head's q and k at some depths.
// Sources: Liquid AI's LFM2; transformers' modeling_lfm2.py; GGUF's architecture lfm2, whose last norm is called token_embd_norm.
#include "frontends/HuggingFace.h"
#include "frontends/RecurrentParts.h"
#include "frontends/families/Common.h"
#include "frontends/families/Families.h"

#include <cmath>

using namespace llmc::frontends;

static constexpr llvm::StringRef types[] = {"lfm2"}; // in both containers

static constexpr llvm::StringRef gates[] = {"blk.ssm_b_gate", "blk.ssm_c_gate", "blk.ssm_in"};
static constexpr TensorName gate(llvm::StringRef role) {
  return {role, "model.layers.{layer}.conv.in_proj.weight", "blk.{layer}.shortconv.in_proj.weight", false, gates};
}
static constexpr TensorName gateBias(llvm::StringRef role) {
  return {role, "model.layers.{layer}.conv.in_proj.bias", "", false, gates};
}

static constexpr TensorName tensors[] = {
    {"norm", "model.embedding_norm.weight", "token_embd_norm.weight"},
    {"blk.attn_norm", "model.layers.{layer}.operator_norm.weight", "blk.{layer}.attn_norm.weight"},
    {"blk.o", "model.layers.{layer}.self_attn.out_proj.weight", "blk.{layer}.attn_output.weight"},
    {"blk.q_norm", "model.layers.{layer}.self_attn.q_layernorm.weight", "blk.{layer}.attn_q_norm.weight"},
    {"blk.k_norm", "model.layers.{layer}.self_attn.k_layernorm.weight", "blk.{layer}.attn_k_norm.weight"},
    {"blk.ffn_norm", "model.layers.{layer}.ffn_norm.weight", "blk.{layer}.ffn_norm.weight"},
    {"blk.gate", "model.layers.{layer}.feed_forward.w1.weight", "blk.{layer}.ffn_gate.weight"},
    {"blk.up", "model.layers.{layer}.feed_forward.w3.weight", "blk.{layer}.ffn_up.weight"},
    {"blk.down", "model.layers.{layer}.feed_forward.w2.weight", "blk.{layer}.ffn_down.weight"},
    gate("blk.ssm_b_gate"),
    gate("blk.ssm_c_gate"),
    gate("blk.ssm_in"),
    gateBias("blk.ssm_b_gate_bias"),
    gateBias("blk.ssm_c_gate_bias"),
    gateBias("blk.ssm_in_bias"),
    {"blk.conv", "model.layers.{layer}.conv.conv.weight", "blk.{layer}.shortconv.conv.weight"},
    {"blk.conv_bias", "model.layers.{layer}.conv.conv.bias", ""},
    {"blk.ssm_out", "model.layers.{layer}.conv.out_proj.weight", "blk.{layer}.shortconv.out_proj.weight"},
    {"blk.ssm_out_bias", "model.layers.{layer}.conv.out_proj.bias", ""},
};
static constexpr Sublayer attending[] = {{"blk.attn_norm", &attention}, {"blk.ffn_norm", &gatedMlp}};
static constexpr Sublayer convolving[] = {{"blk.attn_norm", &shortConvolution}, {"blk.ffn_norm", &gatedMlp}};
static constexpr LayerSpec layers[] = {{"full_attention", attending}, {.type = "conv", .sublayers = convolving, .rotary = false}};

// The size of the feed-forward parts is two thirds of what the file says, rounded up to a multiple.
static void complete(Model &model, const Config &config) {
  if (config.has("block_ff_dim"))
    model.ffn = config.integer({"block_ff_dim"});
  if (!config.flag("block_auto_adjust_ff_dim", true) || model.ffn < 1 || model.ffn > maxSize)
    return;
  double factor = config.number({"block_ffn_dim_multiplier", 1.0});
  int64_t multiple = config.integer({"block_multiple_of", 256});
  double size = std::floor(factor * static_cast<double>(2 * model.ffn / 3));
  bool fits = size >= 1 && size <= maxSize && multiple >= 1 && multiple <= maxSize;
  model.ffn = fits ? (static_cast<int64_t>(size) + multiple - 1) / multiple * multiple : 0;
}

constinit const Family llmc::frontends::lfm2 = {
    .name = "lfm2",
    .modelTypes = types,
    .architectures = types,
    .tensors = llamaTensors,
    .ownTensors = tensors,
    .layers = layers,
    .layerRule = LayerRule::Chosen,
    .layerChoice = {.other = "conv", .numbers = "full_attn_idxs", .orAll = true},
    .ssm = {.used = true,
            .taps = {"conv_L_cache", 3},
            .convBias = {BiasRule::ByKey, "conv_bias"},
            .projectionBias = {BiasRule::ByKey, "conv_bias"}},
    .ropeTheta = 1e6,
    .tied = true,
    .context = {"max_position_embeddings", 128000},
    .eps = {"norm_eps", 1e-5},
    .activationKey = "",
    .complete = complete,
};
