#include "runtime/engine/ContextPlan.h"

#include "runtime/engine/Checkpoints.h"
#include "runtime/engine/Machine.h"
#include "runtime/engine/States.h"
#include "runtime/sampler/BestTokens.h"
#include "runtime/support/CheckedMath.h"

#include <algorithm>
#include <limits>

namespace llmc {
namespace {

constexpr int64_t maxSlots = 4096, maxThreads = 1024, minContext = 64;
constexpr int64_t defaultCheckpoints = 8;
constexpr int64_t maxContext = std::numeric_limits<int32_t>::max() / 64 * 64; // positions are int32
// Enough rows that a request for all logits runs in sizeable chunks, few enough that they may all be resident.
constexpr int64_t mostBestRows = 64; // more than sequences are decoded together
constexpr int64_t ownLogitBytes = int64_t(128) << 20;

Expected<void> inRange(const char *name, int64_t value, int64_t most) {
  if (value >= 0 && value <= most)
    return {};
  return invalidInput(std::string(name) + ": want 1 … " + std::to_string(most) + ", got " + std::to_string(value));
}

Expected<void> checkOptions(const LoadedModel &model, const ContextOptions &options) {
  LLMC_CHECK(inRange("context", options.context, maxContext));
  LLMC_CHECK(inRange("slots", options.slots, maxSlots));
  LLMC_CHECK(inRange("threads", options.threads, maxThreads));
  LLMC_CHECK(inRange("checkpoints", std::max<int64_t>(options.checkpoints, 0), maxCheckpoints));
  if (auto limit = model.positionLimit(); limit && options.context > *limit)
    return invalidInput("context: this model has " + std::to_string(*limit) + " positions, got " +
                        std::to_string(options.context) + "; use -c " + std::to_string(*limit));
  return {};
}

// Bytes of all states, or nullopt if they overflow.
std::optional<int64_t> stateBytes(const LoadedModel &model, int64_t context, int64_t slots) {
  auto slot = States::slotBytes(model.artifact(), context);
  return slot ? checkedMul(*slot, slots) : std::nullopt;
}

int64_t halvedToFit(const LoadedModel &model, int64_t context, int64_t slots, int64_t bytes) {
  while (context > minContext && stateBytes(model, context, slots).value_or(bytes + 1) > bytes)
    context /= 2;
  return context;
}

int64_t defaultContext(const LoadedModel &model, int64_t slots, int64_t availableBytes) {
  int64_t trained = std::min(model.artifact().context, maxContext);
  trained = std::min(trained, model.positionLimit().value_or(trained));
  return halvedToFit(model, trained, slots, availableBytes / 2);
}

int64_t checkpointsPerSlot(const ContextOptions &options, const ContextPlan &plan, int64_t availableBytes) {
  if (plan.fixedBytes == 0 || options.checkpoints < 0)
    return 0;
  if (options.checkpoints > 0)
    return options.checkpoints;
  int64_t share = availableBytes / 8 / plan.slots;
  return std::clamp<int64_t>(share / Checkpoints::strideOf(plan.checkpointBytes), 0, defaultCheckpoints);
}

Expected<void> planCheckpoints(const LoadedModel &model, const ContextOptions &options, int64_t availableBytes,
                               ContextPlan &plan) {
  LLMC_TRY(fixed, States::fixedBytes(model.artifact()));
  plan.fixedBytes = fixed;
  plan.checkpointBytes = fixed + model.artifact().vocab * int64_t(sizeof(float));
  plan.checkpoints = checkpointsPerSlot(options, plan, availableBytes);
  auto all = checkedMul(Checkpoints::strideOf(plan.checkpointBytes), plan.checkpoints * plan.slots);
  if (!all)
    return invalidInput("checkpoints: " + std::to_string(plan.checkpoints) + " for each of " + std::to_string(plan.slots) +
                        " slots exceed the address space");
  plan.allCheckpointBytes = *all;
  return {};
}

int64_t alignUp64(int64_t bytes) { return (bytes + 63) / 64 * 64; }

void planBuffers(const LoadedModel &model, ContextPlan &plan) {
  const llmc_artifact &artifact = model.artifact();
  plan.arenaBytes = plan.scratchBytes = 0;
  const llmc_isa &isa = model.isa();
  for (std::span entries : {std::span(isa.entries, size_t(isa.entry_count)), std::span(isa.encoders, size_t(isa.encoder_count))})
    for (const llmc_entry &entry : entries) {
      plan.arenaBytes = std::max(plan.arenaBytes, alignUp64(entry.arena_bytes));
      plan.scratchBytes = std::max(plan.scratchBytes, entry.scratch_bytes * plan.threads);
    }
  int64_t rowBytes = artifact.vocab * int64_t(sizeof(float));
  plan.maxRows = std::clamp<int64_t>(ownLogitBytes / rowBytes, 1, model.maxStepTokens());
  if (model.looksAhead()) // all rows of a sequence leave in one step
    plan.maxRows = std::min(model.maxStepTokens(), plan.context * plan.slots);
  plan.logitBytes = model.hasLogits() ? plan.maxRows * rowBytes : 0;
  plan.maxBestRows = std::min(plan.maxRows, mostBestRows);
  // Of each row the panels with their logits, and the tokens.
  plan.bestBytes = plan.maxBestRows * maxBest * ((1 + panelTokens) * int64_t(sizeof(float)) + int64_t(sizeof(ScoredToken)));
  plan.hiddenBytes = std::max(model.maxStepTokens(), model.maxSourceTokens()) * artifact.hidden * int64_t(sizeof(float));
}

} // namespace

Expected<ContextPlan> planContext(const LoadedModel &model, const ContextOptions &options, int64_t availableBytes) {
  LLMC_CHECK(checkOptions(model, options));
  ContextPlan plan{};
  plan.slots = options.slots ? options.slots : 1;
  plan.threads = model.gpu() ? int(model.gpu()->blocks()) : options.threads ? options.threads : availableCpus();
  plan.context = options.context ? options.context : defaultContext(model, plan.slots, availableBytes);
  LLMC_TRY(slotBytes, States::slotBytes(model.artifact(), plan.context));
  auto all = checkedMul(slotBytes, plan.slots);
  if (!all)
    return invalidInput("context: " + std::to_string(plan.slots) + " slots exceed the address space");
  plan.slotBytes = slotBytes;
  plan.stateBytes = *all;
  LLMC_CHECK(planCheckpoints(model, options, availableBytes, plan));
  planBuffers(model, plan);
  return plan;
}

Expected<void> checkFits(const LoadedModel &model, const ContextPlan &plan, int64_t availableBytes) {
  int64_t otherBytes = plan.workBytes() + plan.allCheckpointBytes;
  auto total = checkedAdd(plan.stateBytes, otherBytes);
  if (total && *total <= availableBytes)
    return {};
  std::string sequences = plan.slots > 1 ? std::to_string(plan.slots) + " x " : "";
  const char *what = plan.fixedBytes ? "states for " : "KV cache for ";
  std::string message = what + sequences + std::to_string(plan.context) + " tokens needs " +
                        formatBytes(plan.stateBytes) + ", " + formatBytes(availableBytes) + " free";
  int64_t room = availableBytes - otherBytes;
  int64_t fits = halvedToFit(model, plan.context, plan.slots, room);
  if (stateBytes(model, fits, plan.slots).value_or(room + 1) <= room)
    message += "; use -c " + std::to_string(fits);
  return invalidInput(message);
}

} // namespace llmc
