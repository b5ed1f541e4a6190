// StableLM: Llama with layer norms and rope over a quarter of each head; parts perhaps beside each other behind one norm.
// Sources: arXiv:2402.17834; transformers' modeling_stablelm.py; for GGUF llama.cpp's stablelm.
#include "frontends/families/Common.h"
#include "frontends/families/Families.h"

using namespace llmc::frontends;

static constexpr llvm::StringRef types[] = {"stablelm"};
static constexpr Refusal refusals[] = {{"qk_layernorm"}};

constinit const Family llmc::frontends::stableLM = {
    .name = "stablelm",
    .modelTypes = types,
    .architectures = types,
    .tensors = llamaTensors,
    .ownTensors = normBiasTensors,
    .layers = preNormLayers,
    .norm = llm::NormKind::layer,
    .partialRotary = 0.25,
    .parallel = {BiasRule::ByKey, "use_parallel_residual"},
    .sharedNorm = true,
    .qkvBias = {BiasRule::ByKey, "use_qkv_bias"},
    .eps = {"layer_norm_eps", 1e-5},
    .headDim = {""},
    .refusals = refusals,
    .ignoredTensors = rotaryBuffers,
};
