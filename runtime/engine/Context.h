// A model at work: workers, the states of its sequences, and the buffers of a step. All memory is reserved when it is
// made; evaluating allocates nothing.
//
// Attention caches hold every position, so a sequence goes back by forgetting its length. States that do not grow hold what
// the last token left: they go back to a checkpoint and are then behind the sequence (pending) until the next eval, which runs the
// tokens between again. Models without such states keep no checkpoints and are never behind.
//
//   LLMC_TRY(context, Context::create(model, {.context = 4096}));
//   llmc_eval_request request = {.tokens = ids, .count = 3, .want = LLMC_WANT_LAST, …};
//   LLMC_TRY(end, context->eval(request));
//   std::span<const float> logits = context->lastLogits();
//
// Thread-compatible, except setCancel.
#pragma once

#include "llmc/llmc.h"
#include "runtime/cuda/GpuStep.h"
#include "runtime/engine/Checkpoints.h"
#include "runtime/engine/ContextPlan.h"
#include "runtime/engine/Profile.h"
#include "runtime/engine/States.h"
#include "runtime/engine/Workers.h"
#include "runtime/sampler/BestTokens.h"

#include <atomic>

namespace llmc {

enum class EvalEnd { Done, Cancelled, Stopped }; // Stopped: a callback asked for it

// Told after each chunk how many tokens are done: of the request, and those that the slots were behind (pending), which
// come first. False stops.
struct EvalProgress {
  bool (*report)(void *user, int64_t done) = nullptr;
  void *user = nullptr;
};

class Context {
public:
  // Errors: planContext, checkFits; InvalidInput if the system gives no memory or threads.
  static Expected<std::unique_ptr<Context>> create(std::shared_ptr<const LoadedModel> model,
                                                   const ContextOptions &options);

  ~Context();

  const LoadedModel &model() const { return *owner; }
  const ContextPlan &plan() const { return sizes; }

  // llmc_eval. Unless Done, every slot is as it was before.
  // `goesBack`: the slots will probably be rolled back to tokens of this request, so their states before it are worth a checkpoint.
  Expected<EvalEnd> eval(const llmc_eval_request &request, EvalProgress progress = {}, bool goesBack = false);
  // llmc_encode. Unless Done, the slot is as it was before.
  Expected<EvalEnd> encode(const llmc_eval_request &request);
  // Tokens of the source that an encoder-decoder's encoder has read into the slot.
  int64_t sourceLength(int64_t slot) const { return sources[size_t(slot)]; }
  // The last row that the last eval wrote, where the request gave no buffer of its own: [vocab].
  std::span<const float> lastLogits() const;
  // Of a request with `best`: the best tokens of the last row of the last eval, in order. Empty otherwise.
  std::span<const ScoredToken> lastBest() const;

  // Any thread, any signal handler.
  void setCancel(bool on) { cancelled.store(on, std::memory_order_relaxed); }
  bool isCancelled() const { return cancelled.load(std::memory_order_relaxed); }

  // The functions of llmc.h of these names. Errors: InvalidInput on a slot that does not exist.
  Expected<void> checkSlot(int64_t slot) const;
  int64_t length(int64_t slot) const { return lengths[size_t(slot)]; }
  std::span<const TokenId> tokens(int64_t slot) const;
  Expected<void> rollback(int64_t slot, int64_t length);
  // Tokens of the slot that the next eval runs again first: its states that do not grow are behind by so many.
  int64_t pending(int64_t slot) const { return sizes.fixedBytes ? length(slot) - ready[size_t(slot)] : 0; }
  // Rolls back to `length` and, if the logits after its last token are kept, makes them lastLogits(): nothing need be evaluated.
  // False, and nothing has changed, if they are not.
  bool recall(int64_t slot, int64_t length);
  // `same`: of how many of its first tokens slot `to` holds the very states already (it was forked from a sequence that began with them).
  Expected<void> fork(int64_t from, int64_t to, int64_t same = 0);
  Expected<void> clear(int64_t slot);
  int64_t saveBytes(int64_t slot) const;
  Expected<void> save(int64_t slot, std::span<uint8_t> target) const;
  Expected<void> restore(int64_t slot, std::span<const uint8_t> source);

