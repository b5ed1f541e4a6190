// What many families share: the tensor names that Llama introduced, and its layer.
#pragma once

#include "frontends/Family.h"
#include "frontends/Parts.h"

#include <algorithm>
#include <array>

namespace llmc::frontends {

// Tables one after another, as one table.
template <size_t... Sizes> constexpr std::array<TensorName, (Sizes + ...)> joined(const TensorName (&...tables)[Sizes]) {
  std::array<TensorName, (Sizes + ...)> all{};
  size_t next = 0;
  auto append = [&](const TensorName &name) { all[next++] = name; };
  (std::ranges::for_each(tables, append), ...);
  return all;
}

inline constexpr TensorName llamaTensors[] = {
    {"embed", "model.embed_tokens.weight", "token_embd.weight"},
    {"norm", "model.norm.weight", "output_norm.weight"},
    {"head", "lm_head.weight", "output.weight"},
    {"rope_factors", "", "rope_freqs.weight"},
    {"blk.attn_norm", "model.layers.{layer}.input_layernorm.weight", "blk.{layer}.attn_norm.weight"},
    {"blk.q", "model.layers.{layer}.self_attn.q_proj.weight", "blk.{layer}.attn_q.weight"},
    {"blk.k", "model.layers.{layer}.self_attn.k_proj.weight", "blk.{layer}.attn_k.weight"},
    {"blk.v", "model.layers.{layer}.self_attn.v_proj.weight", "blk.{layer}.attn_v.weight"},
    {"blk.o", "model.layers.{layer}.self_attn.o_proj.weight", "blk.{layer}.attn_output.weight"},
    {"blk.q_bias", "model.layers.{layer}.self_attn.q_proj.bias", "blk.{layer}.attn_q.bias"},
    {"blk.k_bias", "model.layers.{layer}.self_attn.k_proj.bias", "blk.{layer}.attn_k.bias"},
    {"blk.v_bias", "model.layers.{layer}.self_attn.v_proj.bias", "blk.{layer}.attn_v.bias"},
    {"blk.o_bias", "model.layers.{layer}.self_attn.o_proj.bias", "blk.{layer}.attn_output.bias"},
    {"blk.ffn_norm", "model.layers.{layer}.post_attention_layernorm.weight", "blk.{layer}.ffn_norm.weight"},
    {"blk.gate", "model.layers.{layer}.mlp.gate_proj.weight", "blk.{layer}.ffn_gate.weight"},
    {"blk.up", "model.layers.{layer}.mlp.up_proj.weight", "blk.{layer}.ffn_up.weight"},
    {"blk.down", "model.layers.{layer}.mlp.down_proj.weight", "blk.{layer}.ffn_down.weight"},
    {"blk.gate_bias", "model.layers.{layer}.mlp.gate_proj.bias", "blk.{layer}.ffn_gate.bias"},
    {"blk.up_bias", "model.layers.{layer}.mlp.up_proj.bias", "blk.{layer}.ffn_up.bias"},
    {"blk.down_bias", "model.layers.{layer}.mlp.down_proj.bias", "blk.{layer}.ffn_down.bias"},
};

// Norms of each head's q and k before rope (Qwen 3, Gemma 3).
inline constexpr TensorName headNormTensors[] = {
    {"blk.q_norm", "model.layers.{layer}.self_attn.q_norm.weight", "blk.{layer}.attn_q_norm.weight"},
    {"blk.k_norm", "model.layers.{layer}.self_attn.k_norm.weight", "blk.{layer}.attn_k_norm.weight"},
};

// Biases of norms (StableLM, StarCoder 2).
inline constexpr TensorName normBiasTensors[] = {
    {"norm_bias", "model.norm.bias", "output_norm.bias"},
    {"blk.attn_norm_bias", "model.layers.{layer}.input_layernorm.bias", "blk.{layer}.attn_norm.bias"},
    {"blk.ffn_norm_bias", "model.layers.{layer}.post_attention_layernorm.bias", "blk.{layer}.ffn_norm.bias"},
};

// Roles that one tensor stacks.
inline constexpr llvm::StringRef qkvRoles[] = {"blk.q", "blk.k", "blk.v"}, gateUpRoles[] = {"blk.gate", "blk.up"};

// One tensor for q, k and v, and one for their biases, whose rows take turns. In GGUF all of q come first.
constexpr std::array<TensorName, 12> fusedQkv(llvm::StringRef weight, llvm::StringRef bias, TensorName::Turns turns) {
  auto inTurns = [&](llvm::StringRef role, llvm::StringRef name) -> TensorName { return {role, name, "", false, qkvRoles, turns}; };
  auto inOrder = [&](llvm::StringRef role, llvm::StringRef name) -> TensorName { return {role, "", name, false, qkvRoles}; };
  constexpr llvm::StringRef ggufWeight = "blk.{layer}.attn_qkv.weight", ggufBias = "blk.{layer}.attn_qkv.bias";
  return {inTurns("blk.q", weight),      inTurns("blk.k", weight),         inTurns("blk.v", weight),
          inTurns("blk.q_bias", bias),   inTurns("blk.k_bias", bias),      inTurns("blk.v_bias", bias),
          inOrder("blk.q", ggufWeight),  inOrder("blk.k", ggufWeight),     inOrder("blk.v", ggufWeight),
          inOrder("blk.q_bias", ggufBias), inOrder("blk.k_bias", ggufBias), inOrder("blk.v_bias", ggufBias)};
}

inline constexpr Sublayer preNormPlain[] = {{"blk.attn_norm", &attention}, {"blk.ffn_norm", &plainMlp}};
inline constexpr LayerSpec plainLayers[] = {{"full_attention", preNormPlain},
                                            {"sliding_attention", preNormPlain, /*windowed=*/true}};

// The layer of BERT and its kin: norms behind the sums.
inline constexpr Sublayer postNormPlain[] = {{"blk.attn_norm", &attention}, {"blk.ffn_norm", &plainMlp}};
inline constexpr LayerSpec encoderLayers[] = {{"full_attention", postNormPlain}};

inline constexpr Sublayer preNormGated[] = {{"blk.attn_norm", &attention}, {"blk.ffn_norm", &gatedMlp}};
inline constexpr LayerSpec preNormLayers[] = {{"full_attention", preNormGated},
                                              {"sliding_attention", preNormGated, /*windowed=*/true}};

// Buffers that old checkpoints hold beside their weights.
inline constexpr llvm::StringRef rotaryBuffers[] = {".rotary_emb.inv_freq"};

} // namespace llmc::frontends
