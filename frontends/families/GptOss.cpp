// gpt-oss: experts with biases and clamped gated units in every layer, attention sinks, sliding and full layers in turns.
// Sources: OpenAI's gpt-oss model card (arXiv:2508.10925); transformers' modeling_gpt_oss.py; for GGUF llama.cpp's openai-moe, but
// that yarn's ramp begins and ends between channels, as OpenAI has it.
#include "frontends/HuggingFace.h"
#include "frontends/families/ExpertTensors.h"
#include "frontends/families/Families.h"

using namespace llmc::frontends;

static constexpr llvm::StringRef types[] = {"gpt_oss"}, architectures[] = {"gpt-oss"};
static constexpr bool inOut = true; // stored [in, out]
static constexpr auto byRow = TensorName::Turns::Rows;

static constexpr TensorName tensors[] = {
    {"blk.sinks", "model.layers.{layer}.self_attn.sinks", "blk.{layer}.attn_sinks.weight"},
    {"blk.ffn_norm", "model.layers.{layer}.post_attention_layernorm.weight", "blk.{layer}.post_attention_norm.weight"},
    {"blk.router", "model.layers.{layer}.mlp.router.weight", "blk.{layer}.ffn_gate_inp.weight"},
    {"blk.router_bias", "model.layers.{layer}.mlp.router.bias", "blk.{layer}.ffn_gate_inp.bias"},
    {"blk.gate_exps", "model.layers.{layer}.mlp.experts.gate_up_proj", "", inOut, gateUpExperts, byRow},
    {"blk.up_exps", "model.layers.{layer}.mlp.experts.gate_up_proj", "", inOut, gateUpExperts, byRow},
    {"blk.down_exps", "model.layers.{layer}.mlp.experts.down_proj", "", inOut},
    {"blk.gate_exps_bias", "model.layers.{layer}.mlp.experts.gate_up_proj_bias", "", false, gateUpExperts, byRow},
    {"blk.up_exps_bias", "model.layers.{layer}.mlp.experts.gate_up_proj_bias", "", false, gateUpExperts, byRow},
    {"blk.down_exps_bias", "model.layers.{layer}.mlp.experts.down_proj_bias", ""},
    {"blk.gate_exps", "", "blk.{layer}.ffn_gate_exps.weight"},
    {"blk.up_exps", "", "blk.{layer}.ffn_up_exps.weight"},
    {"blk.down_exps", "", "blk.{layer}.ffn_down_exps.weight"},
    {"blk.gate_exps_bias", "", "blk.{layer}.ffn_gate_exps.bias"},
    {"blk.up_exps_bias", "", "blk.{layer}.ffn_up_exps.bias"},
    {"blk.down_exps_bias", "", "blk.{layer}.ffn_down_exps.bias"},
};
static constexpr Sublayer sublayers[] = {{"blk.attn_norm", &attention}, {"blk.ffn_norm", &routedMlp}};
static constexpr LayerSpec layers[] = {{"full_attention", sublayers, /*windowed=*/false, /*experts=*/true},
                                       {"sliding_attention", sublayers, /*windowed=*/true, /*experts=*/true}};

static constexpr ExpertShape::ClampedUnit ggufUnit = {.limit = 7, .alpha = 1.702, .offset = 1};

static void complete(Model &model, const Config &config) {
  model.moe.limit = config.number({"swiglu_limit", ggufUnit.limit});
  model.moe.alpha = config.number({"swiglu_alpha", ggufUnit.alpha});
  model.moe.offset = ggufUnit.offset;
}

constinit const Family llmc::frontends::gptOss = {
    .name = "gpt_oss",
    .modelTypes = types,
    .architectures = architectures,
    .tensors = llamaTensors,
    .ownTensors = tensors,
    .layers = layers,
    .layerRule = LayerRule::Pattern,
    .experts = {.count = {"num_local_experts|num_experts", 128}},
    .expertShape = {.top = {"num_experts_per_tok|experts_per_token", 4},
                    .ffn = {"intermediate_size", 2880},
                    .scores = llm::RouterScores::logits,
                    .ggufScores = llm::RouterScores::logits,
                    .normalize = llm::RouterNormalize::softmax,
                    .ggufNormalize = llm::RouterNormalize::softmax,
                    .routerBias = true,
                    .biases = true,
                    .ggufUnit = ggufUnit},
    .ggufYarnTruncates = false,
    .ropeTheta = 150000,
    .qkvBias = {BiasRule::ByKey, "attention_bias", /*byDefault=*/true},
    .outputBias = {BiasRule::ByKey, "attention_bias", /*byDefault=*/true},
    .windowPattern = 2,
    .ffn = {"intermediate_size", 2880},
    .eps = {"rms_norm_eps", 1e-5},
    .headDim = {"head_dim", 64},
    .complete = complete,
};
