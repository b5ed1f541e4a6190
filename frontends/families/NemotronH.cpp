// Nemotron-H: each layer is one part, a Mamba-2 mixer, attention without positions, a plain MLP (squared ReLU), or experts.
// Sources: arXiv:2504.03624; transformers' modeling_nemotron_h.py; GGUF's architectures nemotron_h and nemotron_h_moe, which like
// llama.cpp know no least time step.
#include "frontends/families/Families.h"
#include "frontends/families/Mamba2.h"

using namespace llmc::frontends;
namespace llm = llmc::llm;

static constexpr llvm::StringRef types[] = {"nemotron_h"}, architectures[] = {"nemotron_h", "nemotron_h_moe"};
static constexpr llvm::StringRef lists[] = {"layers_block_type", "layer_types", "hybrid_override_pattern"};
static constexpr LayerList::Spelling spellings[] = {{"mamba", "linear_attention"}, {"attention", "full_attention"},
                                                    {"M", "linear_attention"},     {"*", "full_attention"},
                                                    {"-", "mlp"},                  {"E", "moe"}};

static constexpr TensorName tensors[] = {
    {"embed", "backbone.embeddings.weight", "token_embd.weight"},
    {"norm", "backbone.norm_f.weight", "output_norm.weight"},
    {"head", "lm_head.weight", "output.weight"},
    {"blk.norm", "backbone.layers.{layer}.norm.weight", "blk.{layer}.attn_norm.weight"},
    {"blk.q", "backbone.layers.{layer}.mixer.q_proj.weight", "blk.{layer}.attn_q.weight"},
    {"blk.k", "backbone.layers.{layer}.mixer.k_proj.weight", "blk.{layer}.attn_k.weight"},
    {"blk.v", "backbone.layers.{layer}.mixer.v_proj.weight", "blk.{layer}.attn_v.weight"},
    {"blk.o", "backbone.layers.{layer}.mixer.o_proj.weight", "blk.{layer}.attn_output.weight"},
    {"blk.up", "backbone.layers.{layer}.mixer.up_proj.weight", "blk.{layer}.ffn_up.weight"},
    {"blk.down", "backbone.layers.{layer}.mixer.down_proj.weight", "blk.{layer}.ffn_down.weight"},
    {"blk.up_bias", "backbone.layers.{layer}.mixer.up_proj.bias", "blk.{layer}.ffn_up.bias"},
    {"blk.down_bias", "backbone.layers.{layer}.mixer.down_proj.bias", "blk.{layer}.ffn_down.bias"},
    {"blk.router", "backbone.layers.{layer}.mixer.gate.weight", "blk.{layer}.ffn_gate_inp.weight"},
    {"blk.router_correction", "backbone.layers.{layer}.mixer.gate.e_score_correction_bias", "blk.{layer}.exp_probs_b.bias"},
    {"blk.up_exps", "backbone.layers.{layer}.mixer.experts.{expert}.up_proj.weight", "blk.{layer}.ffn_up_exps.weight"},
    {"blk.down_exps", "backbone.layers.{layer}.mixer.experts.{expert}.down_proj.weight", "blk.{layer}.ffn_down_exps.weight"},
    {"blk.up_shexp", "backbone.layers.{layer}.mixer.shared_experts.up_proj.weight", "blk.{layer}.ffn_up_shexp.weight"},
    {"blk.down_shexp", "backbone.layers.{layer}.mixer.shared_experts.down_proj.weight", "blk.{layer}.ffn_down_shexp.weight"},
    {"blk.up_shexp_bias", "backbone.layers.{layer}.mixer.shared_experts.up_proj.bias", ""},
    {"blk.down_shexp_bias", "backbone.layers.{layer}.mixer.shared_experts.down_proj.bias", ""},
    {"blk.ssm_z", "backbone.layers.{layer}.mixer.in_proj.weight", "blk.{layer}.ssm_in.weight", false, mamba2Inputs},
    {"blk.ssm_x", "backbone.layers.{layer}.mixer.in_proj.weight", "blk.{layer}.ssm_in.weight", false, mamba2Inputs},
    {"blk.ssm_dt", "backbone.layers.{layer}.mixer.in_proj.weight", "blk.{layer}.ssm_in.weight", false, mamba2Inputs},
    {"blk.ssm_z_bias", "backbone.layers.{layer}.mixer.in_proj.bias", "", false, mamba2Inputs},
    {"blk.ssm_x_bias", "backbone.layers.{layer}.mixer.in_proj.bias", "", false, mamba2Inputs},
    {"blk.ssm_dt_bias", "backbone.layers.{layer}.mixer.in_proj.bias", "", false, mamba2Inputs},
    {"blk.conv", "backbone.layers.{layer}.mixer.conv1d.weight", "blk.{layer}.ssm_conv1d.weight"},
    {"blk.conv_bias", "backbone.layers.{layer}.mixer.conv1d.bias", "blk.{layer}.ssm_conv1d.bias"},
    {"blk.ssm_dt_offset", "backbone.layers.{layer}.mixer.dt_bias", "blk.{layer}.ssm_dt.bias"},
    {"blk.ssm_a", "backbone.layers.{layer}.mixer.A_log", "blk.{layer}.ssm_a"},
    {"blk.ssm_d", "backbone.layers.{layer}.mixer.D", "blk.{layer}.ssm_d"},
    {"blk.ssm_norm", "backbone.layers.{layer}.mixer.norm.weight", "blk.{layer}.ssm_norm.weight"},
    {"blk.ssm_out", "backbone.layers.{layer}.mixer.out_proj.weight", "blk.{layer}.ssm_out.weight"},
    {"blk.ssm_out_bias", "backbone.layers.{layer}.mixer.out_proj.bias", ""},
};
static constexpr Sublayer attending[] = {{"blk.norm", &attention}}, scanning[] = {{"blk.norm", &mamba2}},
                          dense[] = {{"blk.norm", &plainMlp}}, routed[] = {{"blk.norm", &routedMlp}};
