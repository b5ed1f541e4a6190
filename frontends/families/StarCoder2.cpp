// StarCoder 2: layer norms, plain feed-forward part, biases everywhere, a window in all layers.
// Sources: arXiv:2402.19173; transformers' modeling_starcoder2.py; for GGUF llama.cpp's starcoder2.
#include "frontends/families/Common.h"
#include "frontends/families/Families.h"

using namespace llmc::frontends;

static constexpr llvm::StringRef types[] = {"starcoder2"};

static constexpr TensorName mlp[] = {
    {"blk.up", "model.layers.{layer}.mlp.c_fc.weight", "blk.{layer}.ffn_up.weight"},
    {"blk.up_bias", "model.layers.{layer}.mlp.c_fc.bias", "blk.{layer}.ffn_up.bias"},
    {"blk.down", "model.layers.{layer}.mlp.c_proj.weight", "blk.{layer}.ffn_down.weight"},
    {"blk.down_bias", "model.layers.{layer}.mlp.c_proj.bias", "blk.{layer}.ffn_down.bias"},
};
static constexpr auto own = joined(mlp, normBiasTensors);

constinit const Family llmc::frontends::starCoder2 = {
    .name = "starcoder2",
    .modelTypes = types,
    .architectures = types,
    .tensors = llamaTensors,
    .ownTensors = own,
    .layers = plainLayers,
    .layerRule = LayerRule::Windowed,
    .norm = llm::NormKind::layer,
    .tied = true,
    .qkvBias = {BiasRule::ByKey, "use_bias", true},
    .outputBias = {BiasRule::ByKey, "use_bias", true},
    .mlpBias = {BiasRule::ByKey, "use_bias", true},
    .activation = llm::Activation::gelu_tanh,
    .eps = {"norm_epsilon", 1e-5},
    .ignoredTensors = rotaryBuffers,
};
