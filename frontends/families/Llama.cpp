// Llama 1 to 3 and what shares its graph: Mistral (sliding window), Qwen 2 (biases on q, k, v).
// Sources: arXiv:2302.13971, 2307.09288, 2407.21783, 2310.06825, 2407.10671; transformers' modeling_llama.py and kin.
#include "frontends/families/Common.h"
#include "frontends/families/Families.h"

using namespace llmc::frontends;

static constexpr llvm::StringRef llamaTypes[] = {"llama"}, mistralTypes[] = {"mistral"}, qwen2Types[] = {"qwen2"};

constinit const Family llmc::frontends::llama = {
    .name = "llama",
    .modelTypes = llamaTypes,
    .architectures = llamaTypes,
    .tensors = llamaTensors,
    .layers = preNormLayers,
    .ggufRotary = llm::RotaryStyle::interleaved,
    .qkvBias = {BiasRule::ByKey, "attention_bias"},
    .outputBias = {BiasRule::ByKey, "attention_bias"},
    .mlpBias = {BiasRule::ByKey, "mlp_bias"},
    .ignoredTensors = rotaryBuffers,
};

constinit const Family llmc::frontends::mistral = {
    .name = "mistral",
    .modelTypes = mistralTypes,
    .tensors = llamaTensors, // in GGUF a Mistral is a llama
    .layers = preNormLayers,
    .layerRule = LayerRule::Windowed,
    .ignoredTensors = rotaryBuffers,
};

constinit const Family llmc::frontends::qwen2 = {
    .name = "qwen2",
    .modelTypes = qwen2Types,
    .architectures = qwen2Types,
    .tensors = llamaTensors,
    .layers = preNormLayers,
    .layerRule = LayerRule::MaxWindow,
    .qkvBias = {BiasRule::Always},
    .ignoredTensors = rotaryBuffers,
};