static constexpr LayerSpec layers[] = {{.type = "linear_attention", .sublayers = scanning, .rotary = false},
                                       {.type = "full_attention", .sublayers = attending, .rotary = false},
                                       {.type = "mlp", .sublayers = dense, .rotary = false},
                                       {.type = "moe", .sublayers = routed, .experts = true, .rotary = false}};
static constexpr Refusal refusals[] = {{"moe_latent_size"}, {"num_nextn_predict_layers"}, {"sliding_window"}};

constinit const Family llmc::frontends::nemotronH = {
    .name = "nemotron_h",
    .modelTypes = types,
    .architectures = architectures,
    .tensors = tensors,
    .prefix = "backbone.",
    .layers = layers,
    .layerRule = LayerRule::Chosen,
    .layerChoice = {.feedForward = "mlp", .experts = "moe"},
    .layerList = {.keys = lists, .spellings = spellings},
    .experts = {.count = {"n_routed_experts", 8}},
    .expertShape = {.top = {"num_experts_per_tok", 2},
                    .ffn = {"moe_intermediate_size", 7688},
                    .sharedFfn = {"moe_shared_expert_intermediate_size", 7688},
                    .scores = llm::RouterScores::sigmoid,
                    .ggufScores = llm::RouterScores::sigmoid,
                    .normalize = llm::RouterNormalize::sum,
                    .normalizeSwitch = "norm_topk_prob",
                    .normalizeByDefault = true,
                    .epsilon = 1e-20,
                    .scale = {"routed_scaling_factor", 1},
                    .groups = {"n_group", 1},
                    .topGroups = {"topk_group", 1},
                    .groupScore = llm::GroupScore::top2_sum,
                    .gated = false},
    .ssm = {.used = true,
            .heads = {"mamba_num_heads", 128},
            .headDim = {"mamba_head_dim", 64},
            .groups = {"mamba_n_groups|n_groups", 8},
            .stateSize = {"ssm_state_size", 128},
            .taps = {"mamba_d_conv|conv_kernel", 4},
            .minStep = {"mamba_dt_min|time_step_min", 0.001},
            .convBias = {BiasRule::ByKey, "mamba_conv_bias|use_conv_bias", true},
            .projectionBias = {BiasRule::ByKey, "use_bias"},
            .mixesInputs = true},
    .mlpBias = {BiasRule::ByKey, "mlp_bias"},
    .activation = llm::Activation::relu2,
    .ffn = {"intermediate_size", 21504},
    .context = {"max_position_embeddings", 4096},
    .eps = {"layer_norm_epsilon", 1e-5},
    .headDim = {"head_dim", 128},
    .activationKey = "mlp_hidden_act",
    .refusals = refusals,
};
