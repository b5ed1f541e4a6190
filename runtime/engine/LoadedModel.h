// An opened artifact: weights mapped, instruction set chosen, tokenizer loaded. Immutable but for where the weights lie; thread-safe.
#pragma once

#include "runtime/artifact/Artifact.h"
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
};

class LoadedModel {
public:
  // `artifact` must outlive the model. Errors: llmc_model_open.
  static Expected<std::shared_ptr<const LoadedModel>>
  open(const llmc_artifact &artifact, const std::string &libraryPath, const OpenOptions &options = {});

  const llmc_artifact &artifact() const { return *descriptor; }
  const llmc_isa &isa() const { return *level; }
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
  int64_t maxStepTokens() const { return level->entries[level->entry_count - 1].max_tokens; }
  // The smallest specialisation for a step of `tokens`, which is at most maxStepTokens().
  const llmc_entry &entryFor(int64_t tokens) const { return level->entries[entryIndexFor(tokens)]; }
  int64_t entryIndexFor(int64_t tokens) const;

private:
  LoadedModel() = default;
  Expected<void> readAssets();
  Expected<void> readMetadata();

  const llmc_artifact *descriptor = nullptr;
  const llmc_isa *level = nullptr;
  std::string library;
  std::unique_ptr<WeightMemory> memory;
  std::optional<Tokenizer> words;
  GenerationConfig config;
  std::vector<TokenId> stops;
  std::optional<int64_t> limit;
};

} // namespace llmc
