// Command R: attention and feed-forward part beside each other behind one norm without bias, pairs of neighbouring channels turn.
// Sources: Cohere's Command R; transformers' modeling_cohere.py; for GGUF llama.cpp's command-r.
#include "frontends/families/Common.h"
#include "frontends/families/Families.h"

using namespace llmc::frontends;

static constexpr llvm::StringRef types[] = {"cohere"}, architectures[] = {"command-r"};
static constexpr Refusal refusals[] = {{"use_qk_norm"}};

constinit const Family llmc::frontends::cohere = {
    .name = "cohere",
    .modelTypes = types,
    .architectures = architectures,
    .tensors = llamaTensors,
    .layers = preNormLayers,
    .norm = llm::NormKind::layer,
    .rotary = llm::RotaryStyle::interleaved,
    .ggufRotary = llm::RotaryStyle::interleaved,
    .parallel = {BiasRule::Always},
    .sharedNorm = true,
    .tied = true,
    .qkvBias = {BiasRule::ByKey, "attention_bias"},
    .outputBias = {BiasRule::ByKey, "attention_bias"},
    .eps = {"layer_norm_eps", 1e-5},
    .logitFactor = {"logit_scale", 0.0625},
    .refusals = refusals,
    .ignoredTensors = rotaryBuffers,
};
