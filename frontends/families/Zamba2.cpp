// Zamba2: Mamba-2 mixers; at some depths a transformer block goes before the mixer. There are one or two such blocks, used in
// turns, each use with adapters of its own; they see the residual stream beside the embedding.
// Sources: arXiv:2411.15242; transformers' modeling_zamba2.py.
#include "frontends/families/Families.h"
#include "frontends/families/Mamba2.h"

#include <cmath>

using namespace llmc::frontends;
namespace llm = llmc::llm;
using Turns = TensorName::Turns;

static constexpr llvm::StringRef types[] = {"zamba2"}, lists[] = {"layers_block_type", "layer_types"};
static constexpr llvm::StringRef gateUp[] = {"blk.gate", "blk.up"},
                                 adapterOut[] = {"blk.gate_adapter_out", "blk.up_adapter_out"};

static constexpr TensorName shared(llvm::StringRef role, llvm::StringRef name, llvm::ArrayRef<llvm::StringRef> stack = {}) {
  return {role, name, "", false, stack, Turns::None, /*shared=*/true};
}

static constexpr TensorName ownTensors[] = {
    {"norm", "model.final_layernorm.weight", ""},
    shared("blk.shared_norm", "model.layers.{layer}.shared_transformer.input_layernorm.weight"),
    shared("blk.q", "model.layers.{layer}.shared_transformer.self_attn.q_proj.weight"),
    shared("blk.k", "model.layers.{layer}.shared_transformer.self_attn.k_proj.weight"),
    shared("blk.v", "model.layers.{layer}.shared_transformer.self_attn.v_proj.weight"),
    shared("blk.o", "model.layers.{layer}.shared_transformer.self_attn.o_proj.weight"),
    shared("blk.q_adapter_in", "model.layers.{layer}.shared_transformer.self_attn.linear_q_adapter_list.{use}.0.weight"),
    shared("blk.q_adapter_out", "model.layers.{layer}.shared_transformer.self_attn.linear_q_adapter_list.{use}.1.weight"),
    shared("blk.k_adapter_in", "model.layers.{layer}.shared_transformer.self_attn.linear_k_adapter_list.{use}.0.weight"),
    shared("blk.k_adapter_out", "model.layers.{layer}.shared_transformer.self_attn.linear_k_adapter_list.{use}.1.weight"),
    shared("blk.v_adapter_in", "model.layers.{layer}.shared_transformer.self_attn.linear_v_adapter_list.{use}.0.weight"),
    shared("blk.v_adapter_out", "model.layers.{layer}.shared_transformer.self_attn.linear_v_adapter_list.{use}.1.weight"),
    shared("blk.shared_ffn_norm", "model.layers.{layer}.shared_transformer.pre_ff_layernorm.weight"),
    shared("blk.gate", "model.layers.{layer}.shared_transformer.feed_forward.gate_up_proj.weight", gateUp),
    shared("blk.up", "model.layers.{layer}.shared_transformer.feed_forward.gate_up_proj.weight", gateUp),
    shared("blk.gate_bias", "model.layers.{layer}.shared_transformer.feed_forward.gate_up_proj.bias", gateUp),
    shared("blk.up_bias", "model.layers.{layer}.shared_transformer.feed_forward.gate_up_proj.bias", gateUp),
    shared("blk.gate_adapter_in", "model.layers.{layer}.shared_transformer.feed_forward.gate_up_proj_adapter_list.{use}.0.weight"),
    shared("blk.up_adapter_in", "model.layers.{layer}.shared_transformer.feed_forward.gate_up_proj_adapter_list.{use}.0.weight"),
    shared("blk.gate_adapter_out", "model.layers.{layer}.shared_transformer.feed_forward.gate_up_proj_adapter_list.{use}.1.weight", adapterOut),
    shared("blk.up_adapter_out", "model.layers.{layer}.shared_transformer.feed_forward.gate_up_proj_adapter_list.{use}.1.weight", adapterOut),
    shared("blk.down", "model.layers.{layer}.shared_transformer.feed_forward.down_proj.weight"),
    shared("blk.down_bias", "model.layers.{layer}.shared_transformer.feed_forward.down_proj.bias"),
    {"blk.shared_out", "model.layers.{layer}.linear.weight", ""},
    {"blk.attn_norm", "model.layers.{layer}.input_layernorm.weight", ""},
    {"blk.attn_norm", "model.layers.{layer}.mamba_decoder.input_layernorm.weight", ""},
};
// The mixers after a shared block.
static constexpr TensorName decoderTensors[] = {
    {"blk.ssm_z", "model.layers.{layer}.mamba_decoder.mamba.in_proj.weight", "", false, mamba2Inputs},
    {"blk.ssm_x", "model.layers.{layer}.mamba_decoder.mamba.in_proj.weight", "", false, mamba2Inputs},
    {"blk.ssm_dt", "model.layers.{layer}.mamba_decoder.mamba.in_proj.weight", "", false, mamba2Inputs},
    {"blk.ssm_z_bias", "model.layers.{layer}.mamba_decoder.mamba.in_proj.bias", "", false, mamba2Inputs},
    {"blk.ssm_x_bias", "model.layers.{layer}.mamba_decoder.mamba.in_proj.bias", "", false, mamba2Inputs},
    {"blk.ssm_dt_bias", "model.layers.{layer}.mamba_decoder.mamba.in_proj.bias", "", false, mamba2Inputs},
    {"blk.conv", "model.layers.{layer}.mamba_decoder.mamba.conv1d.weight", ""},
    {"blk.conv_bias", "model.layers.{layer}.mamba_decoder.mamba.conv1d.bias", ""},
    {"blk.ssm_dt_offset", "model.layers.{layer}.mamba_decoder.mamba.dt_bias", ""},
    {"blk.ssm_a", "model.layers.{layer}.mamba_decoder.mamba.A_log", ""},
    {"blk.ssm_d", "model.layers.{layer}.mamba_decoder.mamba.D", ""},
    {"blk.ssm_norm", "model.layers.{layer}.mamba_decoder.mamba.norm.weight", ""},
    {"blk.ssm_out", "model.layers.{layer}.mamba_decoder.mamba.out_proj.weight", ""},
    {"blk.ssm_out_bias", "model.layers.{layer}.mamba_decoder.mamba.out_proj.bias", ""},
};
static constexpr auto tensors = withMamba2(withMamba2(ownTensors, mamba2Tensors), decoderTensors);
static constexpr Sublayer scanning[] = {{"blk.attn_norm", &mamba2}}, hybrid[] = {{"", &sharedBlockAndMamba2}};
static constexpr LayerSpec layers[] = {{.type = "linear_attention", .sublayers = scanning, .rotary = false},
                                       {"hybrid", hybrid}};
