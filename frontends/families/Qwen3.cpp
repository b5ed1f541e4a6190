// Qwen 3, dense: norms of each head's q and k before rope. Sources: arXiv:2505.09388; transformers' modeling_qwen3.py.
#include "frontends/families/Common.h"
#include "frontends/families/Families.h"

using namespace llmc::frontends;

static constexpr llvm::StringRef types[] = {"qwen3"};

constinit const Family llmc::frontends::qwen3 = {
    .name = "qwen3",
    .modelTypes = types,
    .architectures = types,
    .tensors = llamaTensors,
    .ownTensors = headNormTensors,
    .layers = preNormLayers,
    .layerRule = LayerRule::MaxWindow,
    .qkvBias = {BiasRule::ByKey, "attention_bias"},
    .outputBias = {BiasRule::ByKey, "attention_bias"},
    .headDim = {"head_dim", 128},
};
