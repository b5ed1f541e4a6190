// DeepSeek V2 and V3: latent attention, a few dense layers, then experts chosen by groups beside shared ones.
// Sources: arXiv:2405.04434, 2412.19437; transformers' modeling_deepseek_v2.py and modeling_deepseek_v3.py.
#include "frontends/HuggingFace.h"
#include "frontends/families/ExpertTensors.h"
#include "frontends/families/Families.h"

#include <cmath>

using namespace llmc;
using namespace llmc::frontends;

static constexpr llvm::StringRef types2[] = {"deepseek_v2"}, types3[] = {"deepseek_v3"}, architectures[] = {"deepseek2"};
static constexpr llvm::StringRef keysValues[] = {"blk.k_b", "blk.v_b"};

static constexpr TensorName across(llvm::StringRef role, llvm::StringRef huggingFace, llvm::ArrayRef<llvm::StringRef> stack) {
  TensorName name{role, huggingFace, "", false, stack};
  name.across = true;
  return name;
}

static constexpr TensorName correction[] = {
    {"blk.router_correction", "model.layers.{layer}.mlp.gate.e_score_correction_bias", "blk.{layer}.exp_probs_b.bias"},
};
static constexpr TensorName latent[] = {
    {"blk.gate_shexp", "model.layers.{layer}.mlp.shared_experts.gate_proj.weight", "blk.{layer}.ffn_gate_shexp.weight"},
    {"blk.up_shexp", "model.layers.{layer}.mlp.shared_experts.up_proj.weight", "blk.{layer}.ffn_up_shexp.weight"},
    {"blk.down_shexp", "model.layers.{layer}.mlp.shared_experts.down_proj.weight", "blk.{layer}.ffn_down_shexp.weight"},
    {"blk.q_a", "model.layers.{layer}.self_attn.q_a_proj.weight", "blk.{layer}.attn_q_a.weight"},
    {"blk.q_a_bias", "model.layers.{layer}.self_attn.q_a_proj.bias", ""},
    {"blk.q_a_norm", "model.layers.{layer}.self_attn.q_a_layernorm.weight", "blk.{layer}.attn_q_a_norm.weight"},
    {"blk.q_b", "model.layers.{layer}.self_attn.q_b_proj.weight", "blk.{layer}.attn_q_b.weight"},
    {"blk.kv_a", "model.layers.{layer}.self_attn.kv_a_proj_with_mqa.weight", "blk.{layer}.attn_kv_a_mqa.weight"},
    {"blk.kv_a_bias", "model.layers.{layer}.self_attn.kv_a_proj_with_mqa.bias", ""},
    {"blk.kv_a_norm", "model.layers.{layer}.self_attn.kv_a_layernorm.weight", "blk.{layer}.attn_kv_a_norm.weight"},
    across("blk.k_b", "model.layers.{layer}.self_attn.kv_b_proj.weight", keysValues),
    {"blk.v_b", "model.layers.{layer}.self_attn.kv_b_proj.weight", "", false, keysValues},
    // GGUF has them apart, that of keys transposed.
    {"blk.k_b", "", "blk.{layer}.attn_k_b.weight"},
    {"blk.v_b", "", "blk.{layer}.attn_v_b.weight"},
};
static constexpr auto tensors2 = joined(expertTensors, latent);
static constexpr auto tensors3 = joined(correction, expertTensors, latent);
static constexpr Sublayer dense[] = {{"blk.attn_norm", &latentAttention}, {"blk.ffn_norm", &gatedMlp}};
static constexpr Sublayer routed[] = {{"blk.attn_norm", &latentAttention}, {"blk.ffn_norm", &routedMlp}};
static constexpr LayerSpec layers[] = {{"full_attention", dense}, {"full_attention", routed, /*windowed=*/false, /*experts=*/true}};
static constexpr Refusal refusals[] = {{"moe_layer_freq", 1}};

