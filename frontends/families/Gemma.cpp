// Gemma 1: Llama with gains that hold gain - 1, a scaled embedding and gelu. Gemma 2: norms before and after each part, every other
// layer looks back a window, scores and logits are capped.
// Sources: arXiv:2403.08295, 2408.00118; transformers' modeling_gemma.py and modeling_gemma2.py; for GGUF llama.cpp's gemma and gemma2.
#include "frontends/HuggingFace.h"
#include "frontends/families/Common.h"
#include "frontends/families/Families.h"

using namespace llmc::frontends;
namespace llm = llmc::llm;

static constexpr llvm::StringRef types[] = {"gemma"}, types2[] = {"gemma2"};

static constexpr TensorName norms2[] = {
    {"blk.attn_post_norm", "model.layers.{layer}.post_attention_layernorm.weight", "blk.{layer}.post_attention_norm.weight"},
    {"blk.ffn_norm", "model.layers.{layer}.pre_feedforward_layernorm.weight", "blk.{layer}.ffn_norm.weight"},
    {"blk.ffn_post_norm", "model.layers.{layer}.post_feedforward_layernorm.weight", "blk.{layer}.post_ffw_norm.weight"},
};
static constexpr Sublayer sublayers2[] = {{"blk.attn_norm", &attention, "blk.attn_post_norm"},
                                          {"blk.ffn_norm", &gatedMlp, "blk.ffn_post_norm"}};
static constexpr LayerSpec layers2[] = {{"full_attention", sublayers2}, {"sliding_attention", sublayers2, /*windowed=*/true}};

// Published files of Gemma 1 say gelu and mean its approximation, as transformers knows.
static void complete(Model &model, const Config &) {
  if (model.activation == llm::Activation::gelu)
    model.activation = llm::Activation::gelu_tanh;
}

// The 27B model alone scales by hidden / heads; nothing in the file but its depth tells it.
static double scaleBase2(const Model &model) {
  constexpr int64_t layersOf27B = 46;
  return static_cast<double>(model.layers == layersOf27B ? model.hidden / model.heads : model.headDim);
}

constinit const Family llmc::frontends::gemma = {
    .name = "gemma",
    .modelTypes = types,
    .architectures = types,
    .tensors = llamaTensors,
    .layers = preNormLayers,
    .normOffset = 1,
    .embeddingScaled = true,
    .tied = true,
    .qkvBias = {BiasRule::ByKey, "attention_bias"},
    .outputBias = {BiasRule::ByKey, "attention_bias"},
    .activation = llm::Activation::gelu_tanh,
    .headDim = {"head_dim", 256},
    .ignoredTensors = rotaryBuffers,
    .complete = complete,
};

constinit const Family llmc::frontends::gemma2 = {
    .name = "gemma2",
    .modelTypes = types2,
    .architectures = types2,
    .tensors = llamaTensors,
    .ownTensors = norms2,
    .layers = layers2,
    .layerRule = LayerRule::Pattern,
    .normOffset = 1,
    .embeddingScaled = true,
    .tied = true,
    .qkvBias = {BiasRule::ByKey, "attention_bias"},
    .outputBias = {BiasRule::ByKey, "attention_bias"},
    .activation = llm::Activation::gelu_tanh,
    .windowPattern = 2,
    .window = {"sliding_window", 4096},
    .logitSoftcap = {"final_logit_softcapping", 30},
    .attentionSoftcap = {"attn_logit_softcapping", 50},
    .headDim = {"head_dim", 256},
    .activationKey = "hidden_activation",
    .scaleBase = {"query_pre_attn_scalar", 256},
    .ggufScaleBase = scaleBase2,
};
