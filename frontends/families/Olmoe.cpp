// OLMoE: experts in every layer, norms over all of q and all of k, and clamped q, k and v.
// Sources: arXiv:2409.02060; transformers' modeling_olmoe.py; for GGUF llama.cpp's olmoe.
#include "frontends/families/ExpertTensors.h"
#include "frontends/families/Families.h"

using namespace llmc::frontends;

static constexpr llvm::StringRef types[] = {"olmoe"};

static constexpr auto tensors = joined(expertTensors, headNormTensors);
static constexpr Sublayer sublayers[] = {{"blk.attn_norm", &attention}, {"blk.ffn_norm", &routedMlp}};
static constexpr LayerSpec layers[] = {{"full_attention", sublayers, /*windowed=*/false, /*experts=*/true}};

constinit const Family llmc::frontends::olmoe = {
    .name = "olmoe",
    .modelTypes = types,
    .architectures = types,
    .tensors = llamaTensors,
    .ownTensors = tensors,
    .layers = layers,
    .experts = {.count = {"num_experts|num_local_experts", 64}},
    .expertShape = {.top = {"num_experts_per_tok", 8},
                    .ffn = {"intermediate_size"},
                    .normalize = llm::RouterNormalize::sum,
                    .normalizeSwitch = "norm_topk_prob"},
    .wideHeadNorms = true,
    .qkvBias = {BiasRule::ByKey, "attention_bias"},
    .outputBias = {BiasRule::ByKey, "attention_bias"},
    .eps = {"rms_norm_eps", 1e-5},
    .qkvClamp = {"clip_qkv", 0},
};
