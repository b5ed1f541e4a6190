// Granite 4: Mamba-2 mixers and a few attention layers, experts beside a part that all tokens share (or that part alone), and
// factors on embedding, residual stream, attention scores and logits.
// Sources: IBM's Granite 4; transformers' modeling_granitemoehybrid.py; GGUF's architecture granitehybrid.
#include "frontends/families/Families.h"
#include "frontends/families/Mamba2.h"

using namespace llmc::frontends;
namespace llm = llmc::llm;

static constexpr llvm::StringRef types[] = {"granitemoehybrid"}, architectures[] = {"granitehybrid"};
static constexpr llvm::StringRef gateUp[] = {"blk.gate", "blk.up"}, sharedGateUp[] = {"blk.gate_shexp", "blk.up_shexp"},
                                 expertGateUp[] = {"blk.gate_exps", "blk.up_exps"};

static constexpr TensorName ownTensors[] = {
    {"blk.router", "model.layers.{layer}.block_sparse_moe.router.layer.weight", "blk.{layer}.ffn_gate_inp.weight"},
    {"blk.gate_exps", "model.layers.{layer}.block_sparse_moe.input_linear.weight", "", false, expertGateUp},
    {"blk.up_exps", "model.layers.{layer}.block_sparse_moe.input_linear.weight", "", false, expertGateUp},
    {"blk.down_exps", "model.layers.{layer}.block_sparse_moe.output_linear.weight", "blk.{layer}.ffn_down_exps.weight"},
    {"blk.gate_shexp", "model.layers.{layer}.shared_mlp.input_linear.weight", "", false, sharedGateUp},
    {"blk.up_shexp", "model.layers.{layer}.shared_mlp.input_linear.weight", "", false, sharedGateUp},
    {"blk.down_shexp", "model.layers.{layer}.shared_mlp.output_linear.weight", "blk.{layer}.ffn_down_shexp.weight"},
    {"blk.gate", "model.layers.{layer}.shared_mlp.input_linear.weight", "", false, gateUp},
    {"blk.up", "model.layers.{layer}.shared_mlp.input_linear.weight", "", false, gateUp},
    {"blk.gate_exps", "", "blk.{layer}.ffn_gate_exps.weight"},
    {"blk.up_exps", "", "blk.{layer}.ffn_up_exps.weight"},
    {"blk.gate_shexp", "", "blk.{layer}.ffn_gate_shexp.weight"},
    {"blk.up_shexp", "", "blk.{layer}.ffn_up_shexp.weight"},
    {"blk.gate", "", "blk.{layer}.ffn_gate.weight"},
    {"blk.up", "", "blk.{layer}.ffn_up.weight"},
    {"blk.down", "model.layers.{layer}.shared_mlp.output_linear.weight", "blk.{layer}.ffn_down.weight"},
};
static constexpr auto tensors = withMamba2(ownTensors, mamba2Tensors);
static constexpr Sublayer attending[] = {{"blk.attn_norm", &attention}, {"blk.ffn_norm", &routedMlp}};
static constexpr Sublayer scanning[] = {{"blk.attn_norm", &mamba2}, {"blk.ffn_norm", &routedMlp}};
static constexpr Sublayer scanningDense[] = {{"blk.attn_norm", &mamba2}, {"blk.ffn_norm", &gatedMlp}};
static constexpr LayerSpec layers[] = {
    {"full_attention", preNormGated},
    {"full_attention", attending, /*windowed=*/false, /*experts=*/true},
    {"linear_attention", scanningDense, /*windowed=*/false, /*experts=*/false, /*rotary=*/false},
    {"linear_attention", scanning, /*windowed=*/false, /*experts=*/true, /*rotary=*/false}};

// Without experts the shared part is all there is.
static void complete(Model &model, const Config &config) {
  completeMamba2(model, config);
  if (!model.moe.count)
    model.ffn = config.integer({"shared_intermediate_size", 1024});
  if (!config.has("attention_multiplier"))
    model.attentionScale = 1;
}

constinit const Family llmc::frontends::graniteHybrid = {
    .name = "granitemoehybrid",
    .modelTypes = types,
    .architectures = architectures,
    .tensors = llamaTensors,
    .ownTensors = tensors,
    .layers = layers,
    .layerRule = LayerRule::Chosen,
    .experts = {.count = {"num_local_experts", 8}},
    .expertShape = {.top = {"num_experts_per_tok", 2},
                    .ffn = {"intermediate_size", 11008},
                    .sharedFfn = {"shared_intermediate_size", 1024},
                    .scores = llm::RouterScores::logits,
                    .ggufScores = llm::RouterScores::logits,
                    .normalize = llm::RouterNormalize::softmax,
                    .ggufNormalize = llm::RouterNormalize::softmax},
    .ssm = mambaKeys,
    .rotarySwitch = "position_embedding_type",
    .ggufRotary = llm::RotaryStyle::interleaved,
    .qkvBias = {BiasRule::ByKey, "attention_bias"},
    .outputBias = {BiasRule::ByKey, "attention_bias"},
    .context = {"max_position_embeddings", 2048},
    .embeddingScale = {"embedding_multiplier", 1},
    .residualScale = {"residual_multiplier", 1},
    .logitDivisor = {"logits_scaling", 1},
    .scaleKey = "attention_multiplier",
    .complete = complete,
};
