// How states that do not grow follow a sequence that goes back: where checkpoints are taken, and what is run again.
//
// A copy costs about what the step of a few tokens does, so it is taken where that is little: before and after a long request,
// after tokens were run again, and at the end of a step when the last copy is far behind.
#include "runtime/engine/Context.h"

#include <algorithm>
#include <cstring>

namespace llmc {
namespace {

// Tokens of a request, or of a replay, whose ends are worth a copy.
constexpr int64_t longRequest = 16;
// Tokens after which a copy is taken wherever a step ends.
constexpr int64_t spacing = 64;

} // namespace

// ---- Going back -----------------------------------------------------------------------------------------------------

void Context::rewind(int64_t slot, int64_t length) {
  if (!sizes.fixedBytes)
    return;
  checkpoints.dropBeyond(slot, length);
  int64_t &seen = ready[size_t(slot)];
  if (seen <= length)
    return;
  const Checkpoint *last = checkpoints.nearest(slot, length);
  if (last)
    states.restoreFixed(slot, checkpoints.memory(*last));
  seen = last ? last->length : 0; // at position 0 a kernel begins from the empty state, whatever lies there
}

bool Context::recall(int64_t slot, int64_t length) {
  const Checkpoint *last = checkpoints.nearest(slot, length);
  if (!last || last->length != length || !last->hasRow)
    return false;
  lengths[size_t(slot)] = length;
  rewind(slot, length);
  std::memcpy(ownLogits.data(), rowOf(*last), size_t(owner->artifact().vocab) * sizeof(float));
  ownRows = 1;
  hasBest = false;
  return true;
}

// ---- Coming forward again -------------------------------------------------------------------------------------------

Expected<EvalEnd> Context::catchUp(EvalProgress progress, int64_t &done) {
  for (int64_t slot = 0; sizes.fixedBytes && slot < sizes.slots; ++slot) {
    int64_t behind = pending(slot);
    if (behind == 0 || lengthsAfter[size_t(slot)] == length(slot))
      continue;
    LLMC_TRY(end, replay(slot, progress, done));
    if (end != EvalEnd::Done)
      return end;
    done += behind;
  }
  return EvalEnd::Done;
}

// Runs the tokens again that the slot holds already. What is done of it stays done if it is stopped.
Expected<EvalEnd> Context::replay(int64_t slot, EvalProgress progress, int64_t doneBefore) {
  size_t s = size_t(slot);
  int64_t held = lengths[s], after = std::exchange(lengthsAfter[s], held);
  llmc_eval_request again{};
  again.tokens = tokenStore(slot) + ready[s];
  again.count = pending(slot);
  again.slot = int32_t(slot);
  lengths[s] = lengthsBefore[s] = ready[s];
  auto end = evalChunks(again, progress, doneBefore);
  lengths[s] = lengthsBefore[s] = held;
  lengthsAfter[s] = after;
  return end;
}

// Every token of a step is known to the states, whatever becomes of its request.
void Context::noteStep(const Chunk &chunk) {
  for (int64_t t = 0; sizes.fixedBytes && t < chunk.tokens; ++t)
    ready[size_t(stepSlots[size_t(t)])] = stepPositions[size_t(t)] + 1;
}

// ---- Checkpoints ----------------------------------------------------------------------------------------------------

float *Context::rowOf(const Checkpoint &checkpoint) const {
  return reinterpret_cast<float *>(checkpoints.memory(checkpoint) + sizes.fixedBytes);
}

// Null if the sequence is empty or has a copy of this length.
Checkpoint *Context::mark(int64_t slot, CheckpointKind kind) {
  int64_t seen = ready[size_t(slot)];
  const Checkpoint *last = checkpoints.nearest(slot, seen);
  if (seen == 0 || (last && last->length == seen))
    return nullptr;
  Checkpoint &added = checkpoints.add(slot, seen, kind);
  states.saveFixed(slot, checkpoints.memory(added));
  return &added;
}

bool Context::isLongRequest(int64_t slot) const {
  return lengthsAfter[size_t(slot)] - lengthsBefore[size_t(slot)] >= longRequest;
}

// So that a request that fails, or another one in its place, begins from here at once.
void Context::markStarts(bool goesBack) {
  for (int64_t slot = 0; sizes.checkpoints && slot < sizes.slots; ++slot)
    if (isLongRequest(slot))
      mark(slot, CheckpointKind::Boundary);
    else if (goesBack && lengthsAfter[size_t(slot)] > length(slot))
      mark(slot, CheckpointKind::Passing);
}

// `logits` null: there are none to keep.
void Context::markEnds(const Chunk &chunk, const float *logits) {
  int64_t vocab = owner->artifact().vocab;
  for (int64_t t = 0; sizes.checkpoints && t < chunk.tokens; ++t) {
    int64_t slot = stepSlots[size_t(t)], seen = ready[size_t(slot)];
    if (stepPositions[size_t(t)] + 1 != seen)
      continue; // the step goes on with this slot
    const Checkpoint *last = checkpoints.nearest(slot, seen);
    bool isEnd = seen == lengthsAfter[size_t(slot)] && isLongRequest(slot);
    if (!isEnd && seen - (last ? last->length : 0) < spacing)
      continue;
    Checkpoint *added = mark(slot, isEnd ? CheckpointKind::Boundary : CheckpointKind::Passing);
    auto rows = std::span(stepRows).first(size_t(chunk.rows));
    auto row = std::ranges::lower_bound(rows, int32_t(t));
    if (!added || !logits || row == rows.end() || *row != int32_t(t))
      continue;
    std::memcpy(rowOf(*added), logits + (row - rows.begin()) * vocab, size_t(vocab) * sizeof(float));
    added->hasRow = true;
  }
}

} // namespace llmc
