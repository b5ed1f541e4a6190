// What families with Mamba-2 mixers share: the names of their tensors and, in IBM's spelling, their configuration keys.
#pragma once

#include "frontends/HuggingFace.h"
#include "frontends/RecurrentParts.h"
#include "frontends/families/Common.h"

#include <algorithm>
#include <array>

namespace llmc::frontends {

// The input product makes the gate, what the convolution mixes, and the time step.
inline constexpr llvm::StringRef mamba2Inputs[] = {"blk.ssm_z", "blk.ssm_x", "blk.ssm_dt"};

inline constexpr TensorName mamba2Tensors[] = {
    {"blk.ssm_z", "model.layers.{layer}.mamba.in_proj.weight", "blk.{layer}.ssm_in.weight", false, mamba2Inputs},
    {"blk.ssm_x", "model.layers.{layer}.mamba.in_proj.weight", "blk.{layer}.ssm_in.weight", false, mamba2Inputs},
    {"blk.ssm_dt", "model.layers.{layer}.mamba.in_proj.weight", "blk.{layer}.ssm_in.weight", false, mamba2Inputs},
    {"blk.ssm_z_bias", "model.layers.{layer}.mamba.in_proj.bias", "", false, mamba2Inputs},
    {"blk.ssm_x_bias", "model.layers.{layer}.mamba.in_proj.bias", "", false, mamba2Inputs},
    {"blk.ssm_dt_bias", "model.layers.{layer}.mamba.in_proj.bias", "", false, mamba2Inputs},
    {"blk.conv", "model.layers.{layer}.mamba.conv1d.weight", "blk.{layer}.ssm_conv1d.weight"},
    {"blk.conv_bias", "model.layers.{layer}.mamba.conv1d.bias", "blk.{layer}.ssm_conv1d.bias"},
    {"blk.ssm_dt_offset", "model.layers.{layer}.mamba.dt_bias", "blk.{layer}.ssm_dt.bias"},
    {"blk.ssm_a", "model.layers.{layer}.mamba.A_log", "blk.{layer}.ssm_a"},
    {"blk.ssm_d", "model.layers.{layer}.mamba.D", "blk.{layer}.ssm_d"},
    {"blk.ssm_norm", "model.layers.{layer}.mamba.norm.weight", "blk.{layer}.ssm_norm.weight"},
    {"blk.ssm_out", "model.layers.{layer}.mamba.out_proj.weight", "blk.{layer}.ssm_out.weight"},
    {"blk.ssm_out_bias", "model.layers.{layer}.mamba.out_proj.bias", ""},
};

// One table of two.
template <class Own, size_t M> constexpr auto withMamba2(const Own &own, const TensorName (&mixer)[M]) {
  std::array<TensorName, std::size(Own()) + M> all{};
  std::copy(std::begin(own), std::end(own), all.begin());
  std::copy(std::begin(mixer), std::end(mixer), all.begin() + std::size(own));
  return all;
}
template <size_t N, size_t M>
constexpr auto withMamba2(const TensorName (&own)[N], const TensorName (&mixer)[M]) {
  std::array<TensorName, N> table{};
  std::copy(std::begin(own), std::end(own), table.begin());
  return withMamba2(table, mixer);
}

// Of Bamba and Granite.
inline constexpr RecurrenceKeys mambaKeys = {.used = true,
                                             .expand = {"mamba_expand", 2},
                                             .heads = {"mamba_n_heads", 128},
                                             .groups = {"mamba_n_groups", 1},
                                             .stateSize = {"mamba_d_state", 256},
                                             .taps = {"mamba_d_conv", 4},
                                             .stepLimit = "time_step_limit",
                                             .convBias = {BiasRule::ByKey, "mamba_conv_bias", true},
                                             .projectionBias = {BiasRule::ByKey, "mamba_proj_bias"},
                                             .mixesInputs = true};

// The head size follows from the other two; a file that says another contradicts itself.
inline void completeMamba2(Model &model, const Config &config) {
  const Json *size = config.member("mamba_d_head");
  if (!size || jsonString(*size) == "auto")
    return;
  if (model.ssm.heads > 0 && model.ssm.heads <= maxHeads && jsonInt(*size) != model.ssm.channels / model.ssm.heads)
    config.invalid("'mamba_d_head': want channels / mamba_n_heads, or \"auto\"");
}

} // namespace llmc::frontends
