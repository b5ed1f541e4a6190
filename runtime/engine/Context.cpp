#include "runtime/engine/Context.h"

#include "runtime/cuda/GpuLimits.h"
#include "runtime/engine/Machine.h"

#include <algorithm>

namespace llmc {

Context::Context(std::shared_ptr<const LoadedModel> model, const ContextPlan &plan)
    : owner(std::move(model)), sizes(plan) {
  owner->weightMemory().promise(sizes.allBytes());
}

Context::~Context() { owner->weightMemory().promise(-sizes.allBytes()); }

Expected<std::unique_ptr<Context>> Context::create(std::shared_ptr<const LoadedModel> model,
                                                   const ContextOptions &options) {
  int64_t available = model->availableBytes();
  LLMC_TRY(plan, planContext(*model, options, available));
  LLMC_CHECK(checkFits(*model, plan, available));
  std::unique_ptr<Context> context(new Context(std::move(model), plan));
  LLMC_CHECK(context->allocate());
  return context;
}

Expected<void> Context::allocate() {
  LLMC_CHECK(owner->gpu() ? allocateOnGpu() : allocateOnCpu());
  LLMC_TRY(copies, Checkpoints::reserve(sizes.checkpointBytes, sizes.slots, sizes.checkpoints));
  checkpoints = std::move(copies);
  struct {
    Region &region;
    int64_t bytes;
    const char *what;
  } wanted[] = {{ownHidden, sizes.hiddenBytes, "hidden rows"},
                {history, sizes.slots * sizes.context * int64_t(sizeof(TokenId)), "token ids"}};
  for (auto &[region, bytes, what] : wanted) {
    LLMC_TRY(memory, Region::reserve(bytes, what));
    region = std::move(memory);
  }
  for (auto *perSlot : {&lengths, &ready, &lengthsBefore, &lengthsAfter, &lastIndices, &sources})
    perSlot->assign(size_t(sizes.slots), 0);
  for (auto *perToken : {&stepPositions, &stepSlots, &stepLengths, &stepRows, &stepPositionIds, &stepTokenTypes, &stepSources})
    perToken->assign(size_t(std::max(owner->maxStepTokens(), owner->maxSourceTokens())), 0);
  stepPanels.assign(size_t(sizes.maxBestRows * maxBest), 0);
  stepPanelLogits.assign(size_t(sizes.maxBestRows * maxBest * panelTokens), 0);
  best.reserve(size_t(maxBest * panelTokens));
  return {};
}

Expected<void> Context::allocateOnCpu() {
  LLMC_TRY(reserved, States::reserve(owner->artifact(), sizes.context, sizes.slots));
  states = std::move(reserved);
  if (owner->weightMemory().usesHugePages())
    states.preferHugePages();
  LLMC_TRY(arenaMemory, Region::reserve(sizes.arenaBytes, "arena"));
  arena = std::move(arenaMemory);
  LLMC_TRY(scratchMemory, Region::reserve(sizes.scratchBytes, "scratch"));
  scratch = std::move(scratchMemory);
  LLMC_TRY(logits, Region::reserve(sizes.logitBytes, "logits"));
  ownLogits = std::move(logits);
  arena.preferHugePages();
  scratch.preferHugePages();
  LLMC_TRY(team, Workers::create(sizes.threads));
  workers = std::move(team);
  return {};
}

static Expected<Region> takeFrom(const GpuDevice &device, GpuMemoryKind kind, int64_t bytes, const char *what) {
  LLMC_TRY(taken, GpuMemory::take(device, kind, bytes, what));
  auto memory = std::make_shared<GpuMemory>(std::move(taken));
  return Region::adopt(memory->host(), bytes, memory);
}

// The states lie in memory that both sides may touch: sequences are copied, kept and restored as on the CPU.
Expected<void> Context::allocateOnGpu() {
  const GpuDevice &device = owner->gpu()->device();
  auto reserve = [&](int64_t bytes, const char *what) { return takeFrom(device, GpuMemoryKind::Shared, bytes, what); };
  LLMC_TRY(reserved, States::reserve(owner->artifact(), sizes.context, sizes.slots, reserve));
  states = std::move(reserved);
  LLMC_TRY(logits, takeFrom(device, GpuMemoryKind::Pinned, sizes.logitBytes, "logits"));
  ownLogits = std::move(logits);
  const llmc_artifact &artifact = owner->artifact();
  LLMC_TRY(made, GpuStep::create(*owner->gpu(), {.tokens = owner->maxStepTokens(), .rows = sizes.maxRows, .bestRows = sizes.maxBestRows,
                                                 .best = maxBest, .vocab = artifact.vocab, .hidden = artifact.hidden,
                                                 .states = artifact.state_count, .arenaBytes = sizes.arenaBytes,
                                                 .scratchBytes = sizes.scratchBytes}));
  gpu = std::move(made);
  return {};
}

std::span<const float> Context::lastLogits() const {
  if (ownRows == 0)
    return {};
  int64_t vocab = owner->artifact().vocab;
  return {ownLogits.as<float>() + (ownRows - 1) * vocab, size_t(vocab)};
}

std::span<const ScoredToken> Context::lastBest() const {
  return hasBest ? std::span<const ScoredToken>(best) : std::span<const ScoredToken>();
}

Expected<void> Context::beginProfile() {
  LLMC_TRY(begun, Profile::create(*owner, gpu ? 1 : workers->count()));
  profile = std::move(begun);
  if (!gpu)
    return {};
  const GpuFacts &facts = owner->gpu()->device().facts();
  GpuLimits limits = gpuLimits(facts);
  profile->setLimits({{"name", facts.name}, {"read_bytes_per_second", limits.readBytesPerSecond}, {"operations_per_second", limits.operationsPerSecond}});
  return {};
}

Expected<std::string> Context::profileJson() const {
  if (!profile)
    return invalidInput("profile: none was begun in this context");
  return profile->json();
}

Expected<void> Context::checkSlot(int64_t slot) const {
  if (slot >= 0 && slot < sizes.slots)
    return {};
  return invalidInput("slot " + std::to_string(slot) + ": the context has slots 0 … " +
                      std::to_string(sizes.slots - 1));
}

std::span<const TokenId> Context::tokens(int64_t slot) const { return {tokenStore(slot), size_t(length(slot))}; }

Expected<void> Context::rollback(int64_t slot, int64_t length) {
  LLMC_CHECK(checkSlot(slot));
  int64_t &held = lengths[size_t(slot)];
  if (length < 0 || length > held)
    return invalidInput("rollback: want 0 … " + std::to_string(held) + " tokens (slot " + std::to_string(slot) +
                        " holds as many), got " + std::to_string(length));
  held = length;
  rewind(slot, length);
  return {};
}

Expected<void> Context::fork(int64_t from, int64_t to, int64_t same) {
  LLMC_CHECK(checkSlot(from));
  LLMC_CHECK(checkSlot(to));
  if (from == to)
    return {};
  states.copy(from, to, std::max(length(from), sourceLength(from)), std::min(same, length(from)));
  std::copy_n(tokenStore(from), length(from), tokenStore(to));
  lengths[size_t(to)] = length(from);
  ready[size_t(to)] = ready[size_t(from)];
  sources[size_t(to)] = sources[size_t(from)];
  checkpoints.share(from, to);
  return {};
}

Expected<void> Context::clear(int64_t slot) {
  LLMC_CHECK(checkSlot(slot));
  lengths[size_t(slot)] = ready[size_t(slot)] = sources[size_t(slot)] = 0;
  checkpoints.clear(slot);
  states.release(slot);
  return {};
}

} // namespace llmc
