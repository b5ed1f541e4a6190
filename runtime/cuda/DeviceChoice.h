// What a user says about where a model runs: "auto", "cpu", "cuda", "cuda:1", "cuda/graph", "cuda:1/persistent".
#pragma once

#include "runtime/support/Error.h"

#include <optional>
#include <string_view>

namespace llmc {

// How a step runs on a GPU: as one kernel whose blocks wait for one another, or as a graph of a kernel for each parallel loop.
enum class LaunchWay { Persistent, Graph };

struct DeviceChoice {
  enum class Kind { Auto, Cpu, Cuda } kind = Kind::Auto; // Auto: a GPU if the model has code for one that is there, else the CPU
  std::optional<int> index = {};                         // none: the first that fits
  std::optional<LaunchWay> way = {};                     // none: Persistent where the GPU can
};

// Empty: auto. Errors: InvalidInput.
Expected<DeviceChoice> parseDevice(std::string_view text);

} // namespace llmc
