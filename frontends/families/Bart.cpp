// BART: an encoder-decoder with learned positions and norms behind the sums. Sources: arXiv:1910.13461; transformers' modeling_bart.py.
#include "frontends/HuggingFace.h"
#include "frontends/families/Common.h"
#include "frontends/families/Families.h"

#include <cmath>

using namespace llmc;
using namespace llmc::frontends;

static constexpr llvm::StringRef types[] = {"bart"};

// Of both stacks, whose names differ in one word.
#define BART_STACK(stack)                                                                                                                           \
  {"embed", "model.shared.weight", ""}, {"position_embed", "model." stack ".embed_positions.weight", ""},                                           \
      {"embed_norm", "model." stack ".layernorm_embedding.weight", ""}, {"embed_norm_bias", "model." stack ".layernorm_embedding.bias", ""},        \
      {"blk.q", "model." stack ".layers.{layer}.self_attn.q_proj.weight", ""}, {"blk.q_bias", "model." stack ".layers.{layer}.self_attn.q_proj.bias", ""}, \
      {"blk.k", "model." stack ".layers.{layer}.self_attn.k_proj.weight", ""}, {"blk.k_bias", "model." stack ".layers.{layer}.self_attn.k_proj.bias", ""}, \
      {"blk.v", "model." stack ".layers.{layer}.self_attn.v_proj.weight", ""}, {"blk.v_bias", "model." stack ".layers.{layer}.self_attn.v_proj.bias", ""}, \
      {"blk.o", "model." stack ".layers.{layer}.self_attn.out_proj.weight", ""}, {"blk.o_bias", "model." stack ".layers.{layer}.self_attn.out_proj.bias", ""}, \
      {"blk.attn_norm", "model." stack ".layers.{layer}.self_attn_layer_norm.weight", ""},                                                         \
      {"blk.attn_norm_bias", "model." stack ".layers.{layer}.self_attn_layer_norm.bias", ""}, {"blk.up", "model." stack ".layers.{layer}.fc1.weight", ""}, \
      {"blk.up_bias", "model." stack ".layers.{layer}.fc1.bias", ""}, {"blk.down", "model." stack ".layers.{layer}.fc2.weight", ""},              \
      {"blk.down_bias", "model." stack ".layers.{layer}.fc2.bias", ""}, {"blk.ffn_norm", "model." stack ".layers.{layer}.final_layer_norm.weight", ""}, \
      {"blk.ffn_norm_bias", "model." stack ".layers.{layer}.final_layer_norm.bias", ""}

static constexpr TensorName encoderTensors[] = {BART_STACK("encoder")};
static constexpr TensorName decoderTensors[] = {
    BART_STACK("decoder"),
    {"blk.cross_norm", "model.decoder.layers.{layer}.encoder_attn_layer_norm.weight", ""},
    {"blk.cross_norm_bias", "model.decoder.layers.{layer}.encoder_attn_layer_norm.bias", ""},
    {"blk.cross_q", "model.decoder.layers.{layer}.encoder_attn.q_proj.weight", ""},
    {"blk.cross_q_bias", "model.decoder.layers.{layer}.encoder_attn.q_proj.bias", ""},
    {"blk.cross_k", "model.decoder.layers.{layer}.encoder_attn.k_proj.weight", ""},
    {"blk.cross_k_bias", "model.decoder.layers.{layer}.encoder_attn.k_proj.bias", ""},
    {"blk.cross_v", "model.decoder.layers.{layer}.encoder_attn.v_proj.weight", ""},
    {"blk.cross_v_bias", "model.decoder.layers.{layer}.encoder_attn.v_proj.bias", ""},
    {"blk.cross_o", "model.decoder.layers.{layer}.encoder_attn.out_proj.weight", ""},
    {"blk.cross_o_bias", "model.decoder.layers.{layer}.encoder_attn.out_proj.bias", ""},
    {"head", "lm_head.weight", ""},
    {"head_bias", "final_logits_bias", ""},
};
#undef BART_STACK
static constexpr Sublayer decoderParts[] = {{"blk.attn_norm", &attention}, {"blk.cross_norm", &crossAttention}, {"blk.ffn_norm", &plainMlp}};
static constexpr LayerSpec decoderSpecs[] = {{"full_attention", decoderParts}};
// The tables are `shared`, stored once more.
static constexpr llvm::StringRef ignored[] = {"encoder.embed_tokens.weight", "decoder.embed_tokens.weight"};

static void complete(Model &model, const Config &config) {
  model.normAfter = true;
  if (config.flag("scale_embedding", false))
    model.embeddingScale = std::sqrt(static_cast<float>(model.hidden));
}

static constexpr Family stackOf(llvm::ArrayRef<TensorName> tensors, llvm::ArrayRef<LayerSpec> layers, Key layerCount, Key heads, Key ffn) {
  Family family{.name = "bart", .tensors = tensors, .layers = layers};
  family.norm = llm::NormKind::layer;
  family.learnedPositions = true;
  family.positionOffset = 2;
  family.tied = true;
  family.qkvBias = family.outputBias = family.mlpBias = family.headBias = {BiasRule::Always};
  family.activation = llm::Activation::gelu;
  family.hidden = {"d_model"};
  family.layerCount = layerCount;
  family.heads = heads;
  family.ffn = ffn;
  family.eps = {"", 1e-5};
  family.kvHeadsKey = "";
  family.headDim = {""};
  family.activationKey = "activation_function";
  family.ignoredTensors = ignored;
  family.complete = complete;
  return family;
}

static constexpr Family encoderFamily() {
  Family family = stackOf(encoderTensors, encoderLayers, {"encoder_layers"}, {"encoder_attention_heads"}, {"encoder_ffn_dim"});
  family.looksAhead = true;
  return family;
}
static constinit const Family encoder = encoderFamily();

static constexpr Family decoderFamily() {
  Family family = stackOf(decoderTensors, decoderSpecs, {"decoder_layers"}, {"decoder_attention_heads"}, {"decoder_ffn_dim"});
  family.modelTypes = types;
  family.encoder = &encoder;
  return family;
}
constinit const Family llmc::frontends::bart = decoderFamily();
