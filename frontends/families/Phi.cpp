// Phi 1 and 2: attention and feed-forward part beside each other behind one norm, biases everywhere, rope over half of each head.
// Phi 3: Llama with one tensor for q, k and v and one for gate and up, and rope with two sets of factors for long contexts.
// Sources: arXiv:2309.05463, 2404.14219; transformers' modeling_phi.py and modeling_phi3.py; for GGUF llama.cpp's phi2 and phi3.
#include "frontends/families/Common.h"
#include "frontends/families/Families.h"

using namespace llmc::frontends;

static constexpr llvm::StringRef types[] = {"phi"}, architectures[] = {"phi2"}, types3[] = {"phi3"};

static constexpr TensorName own[] = {
    {"norm", "model.final_layernorm.weight", "output_norm.weight"},
    {"norm_bias", "model.final_layernorm.bias", "output_norm.bias"},
    {"head_bias", "lm_head.bias", "output.bias"},
    {"blk.o", "model.layers.{layer}.self_attn.dense.weight", "blk.{layer}.attn_output.weight"},
    {"blk.o_bias", "model.layers.{layer}.self_attn.dense.bias", "blk.{layer}.attn_output.bias"},
    {"blk.up", "model.layers.{layer}.mlp.fc1.weight", "blk.{layer}.ffn_up.weight"},
    {"blk.up_bias", "model.layers.{layer}.mlp.fc1.bias", "blk.{layer}.ffn_up.bias"},
    {"blk.down", "model.layers.{layer}.mlp.fc2.weight", "blk.{layer}.ffn_down.weight"},
    {"blk.down_bias", "model.layers.{layer}.mlp.fc2.bias", "blk.{layer}.ffn_down.bias"},
    {"blk.attn_norm_bias", "model.layers.{layer}.input_layernorm.bias", "blk.{layer}.attn_norm.bias"},
};
static constexpr Refusal refusals[] = {{"qk_layernorm"}};

static constexpr TensorName qkv(llvm::StringRef role) {
  return {role, "model.layers.{layer}.self_attn.qkv_proj.weight", "blk.{layer}.attn_qkv.weight", false, qkvRoles};
}
static constexpr TensorName gateUp(llvm::StringRef role) {
  return {role, "model.layers.{layer}.mlp.gate_up_proj.weight", "blk.{layer}.ffn_up.weight", false, gateUpRoles};
}
static constexpr TensorName own3[] = {qkv("blk.q"), qkv("blk.k"), qkv("blk.v"), gateUp("blk.gate"), gateUp("blk.up")};

// GgufModel.cpp puts the factors into the graph.
static constexpr llvm::StringRef buffers3[] = {".rotary_emb.inv_freq", ggufLongFactors, ggufShortFactors};

constinit const Family llmc::frontends::phi = {
    .name = "phi",
    .modelTypes = types,
    .architectures = architectures,
    .tensors = llamaTensors,
    .ownTensors = own,
    .layers = plainLayers,
    .norm = llm::NormKind::layer,
    .partialRotary = 0.5,
    .parallel = {BiasRule::Always},
    .sharedNorm = true,
    .qkvBias = {BiasRule::Always},
    .outputBias = {BiasRule::Always},
    .mlpBias = {BiasRule::Always},
    .headBias = {BiasRule::Always},
    .activation = llm::Activation::gelu_tanh,
    .eps = {"layer_norm_eps", 1e-5},
    .headDim = {""},
    .refusals = refusals,
    .ignoredTensors = rotaryBuffers,
};

constinit const Family llmc::frontends::phi3 = {
    .name = "phi3",
    .modelTypes = types3,
    .architectures = types3,
    .tensors = llamaTensors,
    .ownTensors = own3,
    .layers = preNormLayers,
    .layerRule = LayerRule::Windowed,
    .eps = {"rms_norm_eps", 1e-5},
    .ignoredTensors = buffers3,
};
