// Jamba: Mamba mixers with norms on what they select, attention without positions every few layers, experts in every other.
// Sources: arXiv:2403.19887; transformers' modeling_jamba.py; GGUF's architecture jamba, whose ssm_a holds -exp(A_log).
#include "frontends/HuggingFace.h"
#include "frontends/RecurrentParts.h"
#include "frontends/families/Common.h"
#include "frontends/families/Families.h"

using namespace llmc::frontends;

static constexpr llvm::StringRef types[] = {"jamba"}; // in both containers
static constexpr llvm::StringRef inputs[] = {"blk.ssm_x", "blk.ssm_z"}, selected[] = {"blk.ssm_rank", "blk.ssm_b", "blk.ssm_c"};

static constexpr TensorName tensors[] = {
    {"norm", "model.final_layernorm.weight", "output_norm.weight"},
    {"blk.ffn_norm", "model.layers.{layer}.pre_ff_layernorm.weight", "blk.{layer}.ffn_norm.weight"},
    {"blk.gate", "model.layers.{layer}.feed_forward.gate_proj.weight", "blk.{layer}.ffn_gate.weight"},
    {"blk.up", "model.layers.{layer}.feed_forward.up_proj.weight", "blk.{layer}.ffn_up.weight"},
    {"blk.down", "model.layers.{layer}.feed_forward.down_proj.weight", "blk.{layer}.ffn_down.weight"},
    {"blk.router", "model.layers.{layer}.feed_forward.router.weight", "blk.{layer}.ffn_gate_inp.weight"},
    {"blk.gate_exps", "model.layers.{layer}.feed_forward.experts.{expert}.gate_proj.weight", "blk.{layer}.ffn_gate_exps.weight"},
    {"blk.up_exps", "model.layers.{layer}.feed_forward.experts.{expert}.up_proj.weight", "blk.{layer}.ffn_up_exps.weight"},
    {"blk.down_exps", "model.layers.{layer}.feed_forward.experts.{expert}.down_proj.weight", "blk.{layer}.ffn_down_exps.weight"},
    {"blk.ssm_x", "model.layers.{layer}.mamba.in_proj.weight", "blk.{layer}.ssm_in.weight", false, inputs},
    {"blk.ssm_z", "model.layers.{layer}.mamba.in_proj.weight", "blk.{layer}.ssm_in.weight", false, inputs},
    {"blk.ssm_x_bias", "model.layers.{layer}.mamba.in_proj.bias", "", false, inputs},
    {"blk.ssm_z_bias", "model.layers.{layer}.mamba.in_proj.bias", "", false, inputs},
    {"blk.conv", "model.layers.{layer}.mamba.conv1d.weight", "blk.{layer}.ssm_conv1d.weight"},
    {"blk.conv_bias", "model.layers.{layer}.mamba.conv1d.bias", "blk.{layer}.ssm_conv1d.bias"},
    {"blk.ssm_rank", "model.layers.{layer}.mamba.x_proj.weight", "blk.{layer}.ssm_x.weight", false, selected},
    {"blk.ssm_b", "model.layers.{layer}.mamba.x_proj.weight", "blk.{layer}.ssm_x.weight", false, selected},
    {"blk.ssm_c", "model.layers.{layer}.mamba.x_proj.weight", "blk.{layer}.ssm_x.weight", false, selected},
    {"blk.ssm_rank_norm", "model.layers.{layer}.mamba.dt_layernorm.weight", "blk.{layer}.ssm_dt_norm.weight"},
    {"blk.ssm_b_norm", "model.layers.{layer}.mamba.b_layernorm.weight", "blk.{layer}.ssm_b_norm.weight"},
    {"blk.ssm_c_norm", "model.layers.{layer}.mamba.c_layernorm.weight", "blk.{layer}.ssm_c_norm.weight"},
    {"blk.ssm_step", "model.layers.{layer}.mamba.dt_proj.weight", "blk.{layer}.ssm_dt.weight"},
    {"blk.ssm_step_bias", "model.layers.{layer}.mamba.dt_proj.bias", "blk.{layer}.ssm_dt.bias"},
    {"blk.ssm_a", "model.layers.{layer}.mamba.A_log", "blk.{layer}.ssm_a"},
    {"blk.ssm_d", "model.layers.{layer}.mamba.D", "blk.{layer}.ssm_d"},
    {"blk.ssm_out", "model.layers.{layer}.mamba.out_proj.weight", "blk.{layer}.ssm_out.weight"},
    {"blk.ssm_out_bias", "model.layers.{layer}.mamba.out_proj.bias", ""},
};
static constexpr Sublayer attendingExperts[] = {{"blk.attn_norm", &attention}, {"blk.ffn_norm", &routedMlp}};
static constexpr Sublayer scanning[] = {{"blk.attn_norm", &mamba}, {"blk.ffn_norm", &gatedMlp}};
static constexpr Sublayer scanningExperts[] = {{"blk.attn_norm", &mamba}, {"blk.ffn_norm", &routedMlp}};
static constexpr LayerSpec layers[] = {
    {"full_attention", preNormGated, /*windowed=*/false, /*experts=*/false, /*rotary=*/false},
    {"full_attention", attendingExperts, /*windowed=*/false, /*experts=*/true, /*rotary=*/false},
    {"linear_attention", scanning, /*windowed=*/false, /*experts=*/false, /*rotary=*/false},
    {"linear_attention", scanningExperts, /*windowed=*/false, /*experts=*/true, /*rotary=*/false}};

static void complete(Model &model, const Config &config) {
  const llmc::Json *rank = config.member("mamba_dt_rank");
  bool automatic = !rank || llmc::jsonString(*rank) == "auto";
  model.ssm.rank = automatic ? model.hidden / 16 + (model.hidden % 16 != 0) : config.integer({"mamba_dt_rank"});
  if (model.ssm.rank < 1)
    config.invalid("'mamba_dt_rank': want a positive number, or \"auto\"");
}

constinit const Family llmc::frontends::jamba = {
    .name = "jamba",
    .modelTypes = types,
    .architectures = types,
    .tensors = llamaTensors,
    .ownTensors = tensors,
    .layers = layers,
    .layerRule = LayerRule::Chosen,
    .layerChoice = {.period = {"attn_layer_period", 8}, .offset = {"attn_layer_offset", 4}},
    .experts = {.count = {"num_experts|num_local_experts", 16},
                .least = 2,
                .period = {"expert_layer_period", 2},
                .offset = {"expert_layer_offset", 1}},
    .expertShape = {.top = {"num_experts_per_tok", 2}, .ffn = {"intermediate_size"}},
    .ssm = {.used = true,
            .expand = {"mamba_expand", 2},
            .stateSize = {"mamba_d_state", 16},
            .taps = {"mamba_d_conv", 4},
            .convBias = {BiasRule::ByKey, "mamba_conv_bias", true},
            .projectionBias = {BiasRule::ByKey, "mamba_proj_bias"}},
    .context = {"max_position_embeddings", 262144},
    .complete = complete,
};
