// SmolLM 3: Llama whose every fourth layer has no positions.
// Sources: Hugging Face 2025; transformers' modeling_smollm3.py; for GGUF llama.cpp's smollm3.
#include "frontends/HuggingFace.h"
#include "frontends/families/Common.h"
#include "frontends/families/Families.h"

using namespace llmc::frontends;
namespace llm = llmc::llm;

static constexpr llvm::StringRef types[] = {"smollm3"};

static void complete(Model &, const Config &config) {
  if (config.flag("use_sliding_window", false) && !config.has("layer_types"))
    config.unsupported("use_sliding_window true without layer_types");
}

constinit const Family llmc::frontends::smolLM3 = {
    .name = "smollm3",
    .modelTypes = types,
    .architectures = types,
    .tensors = llamaTensors,
    .layers = preNormLayers,
    .layerRule = LayerRule::Chosen,
    .layerChoice = {.other = "full_attention"},
    .ggufRotary = llm::RotaryStyle::interleaved,
    .ropeTheta = 2e6,
    .ropeFlags = "no_rope_layers",
    .ropeInterval = {"no_rope_layer_interval", 4},
    .tied = true,
    .qkvBias = {BiasRule::ByKey, "attention_bias"},
    .outputBias = {BiasRule::ByKey, "attention_bias"},
    .mlpBias = {BiasRule::ByKey, "mlp_bias"},
    .complete = complete,
};
