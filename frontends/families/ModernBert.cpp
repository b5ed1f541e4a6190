// ModernBERT: rotary positions, gated feed-forward parts, norms without biases before each part; most layers see a window around each token.
// The first layer takes the embeddings' norm for its own. Sources: arXiv:2412.13663; transformers' modeling_modernbert.py.
#include "frontends/HuggingFace.h"
#include "frontends/families/Common.h"
#include "frontends/families/Families.h"

using namespace llmc;
using namespace llmc::frontends;

static constexpr llvm::StringRef types[] = {"modernbert"};

static constexpr TensorName tensors[] = {
    {"embed", "model.embeddings.tok_embeddings.weight", ""},
    {"embed_norm", "model.embeddings.norm.weight", ""},
    {"norm", "model.final_norm.weight", ""},
    {"blk.attn_norm", "model.layers.{layer}.attn_norm.weight", ""},
    {"blk.q", "model.layers.{layer}.attn.Wqkv.weight", "", false, qkvRoles},
    {"blk.k", "model.layers.{layer}.attn.Wqkv.weight", "", false, qkvRoles},
    {"blk.v", "model.layers.{layer}.attn.Wqkv.weight", "", false, qkvRoles},
    {"blk.q_bias", "model.layers.{layer}.attn.Wqkv.bias", "", false, qkvRoles},
    {"blk.k_bias", "model.layers.{layer}.attn.Wqkv.bias", "", false, qkvRoles},
    {"blk.v_bias", "model.layers.{layer}.attn.Wqkv.bias", "", false, qkvRoles},
    {"blk.o", "model.layers.{layer}.attn.Wo.weight", ""},
    {"blk.o_bias", "model.layers.{layer}.attn.Wo.bias", ""},
    {"blk.ffn_norm", "model.layers.{layer}.mlp_norm.weight", ""},
    {"blk.gate", "model.layers.{layer}.mlp.Wi.weight", "", false, gateUpRoles},
    {"blk.up", "model.layers.{layer}.mlp.Wi.weight", "", false, gateUpRoles},
    {"blk.gate_bias", "model.layers.{layer}.mlp.Wi.bias", "", false, gateUpRoles},
    {"blk.up_bias", "model.layers.{layer}.mlp.Wi.bias", "", false, gateUpRoles},
    {"blk.down", "model.layers.{layer}.mlp.Wo.weight", ""},
    {"blk.down_bias", "model.layers.{layer}.mlp.Wo.bias", ""},
    {"head_dense", "head.dense.weight", ""},
    {"head_norm", "head.norm.weight", ""},
    {"head", "decoder.weight", ""},
    {"head_bias", "decoder.bias", ""},
};
static constexpr Sublayer firstParts[] = {{"", &attention}, {"blk.ffn_norm", &gatedMlp}};
static constexpr LayerSpec layers[] = {{"full_attention", preNormGated},
                                       {"sliding_attention", preNormGated, /*windowed=*/true},
                                       {"first", firstParts}};
static constexpr Refusal refusals[] = {{"norm_bias"}, {"classifier_bias"}};
static constexpr llvm::StringRef ignored[] = {"decoder.weight"}; // what is tied, stored once more

static llvm::StringRef typeOf(int64_t layer, llvm::StringRef listed, const Config &config) {
  if (layer == 0 && listed != "full_attention")
    config.unsupported("a first layer that is no full_attention");
  return layer == 0 ? "first" : listed;
}

static void complete(Model &, const Config &config) {
  if (config.text("classifier_activation").value_or("gelu") != config.text("hidden_activation").value_or("gelu"))
    config.unsupported("classifier_activation other than hidden_activation");
  if (!config.flag("decoder_bias", true))
    config.unsupported("decoder_bias false");
}

constinit const Family llmc::frontends::modernBert = {
    .name = "modernbert",
    .modelTypes = types,
    .tensors = tensors,
    .layers = layers,
    .layerRule = LayerRule::Chosen,
    .layerChoice = {.chosen = "full_attention", .other = "sliding_attention", .period = {"global_attn_every_n_layers", 3}, .offset = {"", 0}},
    .norm = llm::NormKind::layer,
    .ropeTheta = 160000,
    .thetaKey = "global_rope_theta",
    .localThetaKey = "local_rope_theta",
    .looksAhead = true,
    .tied = true,
    .qkvBias = {BiasRule::ByKey, "attention_bias"},
    .outputBias = {BiasRule::ByKey, "attention_bias"},
    .mlpBias = {BiasRule::ByKey, "mlp_bias"},
    .activation = llm::Activation::gelu,
    .eps = {"norm_eps", 1e-5},
    .window = {"local_attention", 128},
    .kvHeadsKey = "",
    .headDim = {""},
    .activationKey = "hidden_activation",
    .refusals = refusals,
    .ignoredTensors = ignored,
    .complete = complete,
    .typeOf = typeOf,
};
