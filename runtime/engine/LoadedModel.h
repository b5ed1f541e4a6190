// An opened artifact: weights mapped, instruction set chosen, tokenizer loaded. Immutable but for where the weights lie; thread-safe.
#pragma once

#include "runtime/artifact/Artifact.h"
#include "runtime/cuda/GpuModel.h"
#include "runtime/engine/Embedding.h"
#include "runtime/engine/GenerationConfig.h"
#include "runtime/engine/WeightMemory.h"
#include "runtime/tokenizer/Tokenizer.h"

#include <memory>
#include <optional>
#include <span>

namespace llmc {

struct OpenOptions {
  std::string weightsPath = {}; // empty: as the artifact says
  std::string isa = {};         // empty: the best that this CPU has
  HugePages hugePages = HugePages::Auto;
  std::string device = {}; // DeviceChoice.h; empty: auto, or the CPU if `isa` is given
};

class LoadedModel {
public:
  // `artifact` must outlive the model. Errors: llmc_model_open.
  static Expected<std::shared_ptr<const LoadedModel>>
  open(const llmc_artifact &artifact, const std::string &libraryPath, const OpenOptions &options = {});

  const llmc_artifact &artifact() const { return *descriptor; }
  // The level in use; a GPU's code counts as one (its entries have no `run`).
  const llmc_isa &isa() const { return *level; }
  // Where steps run; null: on the CPU.
  const GpuModel *gpu() const { return gpuModel.get(); }
  // "cpu", "cuda:0/persistent"
  const std::string &device() const { return place; }
  // Memory that contexts can take there.
  int64_t availableBytes() const;
  const std::string &libraryPath() const { return library; }
  const std::string &weightsPath() const { return memory->path(); }
  WeightMemory &weightMemory() const { return *memory; }
  // The bytes of an asset; nullopt if there is none of this name.
  std::optional<std::span<const std::byte>> asset(std::string_view name) const;
  // Errors: Unsupported if the artifact has no tokenizer.
  Expected<const Tokenizer *> tokenizer() const;
  const GenerationConfig &generationConfig() const { return config; }
  // Ascending.
  std::span<const TokenId> stopTokens() const { return stops; }
  // Positions that the graph can address at all (a table of learned ones); nullopt: no such limit.
  std::optional<int64_t> positionLimit() const { return limit; }
  const Embedding &embedding() const { return vectors; }
  // An encoder-decoder: its encoder reads a source of up to maxSourceTokens() tokens at once; its decoder begins with startToken().
  bool hasEncoder() const { return level->encoder_count > 0; }
  int64_t maxSourceTokens() const { return hasEncoder() ? level->encoders[level->encoder_count - 1].max_tokens : 0; }
  const llmc_entry &encoderFor(int64_t tokens) const;
  TokenId startToken() const { return start; }
  // Segments that tokens can be of.
  int64_t tokenTypes() const { return types; }
  int64_t maxStepTokens() const { return level->entries[level->entry_count - 1].max_tokens; }
  // Tokens attend to later ones: a step must have the whole of each sequence.
  bool looksAhead() const { return descriptor->traits & LLMC_TRAIT_LOOKS_AHEAD; }
  bool hasLogits() const { return !(descriptor->traits & LLMC_TRAIT_NO_LOGITS); }
  // The smallest specialisation for a step of `tokens`, which is at most maxStepTokens().
  const llmc_entry &entryFor(int64_t tokens) const { return level->entries[entryIndexFor(tokens)]; }
  int64_t entryIndexFor(int64_t tokens) const;

private:
  LoadedModel() = default;
  Expected<void> useCpu(const OpenOptions &options);
  Expected<void> useGpu(const DeviceChoice &choice, const OpenOptions &options, std::span<const std::byte> weights);
  Expected<void> readAssets();
  Expected<void> readMetadata();

  const llmc_artifact *descriptor = nullptr;
  const llmc_isa *level = nullptr;
  std::string library, place = "cpu";
  std::unique_ptr<GpuModel> gpuModel;
  std::vector<llmc_entry> gpuEntries;
  llmc_isa gpuLevel{};
  std::unique_ptr<WeightMemory> memory;
  std::optional<Tokenizer> words;
  GenerationConfig config;
  std::vector<TokenId> stops;
  std::optional<int64_t> limit;
  int64_t types = 1;
  TokenId start = -1;
  Embedding vectors;
};

} // namespace llmc
