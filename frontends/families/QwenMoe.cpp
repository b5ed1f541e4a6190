// Qwen 2 and 3 with experts. Qwen 2 adds an expert that all tokens share, weighted by a gate of its own; in both some layers
// may be dense. Sources: arXiv:2407.10671, 2505.09388; transformers' modeling_qwen2_moe.py and modeling_qwen3_moe.py.
#include "frontends/families/ExpertTensors.h"
#include "frontends/families/Families.h"

using namespace llmc::frontends;

static constexpr llvm::StringRef types2[] = {"qwen2_moe"}, architectures2[] = {"qwen2moe"};
static constexpr llvm::StringRef types3[] = {"qwen3_moe"}, architectures3[] = {"qwen3moe"};

static constexpr auto tensors2 = joined(expertTensors, sharedExpertTensors);
static constexpr auto tensors3 = joined(expertTensors, headNormTensors);
static constexpr Sublayer routed[] = {{"blk.attn_norm", &attention}, {"blk.ffn_norm", &routedMlp}};
static constexpr LayerSpec layers[] = {{"full_attention", preNormGated},
                                       {"full_attention", routed, /*windowed=*/false, /*experts=*/true}};
// Which layers would slide differs between versions of transformers; no published model does.
static constexpr Refusal refusals[] = {{"use_sliding_window"}};

static constexpr ExpertRule rule(double count) {
  return {.count = {"num_experts|num_local_experts", count},
          .period = {"decoder_sparse_step", 1},
          .offset = {"", -1},
          .dense = "mlp_only_layers"};
}

constinit const Family llmc::frontends::qwen2Moe = {
    .name = "qwen2_moe",
    .modelTypes = types2,
    .architectures = architectures2,
    .tensors = llamaTensors,
    .ownTensors = tensors2,
    .layers = layers,
    .experts = rule(60),
    .expertShape = {.top = {"num_experts_per_tok", 4},
                    .ffn = {"moe_intermediate_size", 1408},
                    .sharedFfn = {"shared_expert_intermediate_size", 5632},
                    .normalize = llm::RouterNormalize::sum,
                    .normalizeSwitch = "norm_topk_prob"},
    .qkvBias = {BiasRule::ByKey, "qkv_bias", /*byDefault=*/true},
    .refusals = refusals,
    .ignoredTensors = rotaryBuffers,
};

constinit const Family llmc::frontends::qwen3Moe = {
    .name = "qwen3_moe",
    .modelTypes = types3,
    .architectures = architectures3,
    .tensors = llamaTensors,
    .ownTensors = tensors3,
    .layers = layers,
    .experts = rule(128),
    .expertShape = {.top = {"num_experts_per_tok", 8},
                    .ffn = {"moe_intermediate_size", 768},
                    .normalize = llm::RouterNormalize::sum,
                    .ggufNormalize = llm::RouterNormalize::sum,
                    .normalizeSwitch = "norm_topk_prob"},
    .qkvBias = {BiasRule::ByKey, "attention_bias"},
    .outputBias = {BiasRule::ByKey, "attention_bias"},
    .refusals = refusals,
};
