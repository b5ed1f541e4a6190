// RecurrentGemma (Griffin): gated linear recurrences, and attention within a window at some depths; gains hold gain - 1.
// Sources: arXiv:2402.19427, 2404.07839; transformers' modeling_recurrent_gemma.py.
#include "frontends/HuggingFace.h"
#include "frontends/RecurrentParts.h"
#include "frontends/families/Common.h"
#include "frontends/families/Families.h"

using namespace llmc::frontends;

static constexpr llvm::StringRef types[] = {"recurrent_gemma"};
static constexpr llvm::StringRef lists[] = {"block_types"};
static constexpr LayerList::Spelling spellings[] = {{"recurrent", "linear_attention"}, {"attention", "sliding_attention"}};

static constexpr TensorName tensors[] = {
    {"norm", "model.final_norm.weight", ""},
    {"blk.attn_norm", "model.layers.{layer}.temporal_pre_norm.weight", ""},
    {"blk.q", "model.layers.{layer}.temporal_block.q_proj.weight", ""},
    {"blk.k", "model.layers.{layer}.temporal_block.k_proj.weight", ""},
    {"blk.v", "model.layers.{layer}.temporal_block.v_proj.weight", ""},
    {"blk.o", "model.layers.{layer}.temporal_block.o_proj.weight", ""},
    {"blk.q_bias", "model.layers.{layer}.temporal_block.q_proj.bias", ""},
    {"blk.k_bias", "model.layers.{layer}.temporal_block.k_proj.bias", ""},
    {"blk.v_bias", "model.layers.{layer}.temporal_block.v_proj.bias", ""},
    {"blk.o_bias", "model.layers.{layer}.temporal_block.o_proj.bias", ""},
    {"blk.lru_x", "model.layers.{layer}.temporal_block.linear_x.weight", ""},
    {"blk.lru_x_bias", "model.layers.{layer}.temporal_block.linear_x.bias", ""},
    {"blk.lru_y", "model.layers.{layer}.temporal_block.linear_y.weight", ""},
    {"blk.lru_y_bias", "model.layers.{layer}.temporal_block.linear_y.bias", ""},
    {"blk.conv", "model.layers.{layer}.temporal_block.conv_1d.weight", ""},
    {"blk.conv_bias", "model.layers.{layer}.temporal_block.conv_1d.bias", ""},
    {"blk.lru_input_gate", "model.layers.{layer}.temporal_block.rg_lru.input_gate_weight", "", /*transposed=*/true},
    {"blk.lru_input_gate_bias", "model.layers.{layer}.temporal_block.rg_lru.input_gate_bias", ""},
    {"blk.lru_decay_gate", "model.layers.{layer}.temporal_block.rg_lru.recurrent_gate_weight", "", /*transposed=*/true},
    {"blk.lru_decay_gate_bias", "model.layers.{layer}.temporal_block.rg_lru.recurrent_gate_bias", ""},
    {"blk.lru_a", "model.layers.{layer}.temporal_block.rg_lru.recurrent_param", ""},
    {"blk.lru_out", "model.layers.{layer}.temporal_block.linear_out.weight", ""},
    {"blk.lru_out_bias", "model.layers.{layer}.temporal_block.linear_out.bias", ""},
    {"blk.ffn_norm", "model.layers.{layer}.channel_pre_norm.weight", ""},
    {"blk.gate", "model.layers.{layer}.mlp_block.gate_proj.weight", ""},
    {"blk.up", "model.layers.{layer}.mlp_block.up_proj.weight", ""},
    {"blk.down", "model.layers.{layer}.mlp_block.down_proj.weight", ""},
    {"blk.gate_bias", "model.layers.{layer}.mlp_block.gate_proj.bias", ""},
    {"blk.up_bias", "model.layers.{layer}.mlp_block.up_proj.bias", ""},
    {"blk.down_bias", "model.layers.{layer}.mlp_block.down_proj.bias", ""},
};
static constexpr Sublayer recurrent[] = {{"blk.attn_norm", &realGatedUnit}, {"blk.ffn_norm", &gatedMlp}};
static constexpr Sublayer attending[] = {{"blk.attn_norm", &attention}, {"blk.ffn_norm", &gatedMlp}};
static constexpr LayerSpec layers[] = {{.type = "linear_attention", .sublayers = recurrent, .rotary = false},
                                       {"sliding_attention", attending, /*windowed=*/true}};

// The configuration counts the channels of gate and up together; widths must be whole blocks of the gates.
static void complete(Model &model, const Config &config) {
  model.ffn /= 2;
  if (model.heads > 0 && model.ssm.channels % model.heads)
    config.invalid("'lru_width': want a multiple of num_attention_heads");
}

constinit const Family llmc::frontends::recurrentGemma = {
    .name = "recurrent_gemma",
    .modelTypes = types,
    .tensors = llamaTensors,
    .ownTensors = tensors,
    .layers = layers,
    .layerRule = LayerRule::Chosen,
    .layerChoice = {.chosen = "sliding_attention", .period = {"", 3}},
    .layerList = {.keys = lists, .spellings = spellings, .repeats = true},
    .ssm = {.used = true, .channels = {"lru_width"}, .taps = {"conv1d_width", 4}, .convBias = {BiasRule::Always}},
    .normOffset = 1,
    .partialRotary = 0.5,
    .embeddingScaled = true,
    .embeddingScaleInBf16 = true,
    .tied = true,
    .qkvBias = {BiasRule::ByKey, "attention_bias"},
    .outputBias = {BiasRule::Always},
    .mlpBias = {BiasRule::Always},
    .activation = llmc::llm::Activation::gelu_tanh,
    .ffn = {"intermediate_size", 7680},
    .context = {"max_position_embeddings", 8192},
    .window = {"attention_window_size", 2048},
    .logitSoftcap = {"logits_soft_cap", 30},
    .activationKey = "hidden_activation",
    .complete = complete,
};