  // llmc_profile, llmc_profile_read. Errors: Unsupported without a profile in the library; InvalidInput if none was begun.
  Expected<void> beginProfile();
  void endProfile() { profile.reset(); }
  Expected<std::string> profileJson() const;

private:
  // A step to run: tokens [first, first + tokens) of the request, of which `rows` are wanted.
  struct Chunk {
    const TokenId *tokenIds;
    int64_t tokens, firstRow, rows;
    bool wantsHidden;
  };
  class RowPicker;

  Context(std::shared_ptr<const LoadedModel> model, const ContextPlan &plan);
  Expected<void> allocate();
  Expected<void> allocateOnCpu();
  Expected<void> allocateOnGpu();
  Expected<void> validate(const llmc_eval_request &request);
  Expected<void> validateRows(const llmc_eval_request &request) const;
  Expected<void> validateExtras(const llmc_eval_request &request) const;
  Expected<void> checkToken(const llmc_eval_request &request, int64_t index) const;
  Expected<void> validateWhole(const llmc_eval_request &request) const;
  Expected<void> validateSource(const llmc_eval_request &request) const;
  void noteToken(size_t t, const llmc_eval_request &request, int64_t index, int64_t slot, int64_t position, int64_t length);
  Expected<EvalEnd> evalChunks(const llmc_eval_request &request, EvalProgress progress, int64_t doneBefore);
  Chunk fillChunk(const llmc_eval_request &request, int64_t first, RowPicker &rows);
  // `panels` > 0: of each row that many panels, into stepPanels and stepPanelLogits, and no logits.
  Expected<void> runChunk(const Chunk &chunk, float *logits, float *hidden, int64_t panels);
  llmc_step stepOf(int64_t tokens, int64_t rows, const TokenId *ids, float *logits, float *hidden);
  void runOnWorkers(llmc_step &step, llmc_step_fn run);
  int64_t panelsFor(const llmc_eval_request &request, const Chunk &chunk) const;
  Expected<void> checkRows(const Chunk &chunk, const float *logits, int64_t panels) const;
  void takeBest(const llmc_eval_request &request, const Chunk &chunk, const float *logits, int64_t panels);

  // ContextRewind.cpp
  Expected<EvalEnd> catchUp(EvalProgress progress, int64_t &done);
  Expected<EvalEnd> replay(int64_t slot, EvalProgress progress, int64_t doneBefore);
  void rewind(int64_t slot, int64_t length);
  void noteStep(const Chunk &chunk);
  bool isLongRequest(int64_t slot) const;
  void markStarts(bool goesBack);
  void markEnds(const Chunk &chunk, const float *logits);
  Checkpoint *mark(int64_t slot, CheckpointKind kind);
  float *rowOf(const Checkpoint &checkpoint) const;
  // ContextSave.cpp
  int64_t savedStateBytes(int64_t length, int64_t count) const;
  void saveCheckpoints(int64_t slot, uint8_t *table, uint8_t *copies) const;
  void restoreCheckpoints(int64_t slot, int64_t count, const uint8_t *table, const uint8_t *copies);

  TokenId *tokenStore(int64_t slot) const { return history.as<TokenId>() + slot * sizes.context; }

  std::shared_ptr<const LoadedModel> owner;
  ContextPlan sizes;
  std::unique_ptr<Workers> workers; // null on a GPU
  std::unique_ptr<GpuStep> gpu;     // null on the CPU
  std::unique_ptr<Profile> profile; // null: nobody asked for one
  States states;
  Checkpoints checkpoints;
  Region arena, scratch, ownLogits, ownHidden, history;
  std::vector<int64_t> lengths;                                         // [slots] tokens held
  std::vector<int64_t> sources;                                         // [slots] tokens that the encoder has read
  std::vector<int64_t> ready; // [slots] tokens that the states which do not grow have seen; means nothing without any
  std::vector<int64_t> lengthsBefore, lengthsAfter, lastIndices;        // [slots] of the request
  std::vector<int32_t> stepPositions, stepSlots, stepLengths, stepRows; // [maxStepTokens]
  std::vector<int32_t> stepPositionIds, stepTokenTypes, stepSources;    // [maxStepTokens]
  std::vector<int32_t> stepPanels;      // [maxBestRows * maxBest]
  std::vector<float> stepPanelLogits;   // [maxBestRows * maxBest][16]
  std::vector<ScoredToken> best;        // of the last row that was taken
  bool hasBest = false;
  int64_t ownRows = 0;                                                  // rows that the last chunk left in ownLogits
  std::atomic<bool> cancelled{false};
};

} // namespace llmc
