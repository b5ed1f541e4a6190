#include "runtime/engine/LoadedModel.h"

#include "runtime/engine/Machine.h"
#include "runtime/support/CpuFeatures.h"
#include "runtime/support/Json.h"

#include <algorithm>
#include <cstdio>

namespace llmc {
namespace {

std::string join(const std::vector<std::string> &words, const char *separator) {
  std::string text;
  for (const std::string &word : words)
    text += (text.empty() ? "" : separator) + word;
  return text;
}

// Why this machine can't run a level.
std::string lack(const std::vector<std::string> &missing) {
  bool tiles = std::any_of(missing.begin(), missing.end(), [](const std::string &name) { return name.starts_with("amx_"); });
  return "this CPU has no " + join(missing, ", ") + (tiles && tilesRefused() ? ": the system does not permit its tiles" : "");
}

std::span<const llmc_isa> levels(const llmc_artifact &artifact) { return {artifact.isas, size_t(artifact.isa_count)}; }

Expected<const llmc_isa *> namedIsa(const llmc_artifact &artifact, const std::string &name) {
  std::vector<std::string> names;
  for (const llmc_isa &isa : levels(artifact)) {
    names.push_back(isa.name);
    if (name != isa.name)
      continue;
    auto missing = missingCpuFeatures(isa.features);
    if (missing.empty())
      return &isa;
    return unsupported("instruction set '" + name + "': " + lack(missing));
  }
  return invalidInput("instruction set '" + name + "': the model holds " + join(names, ", "));
}

Expected<const llmc_isa *> bestIsa(const llmc_artifact &artifact) {
  std::vector<std::string> refused;
  for (const llmc_isa &isa : levels(artifact)) {
    auto missing = missingCpuFeatures(isa.features);
    if (missing.empty())
      return &isa;
    refused.push_back(std::string(isa.name) + " (" + lack(missing) + ")");
  }
  return unsupported("the model is compiled for " + join(refused, "; ") +
                     ": compile it for this CPU, or with a generic target");
}

Expected<void> checkAbi(const llmc_artifact &artifact) {
  if (artifact.abi == LLMC_ARTIFACT_ABI && artifact.struct_size == sizeof(llmc_artifact))
    return {};
  return unsupported("artifact ABI: want " + std::to_string(LLMC_ARTIFACT_ABI) + ", got " +
                     std::to_string(artifact.abi) + ": compile the model again");
}

bool isOptional(const DeviceChoice &choice) { return choice.kind == DeviceChoice::Kind::Auto; }

// An instruction set is the CPU's: who names one wants that.
bool isGpuTried(const DeviceChoice &choice, const llmc_artifact &artifact, const OpenOptions &options) {
  if (isOptional(choice))
    return artifact.gpu_count > 0 && options.isa.empty();
  return choice.kind == DeviceChoice::Kind::Cuda;
}

bool isSane(const llmc_gpu &gpu) {
  bool sane = gpu.name && gpu.ptx && gpu.threads > 0 && gpu.threads <= 1024 && gpu.entry_count > 0;
  int64_t previous = 0;
  for (int64_t i = 0; sane && i < gpu.entry_count; previous = gpu.entries[i++].max_tokens) {
    const llmc_gpu_entry &entry = gpu.entries[i];
    sane = entry.max_tokens > previous && entry.arena_bytes >= 0 && entry.scratch_bytes >= 0 && entry.scratch_bytes % 64 == 0 &&
           entry.shared_bytes >= 0 && entry.step && entry.phase_count > 0 && entry.launches;
  }
  return sane;
}

bool isSane(const llmc_entry *entries, int64_t count) {
  bool sane = true;
  int64_t previous = 0;
  for (int64_t i = 0; sane && i < count; previous = entries[i++].max_tokens)
    sane = entries[i].run && entries[i].max_tokens > previous && entries[i].arena_bytes >= 0 && entries[i].scratch_bytes >= 0 &&
           entries[i].scratch_bytes % 64 == 0;
  return sane;
}

// The compiler's own slips are found here, not as a crash in a worker.
Expected<void> checkDescriptor(const llmc_artifact &artifact) {
  bool sane = artifact.vocab > 0 && artifact.hidden > 0 && artifact.context > 0 && artifact.isa_count > 0 &&
              artifact.weight_bytes >= 0 && artifact.metadata;
  for (const llmc_isa &isa : levels(artifact)) {
    sane = sane && isa.name && isa.features && isa.entry_count > 0 && isa.encoder_count >= 0 && isSane(isa.entries, isa.entry_count) &&
           isSane(isa.encoders, isa.encoder_count);
  }
  for (const llmc_state &state : std::span(artifact.states, size_t(artifact.state_count)))
    sane = sane && state.layers > 0 && state.bytes_per_position >= 0 && state.fixed_bytes >= 0 &&
           (state.bytes_per_position > 0) != (state.fixed_bytes > 0) && state.fixed_bytes % 64 == 0;
  for (const llmc_gpu &gpu : std::span(artifact.gpus, size_t(artifact.gpu_count)))
    sane = sane && isSane(gpu);
  if (!sane)
    return internalError("the artifact's descriptor is inconsistent");
  return {};
}

} // namespace

Expected<std::shared_ptr<const LoadedModel>>
LoadedModel::open(const llmc_artifact &artifact, const std::string &libraryPath, const OpenOptions &options) {
  LLMC_CHECK(checkAbi(artifact));
  LLMC_CHECK(checkDescriptor(artifact));
  std::shared_ptr<LoadedModel> model(new LoadedModel);
  model->descriptor = &artifact;
  model->library = libraryPath;
  LLMC_TRY(choice, parseDevice(options.device));
  bool triesGpu = isGpuTried(choice, artifact, options);
  if (!triesGpu)
    LLMC_CHECK(model->useCpu(options));
  LLMC_TRY(packed, openWeights(artifact, libraryPath, options.weightsPath));
  if (triesGpu)
    LLMC_CHECK(model->useGpu(choice, options, packed.bytes));
  std::span weights(artifact.weights, size_t(artifact.weight_count));
  HugePages hugePages = model->gpu() ? HugePages::Off : options.hugePages;
  LLMC_TRY(memory, WeightMemory::create(std::move(packed), weights, hugePages));
  model->memory = std::move(memory);
  LLMC_CHECK(model->readMetadata());
  LLMC_CHECK(model->readAssets());
  return model;
}

Expected<void> LoadedModel::useCpu(const OpenOptions &options) {
  LLMC_TRY(isa, options.isa.empty() ? bestIsa(*descriptor) : namedIsa(*descriptor, options.isa));
  level = isa;
  return {};
}

// Where nobody asked for a GPU by name, whatever is in the way is no error, but said.
Expected<void> LoadedModel::useGpu(const DeviceChoice &choice, const OpenOptions &options, std::span<const std::byte> weights) {
  auto made = GpuModel::open(*descriptor, weights, choice);
  if (!made && !isOptional(choice))
    return std::unexpected(Error{made.error().code, "device " + options.device + ": " + made.error().message});
  if (!made) {
    std::fprintf(stderr, "no GPU: %s; running on the CPU\n", made.error().message.c_str());
    return useCpu(options);
  }
  gpuModel = std::move(*made);
  const llmc_gpu &code = gpuModel->code();
  for (const llmc_gpu_entry &entry : std::span(code.entries, size_t(code.entry_count)))
    gpuEntries.push_back({entry.max_tokens, entry.arena_bytes, entry.scratch_bytes, nullptr, entry.best_rows});
  gpuLevel = {code.name, "", code.entry_count, gpuEntries.data(), 0, nullptr};
  level = &gpuLevel;
  place = gpuModel->name();
  dropPages(weights.data(), 0, int64_t(weights.size())); // they are on the GPU now
  return {};
}

int64_t LoadedModel::availableBytes() const {
  if (!gpuModel)
    return availableMemoryBytes();
  return gpuModel->device().freeBytes().value_or(0);
}

Expected<void> LoadedModel::readMetadata() {
  LLMC_TRY(metadata, parseJson(descriptor->metadata, "metadata"));
  limit = jsonInt(metadata, "position_limit");
  types = jsonInt(metadata, "token_types").value_or(1);
  vectors.pooling = looksAhead() || hasEncoder() ? Pooling::Mean : Pooling::Last;
  if (const Json *said = jsonMember(metadata, "embedding")) {
    vectors.pooling = parsePooling(jsonString(*said, "pooling").value_or("")).value_or(vectors.pooling);
    vectors.normalize = jsonBool(*said, "normalize").value_or(false);
    vectors.maxTokens = jsonInt(*said, "max_tokens").value_or(0);
  }
  start = TokenId(jsonInt(metadata, "decoder_start").value_or(-1));
  if (hasEncoder() && (start < 0 || start >= descriptor->vocab))
    return internalError("the artifact's metadata: decoder_start is no token of the model");
  return {};
}

Expected<void> LoadedModel::readAssets() {
  if (auto blob = asset("tokenizer")) {
    LLMC_TRY(tokenizer, Tokenizer::fromBlob(*blob));
    words = std::move(tokenizer);
  }
  auto json = asset("generation_config").value_or(std::span<const std::byte>());
  LLMC_TRY(generation, parseGenerationConfig({reinterpret_cast<const char *>(json.data()), json.size()}));
  config = std::move(generation);
  if (config.stopTokens) {
    stops = *config.stopTokens;
  } else if (words) {
    auto ids = words->stopTokens();
    stops.assign(ids.begin(), ids.end());
  }
  std::sort(stops.begin(), stops.end());
  return {};
}

std::optional<std::span<const std::byte>> LoadedModel::asset(std::string_view name) const {
  for (int64_t i = 0; i < descriptor->asset_count; ++i)
    if (name == descriptor->assets[i].name)
      return std::as_bytes(std::span(descriptor->assets[i].data, size_t(descriptor->assets[i].size)));
  return std::nullopt;
}

Expected<const Tokenizer *> LoadedModel::tokenizer() const {
  if (!words)
    return unsupported("the model has no tokenizer: give token ids");
  return &*words;
}

const llmc_entry &LoadedModel::encoderFor(int64_t tokens) const {
  const llmc_entry *entry = level->encoders;
  while (entry->max_tokens < tokens)
    ++entry;
  return *entry;
}

int64_t LoadedModel::entryIndexFor(int64_t tokens) const {
  int64_t index = 0;
  while (level->entries[index].max_tokens < tokens)
    ++index;
  return index;
}

} // namespace llmc
