// Mixtral: Mistral with eight experts in each layer, the two best of which share a token. In GGUF it is a llama.
// Sources: arXiv:2401.04088; transformers' modeling_mixtral.py; for GGUF llama.cpp's llama.
#include "frontends/families/ExpertTensors.h"
#include "frontends/families/Families.h"

using namespace llmc::frontends;

static constexpr llvm::StringRef types[] = {"mixtral"}, architectures[] = {"llama"};

static constexpr TensorName tensors[] = {
    {"blk.router", "model.layers.{layer}.block_sparse_moe.gate.weight", "blk.{layer}.ffn_gate_inp.weight"},
    {"blk.router", "model.layers.{layer}.mlp.gate.weight", ""},
    {"blk.gate_exps", "model.layers.{layer}.block_sparse_moe.experts.{expert}.w1.weight", "blk.{layer}.ffn_gate_exps.weight"},
    {"blk.up_exps", "model.layers.{layer}.block_sparse_moe.experts.{expert}.w3.weight", "blk.{layer}.ffn_up_exps.weight"},
    {"blk.down_exps", "model.layers.{layer}.block_sparse_moe.experts.{expert}.w2.weight", "blk.{layer}.ffn_down_exps.weight"},
    // Before GGUF stacked them.
    {"blk.gate_exps", "", "blk.{layer}.ffn_gate.{expert}.weight"},
    {"blk.up_exps", "", "blk.{layer}.ffn_up.{expert}.weight"},
    {"blk.down_exps", "", "blk.{layer}.ffn_down.{expert}.weight"},
    {"blk.gate_exps", "model.layers.{layer}.mlp.experts.gate_up_proj", "", false, gateUpExperts},
    {"blk.up_exps", "model.layers.{layer}.mlp.experts.gate_up_proj", "", false, gateUpExperts},
    {"blk.down_exps", "model.layers.{layer}.mlp.experts.down_proj", ""},
};
static constexpr Sublayer sublayers[] = {{"blk.attn_norm", &attention}, {"blk.ffn_norm", &routedMlp}};
static constexpr LayerSpec layers[] = {{"full_attention", sublayers, /*windowed=*/false, /*experts=*/true},
                                       {"sliding_attention", sublayers, /*windowed=*/true, /*experts=*/true}};

constinit const Family llmc::frontends::mixtral = {
    .name = "mixtral",
    .modelTypes = types,
    .architectures = architectures,
    .tensors = llamaTensors,
    .ownTensors = tensors,
    .layers = layers,
    .layerRule = LayerRule::Windowed,
    .experts = {.count = {"num_local_experts|num_experts", 8}},
    .expertShape = {.top = {"num_experts_per_tok", 2},
                    .ffn = {"intermediate_size"},
                    .normalize = llm::RouterNormalize::sum,
                    .ggufNormalize = llm::RouterNormalize::sum},
    .ggufRotary = llm::RotaryStyle::interleaved,
    .ropeTheta = 1e6,
    .eps = {"rms_norm_eps", 1e-5},
    .ignoredTensors = rotaryBuffers,
};
