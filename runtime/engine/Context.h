// A model at work: workers, the states of its sequences, and the buffers of a step. All memory is reserved when it is
// made; evaluating allocates nothing.
//
//   LLMC_TRY(context, Context::create(model, {.context = 4096}));
//   llmc_eval_request request = {.tokens = ids, .count = 3, .want = LLMC_WANT_LAST, …};
//   LLMC_TRY(end, context->eval(request));
//   std::span<const float> logits = context->lastLogits();
//
// Thread-compatible, except setCancel.
#pragma once

#include "llmc/llmc.h"
#include "runtime/engine/ContextPlan.h"
#include "runtime/engine/States.h"
#include "runtime/engine/Workers.h"

#include <atomic>

namespace llmc {

enum class EvalEnd { Done, Cancelled, Stopped }; // Stopped: a callback asked for it

// Told after each chunk how many tokens of the request are done; false stops.
struct EvalProgress {
  bool (*report)(void *user, int64_t done) = nullptr;
  void *user = nullptr;
};

class Context {
public:
  // Errors: planContext, checkFits; InvalidInput if the system gives no memory or threads.
  static Expected<std::unique_ptr<Context>> create(std::shared_ptr<const LoadedModel> model,
                                                   const ContextOptions &options);

  const LoadedModel &model() const { return *owner; }
  const ContextPlan &plan() const { return sizes; }

  // llmc_eval. Unless Done, every slot has the length it had before.
  Expected<EvalEnd> eval(const llmc_eval_request &request, EvalProgress progress = {});
  // The last row that the last eval wrote, where the request gave no buffer of its own: [vocab].
  std::span<const float> lastLogits() const;

  // Any thread, any signal handler.
  void setCancel(bool on) { cancelled.store(on, std::memory_order_relaxed); }
  bool isCancelled() const { return cancelled.load(std::memory_order_relaxed); }

  // The functions of llmc.h of these names. Errors: InvalidInput on a slot that does not exist.
  Expected<void> checkSlot(int64_t slot) const;
  int64_t length(int64_t slot) const { return lengths[size_t(slot)]; }
  std::span<const TokenId> tokens(int64_t slot) const;
  Expected<void> rollback(int64_t slot, int64_t length);
  Expected<void> fork(int64_t from, int64_t to);
  Expected<void> clear(int64_t slot);
  int64_t saveBytes(int64_t slot) const;
  Expected<void> save(int64_t slot, std::span<uint8_t> target) const;
  Expected<void> restore(int64_t slot, std::span<const uint8_t> source);

private:
  struct Chunk;
  class RowPicker;

  Context(std::shared_ptr<const LoadedModel> model, const ContextPlan &plan);
  Expected<void> allocate();
  Expected<void> validate(const llmc_eval_request &request);
  Expected<void> validateRows(const llmc_eval_request &request) const;
  Expected<EvalEnd> evalChunks(const llmc_eval_request &request, EvalProgress progress);
  Chunk fillChunk(const llmc_eval_request &request, int64_t first, RowPicker &rows);
  void runChunk(const Chunk &chunk, float *logits, float *hidden);
  Expected<void> checkRows(const Chunk &chunk, const float *logits) const;
  TokenId *tokenStore(int64_t slot) const { return history.as<TokenId>() + slot * sizes.context; }

  std::shared_ptr<const LoadedModel> owner;
  ContextPlan sizes;
  std::unique_ptr<Workers> workers;
  States states;
  Region arena, scratch, ownLogits, ownHidden, history;
  std::vector<int64_t> lengths;                                         // [slots] tokens held
  std::vector<int64_t> lengthsBefore, lengthsAfter, lastIndices;        // [slots] of the request
  std::vector<int32_t> stepPositions, stepSlots, stepLengths, stepRows; // [maxStepTokens]
  int64_t ownRows = 0;                                                  // rows that the last chunk left in ownLogits
  std::atomic<bool> cancelled{false};
};

} // namespace llmc