// Yarn's temperature, which DeepSeek puts into the scale of scores.
static double temperature(const Config &config) {
  const Json *rope = config.member("rope_scaling|rope_parameters");
  if (!rope || !rope->is_object())
    return 1;
  auto number = [&](std::string_view key) {
    const Json *value = jsonMember(*rope, key);
    return value ? jsonFloat(*value).value_or(0) : 0;
  };
  std::optional<std::string_view> type = jsonString(*rope, "rope_type");
  if (!type)
    type = jsonString(*rope, "type");
  double factor = number("factor"), share = number("mscale_all_dim");
  return !type || *type == "default" || share == 0 || !(factor > 1) ? 1 : 0.1 * share * std::log(factor) + 1;
}

static void completeLatent(Model &model, const Config &config) {
  Latent &mla = model.mla;
  mla.queryRank = config.integer({"q_lora_rank", 0});
  mla.rank = config.integer({"kv_lora_rank", 512});
  mla.still = config.integer({"qk_nope_head_dim", 128});
  mla.value = config.integer({"v_head_dim", 128});
  double mscale = temperature(config);
  model.attentionScale = mscale * mscale / std::sqrt(static_cast<double>(mla.still) + static_cast<double>(model.headDim));
}

static void complete2(Model &model, const Config &config) {
  completeLatent(model, config);
  if (config.text("topk_method").value_or("greedy") == "greedy")
    model.moe.groups = model.moe.topGroups = 1;
}

static void complete3(Model &model, const Config &config) {
  completeLatent(model, config);
  model.mla.interleaved = config.flag("rope_interleave", true);
}

constinit const Family llmc::frontends::deepseekV2 = {
    .name = "deepseek_v2",
    .modelTypes = types2,
    .tensors = llamaTensors,
    .ownTensors = tensors2,
    .layers = layers,
    .experts = {.count = {"n_routed_experts|num_experts|num_local_experts", 64}, .first = {"first_k_dense_replace", 0}},
    .expertShape = {.ffn = {"moe_intermediate_size", 1407},
                    .sharedCount = {"n_shared_experts", 2},
                    .scale = {"routed_scaling_factor", 1},
                    .groups = {"n_group", 1},
                    .topGroups = {"topk_group", 1}},
    .qkvBias = {BiasRule::ByKey, "attention_bias"},
    .outputBias = {BiasRule::ByKey, "attention_bias"},
    .mlpBias = {BiasRule::ByKey, "mlp_bias"},
    .headDim = {"qk_rope_head_dim", 64},
    .refusals = refusals,
    .ignoredTensors = rotaryBuffers,
    .complete = complete2,
};

constinit const Family llmc::frontends::deepseekV3 = {
    .name = "deepseek_v3",
    .modelTypes = types3,
    .architectures = architectures, // of both
    .tensors = llamaTensors,
    .ownTensors = tensors3,
    .layers = layers,
    .experts = {.count = {"n_routed_experts|num_experts|num_local_experts", 256}, .first = {"first_k_dense_replace", 3}},
    .expertShape = {.top = {"num_experts_per_tok", 8},
                    .ffn = {"moe_intermediate_size", 2048},
                    .sharedCount = {"n_shared_experts", 1},
                    .scores = llm::RouterScores::sigmoid,
                    .normalize = llm::RouterNormalize::sum,
                    .normalizeSwitch = "norm_topk_prob",
                    .normalizeByDefault = true,
                    .epsilon = 1e-20,
                    .scale = {"routed_scaling_factor", 2.5},
                    .groups = {"n_group", 8},
                    .topGroups = {"topk_group", 4},
                    .groupScore = llm::GroupScore::top2_sum},
    .qkvBias = {BiasRule::ByKey, "attention_bias"},
    .outputBias = {BiasRule::ByKey, "attention_bias"},
    .headDim = {"qk_rope_head_dim", 64},
    .refusals = refusals,
    .ignoredTensors = rotaryBuffers,
    .complete = complete3,
    .latentAttention = true,
};
