// Qwen3-Next: gated delta rule in most layers, gated attention with rope over a quarter of each head in the others, experts
// with one that all tokens share; gains hold gain - 1.
// Sources: arXiv:2412.06464 (gated delta rule), 2505.06708 (gated attention); transformers' modeling_qwen3_next.py; GGUF's
// architecture qwen3next, whose ssm_a holds -exp(A_log).
#include "frontends/RecurrentParts.h"
#include "frontends/families/ExpertTensors.h"
#include "frontends/families/Families.h"

using namespace llmc::frontends;
namespace llm = llmc::llm;
using Turns = TensorName::Turns;

static constexpr llvm::StringRef types[] = {"qwen3_next"};
static constexpr llvm::StringRef queryGate[] = {"blk.q", "blk.attn_gate"}, betaDecay[] = {"blk.delta_b", "blk.delta_a"},
                                 qkvz[] = {"blk.delta_q", "blk.delta_k", "blk.delta_v", "blk.delta_z"};

static constexpr llvm::StringRef architectures[] = {"qwen3next"}, qkv[] = {"blk.delta_q", "blk.delta_k", "blk.delta_v"};

static constexpr TensorName query(llvm::StringRef role) {
  return {role, "model.layers.{layer}.self_attn.q_proj.weight", "blk.{layer}.attn_q.weight", false, queryGate, Turns::Heads};
}
// Older GGUF files have the tensor of Hugging Face.
static constexpr TensorName delta(llvm::StringRef role) {
  return {role, "model.layers.{layer}.linear_attn.in_proj_qkvz.weight", "blk.{layer}.ssm_in.weight", false, qkvz, Turns::KeyHeads};
}
static constexpr TensorName deltaGguf(llvm::StringRef role) {
  return {role, "", "blk.{layer}.attn_qkv.weight", false, qkv};
}
static constexpr TensorName deltaGate(llvm::StringRef role) {
  return {role, "model.layers.{layer}.linear_attn.in_proj_ba.weight", "blk.{layer}.ssm_ba.weight", false, betaDecay, Turns::KeyHeads};
}

static constexpr TensorName mixers[] = {
    {"blk.ffn_norm", "model.layers.{layer}.post_attention_layernorm.weight", "blk.{layer}.post_attention_norm.weight"},
    query("blk.q"),
    query("blk.attn_gate"),
    deltaGguf("blk.delta_q"),
    deltaGguf("blk.delta_k"),
    deltaGguf("blk.delta_v"),
    {"blk.delta_z", "", "blk.{layer}.attn_gate.weight"},
    delta("blk.delta_q"),
    delta("blk.delta_k"),
    delta("blk.delta_v"),
    delta("blk.delta_z"),
    deltaGate("blk.delta_b"),
    deltaGate("blk.delta_a"),
    {"blk.conv", "model.layers.{layer}.linear_attn.conv1d.weight", "blk.{layer}.ssm_conv1d.weight"},
    {"blk.delta_dt_offset", "model.layers.{layer}.linear_attn.dt_bias", "blk.{layer}.ssm_dt.bias"},
    {"blk.delta_decay", "model.layers.{layer}.linear_attn.A_log", "blk.{layer}.ssm_a"},
    {"blk.delta_norm", "model.layers.{layer}.linear_attn.norm.weight", "blk.{layer}.ssm_norm.weight"},
    {"blk.delta_out", "model.layers.{layer}.linear_attn.out_proj.weight", "blk.{layer}.ssm_out.weight"},
};
static constexpr auto tensors = joined(mixers, headNormTensors, expertTensors, sharedExpertTensors);
static constexpr Sublayer attendingExperts[] = {{"blk.attn_norm", &attention}, {"blk.ffn_norm", &routedMlp}};
static constexpr Sublayer scanning[] = {{"blk.attn_norm", &deltaNet}, {"blk.ffn_norm", &gatedMlp}};
static constexpr Sublayer scanningExperts[] = {{"blk.attn_norm", &deltaNet}, {"blk.ffn_norm", &routedMlp}};
static constexpr LayerSpec layers[] = {
    {"full_attention", preNormGated},
    {"full_attention", attendingExperts, /*windowed=*/false, /*experts=*/true},
    {"linear_attention", scanning, /*windowed=*/false, /*experts=*/false, /*rotary=*/false},
    {"linear_attention", scanningExperts, /*windowed=*/false, /*experts=*/true, /*rotary=*/false}};
static constexpr Refusal refusals[] = {{"attention_bias"}}; // of queries and gates in turns
// Old buffers, and the layers that predict later tokens.
static constexpr llvm::StringRef ignored[] = {".rotary_emb.inv_freq", "mtp.*"};

constinit const Family llmc::frontends::qwen3Next = {
    .name = "qwen3_next",
    .modelTypes = types,
    .architectures = architectures,
    .tensors = llamaTensors,
    .ownTensors = tensors,
    .layers = layers,
    .layerRule = LayerRule::Chosen,
    .layerChoice = {.period = {"full_attention_interval", 4}},
    .experts = {.count = {"num_experts|num_local_experts", 512},
                .period = {"decoder_sparse_step", 1},
                .offset = {"", -1},
                .dense = "mlp_only_layers"},
    .expertShape = {.top = {"num_experts_per_tok", 10},
                    .ffn = {"moe_intermediate_size", 512},
                    .sharedFfn = {"shared_expert_intermediate_size", 512},
                    .normalize = llm::RouterNormalize::sum,
                    .ggufNormalize = llm::RouterNormalize::sum,
                    .normalizeSwitch = "norm_topk_prob",
                    .normalizeByDefault = true},
    .ssm = {.used = true,
            .heads = {"linear_num_value_heads", 32},
            .headDim = {"linear_value_head_dim", 128},
            .taps = {"linear_conv_kernel_dim", 4},
            .keyHeads = {"linear_num_key_heads", 16},
            .keyDim = {"linear_key_head_dim", 128}},
    .normOffset = 1,
    .partialRotary = 0.25,
    .ffn = {"intermediate_size", 5632},
    .context = {"max_position_embeddings", 32768},
    .headDim = {"head_dim", 256},
    .refusals = refusals,
    .ignoredTensors = ignored,
};
