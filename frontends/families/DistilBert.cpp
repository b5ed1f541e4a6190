// DistilBERT: BERT's layers without token types. Sources: arXiv:1910.01108; transformers' modeling_distilbert.py.
#include "frontends/families/Common.h"
#include "frontends/families/Families.h"

using namespace llmc;
using namespace llmc::frontends;

static constexpr llvm::StringRef types[] = {"distilbert"};

static constexpr TensorName tensors[] = {
    {"embed", "distilbert.embeddings.word_embeddings.weight", ""},
    {"position_embed", "distilbert.embeddings.position_embeddings.weight", ""},
    {"embed_norm", "distilbert.embeddings.LayerNorm.weight", ""},
    {"embed_norm_bias", "distilbert.embeddings.LayerNorm.bias", ""},
    {"blk.q", "distilbert.transformer.layer.{layer}.attention.q_lin.weight", ""},
    {"blk.q_bias", "distilbert.transformer.layer.{layer}.attention.q_lin.bias", ""},
    {"blk.k", "distilbert.transformer.layer.{layer}.attention.k_lin.weight", ""},
    {"blk.k_bias", "distilbert.transformer.layer.{layer}.attention.k_lin.bias", ""},
    {"blk.v", "distilbert.transformer.layer.{layer}.attention.v_lin.weight", ""},
    {"blk.v_bias", "distilbert.transformer.layer.{layer}.attention.v_lin.bias", ""},
    {"blk.o", "distilbert.transformer.layer.{layer}.attention.out_lin.weight", ""},
    {"blk.o_bias", "distilbert.transformer.layer.{layer}.attention.out_lin.bias", ""},
    {"blk.attn_norm", "distilbert.transformer.layer.{layer}.sa_layer_norm.weight", ""},
    {"blk.attn_norm_bias", "distilbert.transformer.layer.{layer}.sa_layer_norm.bias", ""},
    {"blk.up", "distilbert.transformer.layer.{layer}.ffn.lin1.weight", ""},
    {"blk.up_bias", "distilbert.transformer.layer.{layer}.ffn.lin1.bias", ""},
    {"blk.down", "distilbert.transformer.layer.{layer}.ffn.lin2.weight", ""},
    {"blk.down_bias", "distilbert.transformer.layer.{layer}.ffn.lin2.bias", ""},
    {"blk.ffn_norm", "distilbert.transformer.layer.{layer}.output_layer_norm.weight", ""},
    {"blk.ffn_norm_bias", "distilbert.transformer.layer.{layer}.output_layer_norm.bias", ""},
    {"head_dense", "vocab_transform.weight", ""},
    {"head_dense_bias", "vocab_transform.bias", ""},
    {"head_norm", "vocab_layer_norm.weight", ""},
    {"head_norm_bias", "vocab_layer_norm.bias", ""},
    {"head", "vocab_projector.weight", ""},
    {"head_bias", "vocab_projector.bias", ""},
};
static constexpr llvm::StringRef ignored[] = {"vocab_projector.weight"}; // what is tied, stored once more

static void complete(Model &model, const Config &) { model.normAfter = true; }

constinit const Family llmc::frontends::distilBert = {
    .name = "distilbert",
    .modelTypes = types,
    .tensors = tensors,
    .prefix = "distilbert.",
    .layers = encoderLayers,
    .norm = llm::NormKind::layer,
    .learnedPositions = true,
    .looksAhead = true,
    .tied = true,
    .qkvBias = {BiasRule::Always},
    .outputBias = {BiasRule::Always},
    .mlpBias = {BiasRule::Always},
    .activation = llm::Activation::gelu,
    .hidden = {"dim"},
    .layerCount = {"n_layers"},
    .heads = {"n_heads"},
    .ffn = {"hidden_dim"},
    .eps = {"", 1e-12},
    .kvHeadsKey = "",
    .headDim = {""},
    .activationKey = "activation",
    .ignoredTensors = ignored,
    .complete = complete,
};
