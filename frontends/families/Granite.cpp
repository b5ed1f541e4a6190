// Granite 3: Llama with factors on embedding, residual stream, attention scores and logits.
// Sources: IBM's Granite 3; transformers' modeling_granite.py; for GGUF llama.cpp's granite.
#include "frontends/families/Common.h"
#include "frontends/families/Families.h"

using namespace llmc::frontends;

static constexpr llvm::StringRef types[] = {"granite"};

constinit const Family llmc::frontends::granite = {
    .name = "granite",
    .modelTypes = types,
    .architectures = types,
    .tensors = llamaTensors,
    .layers = preNormLayers,
    .ggufRotary = llm::RotaryStyle::interleaved,
    .qkvBias = {BiasRule::ByKey, "attention_bias"},
    .outputBias = {BiasRule::ByKey, "attention_bias"},
    .mlpBias = {BiasRule::ByKey, "mlp_bias"},
    .embeddingScale = {"embedding_multiplier", 1},
    .residualScale = {"residual_multiplier", 1},
    .logitDivisor = {"logits_scaling", 1},
    .scaleKey = "attention_multiplier",
    .ignoredTensors = rotaryBuffers,
};
