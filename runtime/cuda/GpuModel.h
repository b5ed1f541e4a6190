// A model on a GPU: its weights and kernels there. Shared by all contexts of the model; immutable.
#pragma once

#include "runtime/artifact/Artifact.h"
#include "runtime/cuda/DeviceChoice.h"
#include "runtime/cuda/GpuDevice.h"

#include <mutex>
#include <span>

namespace llmc {

class GpuModel {
public:
  // Takes the first GPU that fits (or the one that `choice` names), uploads the weights, and loads the kernels; says on stderr how far it
  // is when that takes more than a second. `artifact` outlives the object; `weights`: the packed ones, needed during the call only.
  // Errors: InvalidInput where there is no driver, no GPU, no code for GPUs, or too little memory; Unsupported if all GPUs are too old.
  static Expected<std::unique_ptr<GpuModel>> open(const llmc_artifact &artifact, std::span<const std::byte> weights,
                                                  const DeviceChoice &choice);
  ~GpuModel();

  const GpuDevice &device() const { return *gpu; }
  const llmc_gpu &code() const { return *level; }
  LaunchWay way() const { return launches; }
  int64_t blocks() const { return blockCount; }
  // [weight_count] pointers, in the GPU's memory.
  const uint8_t *const *weightTable() const { return table.pointer<const uint8_t *>(); }
  struct Kernels {
    cuda::Function step = nullptr; // Persistent
    std::vector<cuda::Function> phases;
  };
  const Kernels &kernels(int64_t entry) const { return entries[size_t(entry)]; }
  // "cuda:0/graph"
  std::string name() const;
  // Steps of several contexts come one after the other: each wants the whole GPU, blocks that wait for one another even must have it.
  std::mutex &turn() const { return busy; }

private:
  GpuModel() = default;
  static Expected<std::unique_ptr<GpuModel>> openOn(const Driver &driver, const GpuFacts &facts, const llmc_artifact &artifact,
                                                    std::span<const std::byte> weights, const DeviceChoice &choice);
  Expected<void> chooseWay(const DeviceChoice &choice);
  Expected<void> upload(std::span<const std::byte> weights);
  Expected<void> writeTable(std::span<const llmc_weight> weights);
  Expected<void> load();
  Expected<void> loadEntry(const llmc_gpu_entry &entry);
  Expected<cuda::Function> function(const char *name, int64_t sharedBytes) const;

  std::unique_ptr<GpuDevice> gpu;
  const llmc_gpu *level = nullptr;
  LaunchWay launches = LaunchWay::Graph;
  int64_t blockCount = 0;
  GpuMemory packed, table;
  cuda::Module module = nullptr;
  std::vector<Kernels> entries;
  mutable std::mutex busy;
};

} // namespace llmc
