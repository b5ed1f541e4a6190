// Gemma 3, text: norms before and after each part, five sliding layers to one full, two rope bases, scaled embedding.
// Sources: arXiv:2503.19786; transformers' modeling_gemma3.py; for GGUF llama.cpp's gemma3.
#include "frontends/families/Common.h"
#include "frontends/families/Families.h"

using namespace llmc::frontends;

static constexpr llvm::StringRef modelTypes[] = {"gemma3_text"}, architectures[] = {"gemma3"};

static constexpr TensorName norms[] = {
    {"blk.attn_post_norm", "model.layers.{layer}.post_attention_layernorm.weight",
     "blk.{layer}.post_attention_norm.weight"},
    {"blk.ffn_norm", "model.layers.{layer}.pre_feedforward_layernorm.weight", "blk.{layer}.ffn_norm.weight"},
    {"blk.ffn_post_norm", "model.layers.{layer}.post_feedforward_layernorm.weight", "blk.{layer}.post_ffw_norm.weight"},
};
static constexpr auto tensors = joined(headNormTensors, norms);
static constexpr Sublayer sublayers[] = {{"blk.attn_norm", &attention, "blk.attn_post_norm"},
                                         {"blk.ffn_norm", &gatedMlp, "blk.ffn_post_norm"}};
static constexpr LayerSpec layers[] = {{"full_attention", sublayers},
                                       {"sliding_attention", sublayers, /*windowed=*/true}};
static constexpr Refusal refusals[] = {{"attn_logit_softcapping"}};

// The 27B model alone scales by hidden / heads; nothing in the file but its depth tells it.
static double scaleBase(const Model &model) {
  constexpr int64_t layersOf27B = 62;
  return static_cast<double>(model.layers == layersOf27B ? model.hidden / model.heads : model.headDim);
}

constinit const Family llmc::frontends::gemma3 = {
    .name = "gemma3",
    .modelTypes = modelTypes,
    .architectures = architectures,
    .tensors = llamaTensors,
    .ownTensors = tensors,
    .layers = layers,
    .layerRule = LayerRule::Pattern,
    .normOffset = 1,
    .ropeTheta = 1e6,
    .localThetaKey = "rope_local_base_freq",
    .embeddingScaled = true,
    .tied = true,
    .qkvBias = {BiasRule::ByKey, "attention_bias"},
    .outputBias = {BiasRule::ByKey, "attention_bias"},
    .activation = llm::Activation::gelu_tanh,
    .vocab = {"vocab_size", 262208},
    .context = {"max_position_embeddings", 131072},
    .headDim = {"head_dim", 256},
    .activationKey = "hidden_activation",
    .scaleBase = {"query_pre_attn_scalar", 256},
    .refusals = refusals,
    .ggufScaleBase = scaleBase,
};
