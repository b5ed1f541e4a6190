// gpt-oss: experts with biases and clamped gated units in every layer, attention sinks, sliding and full layers in turns.
// Source: OpenAI's gpt-oss model card (arXiv:2508.10925); transformers' modeling_gpt_oss.py.
#include "frontends/HuggingFace.h"
#include "frontends/families/ExpertTensors.h"
#include "frontends/families/Families.h"

using namespace llmc::frontends;

static constexpr llvm::StringRef types[] = {"gpt_oss"};
static constexpr bool inOut = true; // stored [in, out]
static constexpr auto byRow = TensorName::Turns::Rows;

static constexpr TensorName tensors[] = {
    {"blk.sinks", "model.layers.{layer}.self_attn.sinks", ""},
    {"blk.router", "model.layers.{layer}.mlp.router.weight", ""},
    {"blk.router_bias", "model.layers.{layer}.mlp.router.bias", ""},
    {"blk.gate_exps", "model.layers.{layer}.mlp.experts.gate_up_proj", "", inOut, gateUpExperts, byRow},
    {"blk.up_exps", "model.layers.{layer}.mlp.experts.gate_up_proj", "", inOut, gateUpExperts, byRow},
    {"blk.down_exps", "model.layers.{layer}.mlp.experts.down_proj", "", inOut},
    {"blk.gate_exps_bias", "model.layers.{layer}.mlp.experts.gate_up_proj_bias", "", false, gateUpExperts, byRow},
    {"blk.up_exps_bias", "model.layers.{layer}.mlp.experts.gate_up_proj_bias", "", false, gateUpExperts, byRow},
    {"blk.down_exps_bias", "model.layers.{layer}.mlp.experts.down_proj_bias", ""},
};
static constexpr Sublayer sublayers[] = {{"blk.attn_norm", &attention}, {"blk.ffn_norm", &routedMlp}};
static constexpr LayerSpec layers[] = {{"full_attention", sublayers, /*windowed=*/false, /*experts=*/true},
                                       {"sliding_attention", sublayers, /*windowed=*/true, /*experts=*/true}};

static void complete(Model &model, const Config &config) {
  model.moe.limit = config.number({"swiglu_limit", 7});
  model.moe.alpha = config.number({"swiglu_alpha", 1.702});
  model.moe.offset = 1;
}

constinit const Family llmc::frontends::gptOss = {
    .name = "gpt_oss",
    .modelTypes = types,
    .tensors = llamaTensors,
    .ownTensors = tensors,
    .layers = layers,
    .layerRule = LayerRule::Pattern,
    .experts = {.count = {"num_local_experts|num_experts", 128}},
    .expertShape = {.top = {"num_experts_per_tok|experts_per_token", 4},
                    .ffn = {"intermediate_size", 2880},
                    .scores = llm::RouterScores::logits,
                    .normalize = llm::RouterNormalize::softmax,
                    .routerBias = true,
                    .biases = true},
    .ropeTheta = 150000,
    .qkvBias = {BiasRule::ByKey, "attention_bias", /*byDefault=*/true},
    .outputBias = {BiasRule::ByKey, "attention_bias", /*byDefault=*/true},
    .windowPattern = 2,
    .ffn = {"intermediate_size", 2880},
    .eps = {"rms_norm_eps", 1e-5},
    .headDim = {"head_dim", 64},
    .complete = complete,
};