static constexpr Refusal refusals[] = {{"use_long_context"}};

// Attention runs over twice the channels; its scale is that of half its head size.
static void complete(Model &model, const Config &config) {
  bool small = model.hidden >= 1 && model.hidden <= maxSize && model.heads >= 1;
  model.attentionInput = small ? 2 * model.hidden : 0;
  if (small && !config.has("attention_head_dim"))
    model.headDim = 2 * model.hidden / model.heads;
  model.attentionScale = 1 / std::sqrt(static_cast<double>(model.headDim) / 2);
  model.sharedBlocks = config.integer({"num_mem_blocks", 1});
  model.adapterRank = config.integer({"adapter_rank", 128});
  model.attentionAdapters = config.flag("use_shared_attention_adapter", false);
  if (model.sharedBlocks < 1 || model.sharedBlocks > maxLayers || model.adapterRank < 1 || model.adapterRank > maxSize)
    config.invalid("'num_mem_blocks' and 'adapter_rank': want positive numbers");
  if (!config.has("layers_block_type") && !config.has("layer_types"))
    config.unsupported("no 'layers_block_type'");
}

constinit const Family llmc::frontends::zamba2 = {
    .name = "zamba2",
    .modelTypes = types,
    .tensors = llamaTensors,
    .ownTensors = tensors,
    .layers = layers,
    .layerRule = LayerRule::Chosen,
    .layerList = {.keys = lists},
    .ssm = {.used = true,
            .expand = {"mamba_expand", 2},
            .heads = {"n_mamba_heads", 8},
            .groups = {"mamba_ngroups", 1},
            .stateSize = {"mamba_d_state", 64},
            .taps = {"mamba_d_conv", 4},
            .minStep = {"time_step_min", 0.001},
            .convBias = {BiasRule::Always},
            .projectionBias = {BiasRule::ByKey, "add_bias_linear"},
            .normEps = 1e-5,
            .mixesInputs = true},
    .rotarySwitch = "use_mem_rope",
    .embeddingReachesLayers = true,
    .tied = true,
    .mlpBias = {BiasRule::ByKey, "add_bias_linear"},
    .activation = llm::Activation::gelu,
    .context = {"max_position_embeddings", 4096},
    .eps = {"rms_norm_eps", 1e-5},
    .headDim = {"attention_head_dim"},
    .ffnDefaultsToFourHidden = true,
    .refusals = refusals,
    .complete = complete,
};
