// How large a context is, before anything is allocated.
#pragma once

#include "runtime/engine/LoadedModel.h"

namespace llmc {

constexpr int64_t maxCheckpoints = 64; // of a slot
constexpr int64_t maxBest = 128;       // llmc_eval_request.best
constexpr int64_t panelTokens = 16;    // llmc_step.best

struct ContextOptions {
  int64_t context = 0; // positions a slot; 0: what the model was trained for, halved until it fits half the free memory
  int64_t slots = 0;   // 0: 1
  int threads = 0;     // 0: the CPUs of this process
  // Copies of the states that do not grow which each slot keeps to go back to. 0: 8, fewer if they took more than an eighth
  // of the free memory; negative: none
  int64_t checkpoints = 0;
};

struct ContextPlan {
  int64_t context, slots;
  int threads; // workers: on a GPU its blocks
  int64_t maxRows; // rows of logits that the context's own buffer holds
  int64_t maxBestRows; // rows of the best tokens that it holds
  int64_t arenaBytes, scratchBytes, logitBytes, hiddenBytes, bestBytes;
  int64_t slotBytes, stateBytes; // of one slot, of all
  int64_t fixedBytes;            // of the states of one slot that do not grow
  int64_t checkpoints;           // of each slot; 0 if no state needs any
  int64_t checkpointBytes, allCheckpointBytes; // of one, of all
  int64_t workBytes() const { return arenaBytes + scratchBytes + logitBytes + hiddenBytes + bestBytes; }
  int64_t allBytes() const { return workBytes() + stateBytes + allCheckpointBytes; }
};

// Errors: InvalidInput naming the option, its value and its range.
Expected<ContextPlan> planContext(const LoadedModel &model, const ContextOptions &options, int64_t availableBytes);

// Errors: InvalidInput if the plan does not fit; names a context that does.
Expected<void> checkFits(const LoadedModel &model, const ContextPlan &plan, int64_t availableBytes);

} // namespace llmc
