// Tensor names that families with experts share.
#pragma once

#include "frontends/families/Common.h"

namespace llmc::frontends {

inline constexpr llvm::StringRef gateUpExperts[] = {"blk.gate_exps", "blk.up_exps"};

// Qwen's names: a tensor for each expert, as published, or stacked, gate and up in one.
inline constexpr TensorName expertTensors[] = {
    {"blk.router", "model.layers.{layer}.mlp.gate.weight", "blk.{layer}.ffn_gate_inp.weight"},
    {"blk.gate_exps", "model.layers.{layer}.mlp.experts.{expert}.gate_proj.weight", "blk.{layer}.ffn_gate_exps.weight"},
    {"blk.up_exps", "model.layers.{layer}.mlp.experts.{expert}.up_proj.weight", "blk.{layer}.ffn_up_exps.weight"},
    {"blk.down_exps", "model.layers.{layer}.mlp.experts.{expert}.down_proj.weight", "blk.{layer}.ffn_down_exps.weight"},
    {"blk.gate_exps", "model.layers.{layer}.mlp.experts.gate_up_proj", "", false, gateUpExperts},
    {"blk.up_exps", "model.layers.{layer}.mlp.experts.gate_up_proj", "", false, gateUpExperts},
    {"blk.down_exps", "model.layers.{layer}.mlp.experts.down_proj", ""},
};

// The expert that every token uses, and its gate (Qwen).
inline constexpr TensorName sharedExpertTensors[] = {
    {"blk.gate_shexp", "model.layers.{layer}.mlp.shared_expert.gate_proj.weight", "blk.{layer}.ffn_gate_shexp.weight"},
    {"blk.up_shexp", "model.layers.{layer}.mlp.shared_expert.up_proj.weight", "blk.{layer}.ffn_up_shexp.weight"},
    {"blk.down_shexp", "model.layers.{layer}.mlp.shared_expert.down_proj.weight", "blk.{layer}.ffn_down_shexp.weight"},
    {"blk.shexp_gate", "model.layers.{layer}.mlp.shared_expert_gate.weight", "blk.{layer}.ffn_gate_inp_shexp.weight"},
};

} // namespace llmc::frontends
