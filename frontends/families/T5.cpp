// T5 and Flan-T5: an encoder-decoder whose positions are biases by distance, shared by all layers of a stack. Queries are not scaled. Version 1.1 has
// gated feed-forward parts and a head of its own. Sources: arXiv:1910.10683, 2002.05202; transformers' modeling_t5.py.
#include "frontends/HuggingFace.h"
#include "frontends/families/Common.h"
#include "frontends/families/Families.h"

#include <cmath>

using namespace llmc;
using namespace llmc::frontends;

static constexpr llvm::StringRef types[] = {"t5"};

static constexpr TensorName encoderTensors[] = {
    {"embed", "shared.weight", ""},
    {"relative_bias", "encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight", ""},
    {"norm", "encoder.final_layer_norm.weight", ""},
    {"blk.attn_norm", "encoder.block.{layer}.layer.0.layer_norm.weight", ""},
    {"blk.q", "encoder.block.{layer}.layer.0.SelfAttention.q.weight", ""},
    {"blk.k", "encoder.block.{layer}.layer.0.SelfAttention.k.weight", ""},
    {"blk.v", "encoder.block.{layer}.layer.0.SelfAttention.v.weight", ""},
    {"blk.o", "encoder.block.{layer}.layer.0.SelfAttention.o.weight", ""},
    {"blk.ffn_norm", "encoder.block.{layer}.layer.1.layer_norm.weight", ""},
    {"blk.up", "encoder.block.{layer}.layer.1.DenseReluDense.wi.weight", ""},
    {"blk.gate", "encoder.block.{layer}.layer.1.DenseReluDense.wi_0.weight", ""},
    {"blk.up", "encoder.block.{layer}.layer.1.DenseReluDense.wi_1.weight", ""},
    {"blk.down", "encoder.block.{layer}.layer.1.DenseReluDense.wo.weight", ""},
};
static constexpr TensorName decoderTensors[] = {
    {"embed", "shared.weight", ""},
    {"relative_bias", "decoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight", ""},
    {"norm", "decoder.final_layer_norm.weight", ""},
    {"head", "lm_head.weight", ""},
    {"blk.attn_norm", "decoder.block.{layer}.layer.0.layer_norm.weight", ""},
    {"blk.q", "decoder.block.{layer}.layer.0.SelfAttention.q.weight", ""},
    {"blk.k", "decoder.block.{layer}.layer.0.SelfAttention.k.weight", ""},
    {"blk.v", "decoder.block.{layer}.layer.0.SelfAttention.v.weight", ""},
    {"blk.o", "decoder.block.{layer}.layer.0.SelfAttention.o.weight", ""},
    {"blk.cross_norm", "decoder.block.{layer}.layer.1.layer_norm.weight", ""},
    {"blk.cross_q", "decoder.block.{layer}.layer.1.EncDecAttention.q.weight", ""},
    {"blk.cross_k", "decoder.block.{layer}.layer.1.EncDecAttention.k.weight", ""},
    {"blk.cross_v", "decoder.block.{layer}.layer.1.EncDecAttention.v.weight", ""},
    {"blk.cross_o", "decoder.block.{layer}.layer.1.EncDecAttention.o.weight", ""},
    {"blk.ffn_norm", "decoder.block.{layer}.layer.2.layer_norm.weight", ""},
    {"blk.up", "decoder.block.{layer}.layer.2.DenseReluDense.wi.weight", ""},
    {"blk.gate", "decoder.block.{layer}.layer.2.DenseReluDense.wi_0.weight", ""},
    {"blk.up", "decoder.block.{layer}.layer.2.DenseReluDense.wi_1.weight", ""},
    {"blk.down", "decoder.block.{layer}.layer.2.DenseReluDense.wo.weight", ""},
};
static constexpr Sublayer encoderParts[] = {{"blk.attn_norm", &attention}, {"blk.ffn_norm", &plainMlp}};
static constexpr Sublayer decoderParts[] = {{"blk.attn_norm", &attention}, {"blk.cross_norm", &crossAttention}, {"blk.ffn_norm", &plainMlp}};
static constexpr Sublayer decoderGated[] = {{"blk.attn_norm", &attention}, {"blk.cross_norm", &crossAttention}, {"blk.ffn_norm", &gatedMlp}};
static constexpr LayerSpec encoderSpecs[] = {{"plain", encoderParts}, {"gated", preNormGated}};
static constexpr LayerSpec decoderSpecs[] = {{"plain", decoderParts}, {"gated", decoderGated}};
// The encoder's table and the decoder's are `shared`, stored once more; a bias that an old decoder had and did not use.
static constexpr llvm::StringRef ignored[] = {"encoder.embed_tokens.weight", "decoder.embed_tokens.weight",
                                              "decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight"};

static bool isGated(const Config &config) { return llvm::StringRef(config.text("feed_forward_proj").value_or("relu")).starts_with("gated-"); }

static llvm::StringRef typeOf(int64_t, llvm::StringRef, const Config &config) { return isGated(config) ? "gated" : "plain"; }

// "gated-gelu" means gelu_new; otherwise what follows "gated-" is the activation's name.
static void complete(Model &model, const Config &config) {
  std::string name = config.text("feed_forward_proj").value_or("relu");
  llvm::StringRef activation = name;
  activation.consume_front("gated-");
  if (activation == "relu")
    model.activation = llm::Activation::relu;
  else if (name == "gated-gelu" || activation == "gelu_new")
    model.activation = llm::Activation::gelu_tanh;
  else if (activation == "silu")
    model.activation = llm::Activation::silu;
  else
    config.unsupported("feed_forward_proj " + name);
  model.attentionScale = 1;
}

// Configurations of version 1.1 say that the head is not tied, or, written anew, that its input is not scaled.
static void completeDecoder(Model &model, const Config &config) {
  complete(model, config);
  model.tied = config.flag("scale_decoder_outputs", config.flag("tie_word_embeddings", true));
  model.logitScale = model.tied ? 1 / std::sqrt(static_cast<double>(model.hidden)) : 1;
}

static constexpr Family stackOf(llvm::ArrayRef<TensorName> tensors, llvm::ArrayRef<LayerSpec> layers, Key layerCount, void (*complete)(Model &, const Config &)) {
  Family family{.name = "t5", .tensors = tensors, .prefix = "", .layers = layers};
  family.relative = {{"relative_attention_num_buckets", 32}, {"relative_attention_max_distance", 128}};
  family.typeOf = typeOf;
  family.tied = true;
  family.hidden = {"d_model"};
  family.layerCount = layerCount;
  family.heads = {"num_heads"};
  family.ffn = {"d_ff"};
  family.context = {"", 2048}; // biases by distance have no end: what we compile for
  family.eps = {"layer_norm_epsilon", 1e-6};
  family.kvHeadsKey = "";
  family.headDim = {"d_kv", 64};
  family.activationKey = "";
  family.ignoredTensors = ignored;
  family.complete = complete;
  return family;
}

static constexpr Family encoderFamily() {
  Family family = stackOf(encoderTensors, encoderSpecs, {"num_layers"}, complete);
  family.relative.both = true;
  family.looksAhead = true;
  return family;
}
static constinit const Family encoder = encoderFamily();

static constexpr Family decoderFamily() {
  Family family = stackOf(decoderTensors, decoderSpecs, {"num_decoder_layers|num_layers"}, completeDecoder);
  family.modelTypes = types;
  family.encoder = &encoder;
  return family;
}
constinit const Family llmc::frontends::t5 = decoderFamily();
