// GPT-Neo: GPT-2 whose every other layer looks back a window, whose q, k and v have no biases, and whose scores have no scale.
// Sources: Black et al. 2021; transformers' modeling_gpt_neo.py.
#include "frontends/HuggingFace.h"
#include "frontends/families/Common.h"
#include "frontends/families/Families.h"

using namespace llmc::frontends;

static constexpr llvm::StringRef types[] = {"gpt_neo"};
static constexpr llvm::StringRef lists[] = {"attention_layers", "attention_types"};
static constexpr LayerList::Spelling spellings[] = {{"global", "full_attention"}, {"local", "sliding_attention"}};

static constexpr TensorName tensors[] = {
    {"embed", "transformer.wte.weight", ""},
    {"position_embed", "transformer.wpe.weight", ""},
    {"norm", "transformer.ln_f.weight", ""},
    {"norm_bias", "transformer.ln_f.bias", ""},
    {"head", "lm_head.weight", ""},
    {"blk.attn_norm", "transformer.h.{layer}.ln_1.weight", ""},
    {"blk.attn_norm_bias", "transformer.h.{layer}.ln_1.bias", ""},
    {"blk.q", "transformer.h.{layer}.attn.attention.q_proj.weight", ""},
    {"blk.k", "transformer.h.{layer}.attn.attention.k_proj.weight", ""},
    {"blk.v", "transformer.h.{layer}.attn.attention.v_proj.weight", ""},
    {"blk.o", "transformer.h.{layer}.attn.attention.out_proj.weight", ""},
    {"blk.o_bias", "transformer.h.{layer}.attn.attention.out_proj.bias", ""},
    {"blk.ffn_norm", "transformer.h.{layer}.ln_2.weight", ""},
    {"blk.ffn_norm_bias", "transformer.h.{layer}.ln_2.bias", ""},
    {"blk.up", "transformer.h.{layer}.mlp.c_fc.weight", ""},
    {"blk.up_bias", "transformer.h.{layer}.mlp.c_fc.bias", ""},
    {"blk.down", "transformer.h.{layer}.mlp.c_proj.weight", ""},
    {"blk.down_bias", "transformer.h.{layer}.mlp.c_proj.bias", ""},
};
static constexpr llvm::StringRef masks[] = {".attention.bias", ".attention.masked_bias"};

static void complete(Model &model, const Config &) { model.attentionScale = 1; }

constinit const Family llmc::frontends::gptNeo = {
    .name = "gpt_neo",
    .modelTypes = types,
    .tensors = tensors,
    .prefix = "transformer.",
    .layers = plainLayers,
    .layerRule = LayerRule::Chosen,
    .layerChoice = {.chosen = "sliding_attention", .other = "full_attention", .period = {"", 2}},
    .layerList = {.keys = lists, .spellings = spellings},
    .norm = llm::NormKind::layer,
    .learnedPositions = true,
    .tied = true,
    .outputBias = {BiasRule::Always},
    .mlpBias = {BiasRule::Always},
    .activation = llm::Activation::gelu_tanh,
    .layerCount = {"num_layers"},
    .heads = {"num_heads"},
    .eps = {"layer_norm_epsilon", 1e-5},
    .window = {"window_size", 256},
    .kvHeadsKey = "",
    .headDim = {""},
    .ffnDefaultsToFourHidden = true,
    .activationKey = "activation_function",
    .ignoredTensors = masks,
    .complete = complete,
};
