// OPT: learned positions that begin at row 2, relu, biases everywhere. The 350M model has its norms behind the sums, and embeddings
// of another size than what its layers work on.
// Sources: arXiv:2205.01068; transformers' modeling_opt.py.
#include "frontends/HuggingFace.h"
#include "frontends/families/Common.h"
#include "frontends/families/Families.h"

using namespace llmc::frontends;

static constexpr llvm::StringRef types[] = {"opt"};

static constexpr TensorName tensors[] = {
    {"embed", "model.decoder.embed_tokens.weight", ""},
    {"embed_in", "model.decoder.project_in.weight", ""},
    {"embed_out", "model.decoder.project_out.weight", ""},
    {"position_embed", "model.decoder.embed_positions.weight", ""},
    {"norm", "model.decoder.final_layer_norm.weight", ""},
    {"norm_bias", "model.decoder.final_layer_norm.bias", ""},
    {"head", "lm_head.weight", ""},
    {"blk.attn_norm", "model.decoder.layers.{layer}.self_attn_layer_norm.weight", ""},
    {"blk.attn_norm_bias", "model.decoder.layers.{layer}.self_attn_layer_norm.bias", ""},
    {"blk.q", "model.decoder.layers.{layer}.self_attn.q_proj.weight", ""},
    {"blk.q_bias", "model.decoder.layers.{layer}.self_attn.q_proj.bias", ""},
    {"blk.k", "model.decoder.layers.{layer}.self_attn.k_proj.weight", ""},
    {"blk.k_bias", "model.decoder.layers.{layer}.self_attn.k_proj.bias", ""},
    {"blk.v", "model.decoder.layers.{layer}.self_attn.v_proj.weight", ""},
    {"blk.v_bias", "model.decoder.layers.{layer}.self_attn.v_proj.bias", ""},
    {"blk.o", "model.decoder.layers.{layer}.self_attn.out_proj.weight", ""},
    {"blk.o_bias", "model.decoder.layers.{layer}.self_attn.out_proj.bias", ""},
    {"blk.ffn_norm", "model.decoder.layers.{layer}.final_layer_norm.weight", ""},
    {"blk.ffn_norm_bias", "model.decoder.layers.{layer}.final_layer_norm.bias", ""},
    {"blk.up", "model.decoder.layers.{layer}.fc1.weight", ""},
    {"blk.up_bias", "model.decoder.layers.{layer}.fc1.bias", ""},
    {"blk.down", "model.decoder.layers.{layer}.fc2.weight", ""},
    {"blk.down_bias", "model.decoder.layers.{layer}.fc2.bias", ""},
};
static constexpr Refusal refusals[] = {{"_remove_final_layer_norm"}};

static void complete(Model &, const Config &config) {
  if (!config.flag("layer_norm_elementwise_affine", true))
    config.unsupported("layer_norm_elementwise_affine false");
}

constinit const Family llmc::frontends::opt = {
    .name = "opt",
    .modelTypes = types,
    .tensors = tensors,
    .layers = plainLayers,
    .norm = llm::NormKind::layer,
    .learnedPositions = true,
    .positionOffset = 2,
    .tied = true,
    .qkvBias = {BiasRule::ByKey, "enable_bias", true},
    .outputBias = {BiasRule::ByKey, "enable_bias", true},
    .mlpBias = {BiasRule::ByKey, "enable_bias", true},
    .activation = llm::Activation::relu,
    .ffn = {"ffn_dim"},
    .eps = {"", 1e-5},
    .embeddingSize = {"word_embed_proj_dim", 0},
    .normBeforeKey = "do_layer_norm_before",
    .kvHeadsKey = "",
    .headDim = {""},
    .activationKey = "activation_function",
    .refusals = refusals,
    .complete = complete,
};
