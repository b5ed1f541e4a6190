// Context::eval: a request of any length becomes steps of at most the largest specialisation's tokens.
#include "runtime/engine/Context.h"

#include <algorithm>
#include <limits>

namespace llmc {
namespace {

int64_t slotOf(const llmc_eval_request &request, int64_t token) {
  return request.slots ? request.slots[token] : request.slot;
}

} // namespace

// Walks the wanted rows of a request, in order.
class Context::RowPicker {
public:
  RowPicker(const llmc_eval_request &request, std::span<const int64_t> lastIndices)
      : request(request), lastIndices(lastIndices) {}
  bool wants(int64_t token) const {
    switch (request.want) {
    case LLMC_WANT_LAST:
      return lastIndices[size_t(slotOf(request, token))] == token;
    case LLMC_WANT_ALL:
      return true;
    case LLMC_WANT_LIST:
      return done < request.row_count && request.rows[done] == token;
    default:
      return false;
    }
  }
  int64_t taken() const { return done; }
  void take() { ++done; }

private:
  const llmc_eval_request &request;
  std::span<const int64_t> lastIndices;
  int64_t done = 0;
};

Expected<void> Context::validateRows(const llmc_eval_request &request) const {
  if (request.want < LLMC_WANT_NONE || request.want > LLMC_WANT_LIST)
    return invalidInput("want: " + std::to_string(request.want) + " is no member of llmc_want");
  if (request.best < 0 || request.best > maxBest)
    return invalidInput("best: want 0 … " + std::to_string(maxBest) + " tokens, got " + std::to_string(request.best));
  if (request.want != LLMC_WANT_LIST)
    return {};
  if (request.row_count < 0 || (request.row_count > 0 && !request.rows))
    return invalidInput("rows: want a list of row_count token indices, got none");
  for (int64_t i = 0, previous = -1; i < request.row_count; previous = request.rows[i++])
    if (request.rows[i] <= previous || request.rows[i] >= request.count)
      return invalidInput("rows: want ascending indices below " + std::to_string(request.count) + ", got " +
                          std::to_string(request.rows[i]) + " after " + std::to_string(previous));
  return {};
}

// Also notes for each slot its length after the request, and its last token in it.
Expected<void> Context::validate(const llmc_eval_request &request) {
  if (request.count < 1 || !request.tokens)
    return invalidInput("tokens: want at least one");
  LLMC_CHECK(validateRows(request));
  lengthsAfter = lengths;
  int64_t vocab = owner->artifact().vocab;
  for (int64_t i = 0; i < request.count; ++i) {
    int64_t slot = slotOf(request, i);
    LLMC_CHECK(checkSlot(slot));
    if (request.tokens[i] < 0 || request.tokens[i] >= vocab)
      return invalidInput("token " + std::to_string(request.tokens[i]) + " at index " + std::to_string(i) +
                          ": the vocabulary has ids 0 … " + std::to_string(vocab - 1));
    ++lengthsAfter[size_t(slot)];
    lastIndices[size_t(slot)] = i;
  }
  for (int64_t slot = 0; slot < sizes.slots; ++slot)
    if (int64_t after = lengthsAfter[size_t(slot)]; after > sizes.context)
      return invalidInput("context: slot " + std::to_string(slot) + " holds " + std::to_string(length(slot)) +
                          " tokens and would hold " + std::to_string(after) + ", the context has room for " +
                          std::to_string(sizes.context) + "; use -c " + std::to_string(after));
  return {};
}

Expected<EvalEnd> Context::eval(const llmc_eval_request &request, EvalProgress progress, bool goesBack) {
  ownRows = 0;
  hasBest = false;
  LLMC_CHECK(validate(request));
  lengthsBefore = lengths;
  int64_t done = 0;
  LLMC_TRY(caughtUp, catchUp(progress, done));
  if (caughtUp != EvalEnd::Done)
    return caughtUp;
  markStarts(goesBack);
  auto end = evalChunks(request, progress, done);
  if (end && *end == EvalEnd::Done)
    return end;
  lengths = lengthsBefore;
  for (int64_t slot = 0; slot < sizes.slots; ++slot)
    rewind(slot, length(slot));
  return end;
}

Expected<EvalEnd> Context::evalChunks(const llmc_eval_request &request, EvalProgress progress, int64_t doneBefore) {
  const llmc_artifact &artifact = owner->artifact();
  RowPicker rows(request, lastIndices);
  for (int64_t done = 0; done < request.count;) {
    if (isCancelled())
      return EvalEnd::Cancelled;
    Chunk chunk = fillChunk(request, done, rows);
    float *logits = request.logits ? request.logits + chunk.firstRow * artifact.vocab : ownLogits.as<float>();
    float *hidden = request.hidden ? request.hidden + chunk.firstRow * artifact.hidden : ownHidden.as<float>();
    int64_t panels = panelsFor(request, chunk);
    LLMC_CHECK(runChunk(chunk, logits, hidden, panels));
    noteStep(chunk);
    LLMC_CHECK(checkRows(chunk, logits, panels));
    ownRows = request.logits || panels ? 0 : chunk.rows;
    takeBest(request, chunk, logits, panels);
    done += chunk.tokens;
    if (request.on_rows && chunk.rows && request.on_rows(request.user, chunk.firstRow, chunk.rows, logits, hidden))
      return EvalEnd::Stopped;
    if (progress.report && !progress.report(progress.user, doneBefore + done))
      return EvalEnd::Stopped;
    markEnds(chunk, panels ? nullptr : logits);
  }
  return EvalEnd::Done;
}

Context::Chunk Context::fillChunk(const llmc_eval_request &request, int64_t first, RowPicker &rows) {
  Chunk chunk{request.tokens + first, 0, rows.taken(), 0, request.hidden || request.on_rows};
  int64_t most = std::min(owner->maxStepTokens(), request.count - first);
  int64_t mostRows = request.best ? sizes.maxBestRows : request.logits && !gpu ? most : sizes.maxRows;
  for (; chunk.tokens < most; ++chunk.tokens) {
    size_t t = size_t(chunk.tokens);
    int64_t index = first + chunk.tokens, slot = slotOf(request, index);
    bool wanted = rows.wants(index);
    if (wanted && chunk.rows == mostRows)
      break;
    int64_t position = lengths[size_t(slot)]++;
    tokenStore(slot)[position] = request.tokens[index];
    stepPositions[t] = int32_t(position);
    stepSlots[t] = int32_t(slot);
    stepLengths[t] = int32_t(lengthsAfter[size_t(slot)]);
    if (wanted) {
      stepRows[size_t(chunk.rows++)] = int32_t(chunk.tokens);
      rows.take();
    }
  }
  return chunk;
}

// Panels to ask for instead of logits; 0 if those are wanted, or if the step has but them.
int64_t Context::panelsFor(const llmc_eval_request &request, const Chunk &chunk) const {
  bool wanted = request.best > 0 && !request.logits && !request.on_rows && chunk.rows > 0;
  if (!wanted || owner->entryFor(chunk.tokens).best_rows < chunk.rows)
    return 0;
  return std::min(request.best, (owner->artifact().vocab + panelTokens - 1) / panelTokens);
}

Expected<void> Context::runChunk(const Chunk &chunk, float *logits, float *hidden, int64_t panels) {
  llmc_step step{};
  step.tokens = chunk.tokens;
  step.rows = chunk.rows;
  step.token_ids = chunk.tokenIds;
  step.positions = stepPositions.data();
  step.slots = stepSlots.data();
  step.lengths = stepLengths.data();
  step.row_tokens = stepRows.data();
  step.logits = logits;
  step.hidden = hidden;
  step.states = states.starts();
  step.state_slot_bytes = states.slotStrides();
  step.state_layer_bytes = states.layerStrides();
  step.capacity = stateCapacity(sizes.context);
  step.best = panels;
  step.best_panels = stepPanels.data();
  step.best_logits = stepPanelLogits.data();
  int64_t entry = owner->entryIndexFor(chunk.tokens);
  if (gpu) {
    step.hidden = chunk.wantsHidden ? hidden : nullptr;
    if (!profile)
      return gpu->run(step, entry);
    profile->begin(entry, std::span(stepPositions).first(size_t(chunk.tokens)), chunk.rows);
    return gpu->run(step, entry, [&](int64_t phase, int64_t ns) { profile->record(phase, ns); });
  }
  step.profile = profile ? profile->begin(entry, std::span(stepPositions).first(size_t(chunk.tokens)), chunk.rows) : Profile::none();
  runOnWorkers(step, entry);
  return {};
}

void Context::runOnWorkers(llmc_step &step, int64_t entry) {
  WeightMemory::Step weights = owner->weightMemory().beginStep();
  step.weights = weights.starts();
  step.arena = arena.data();
  step.scratch = scratch.data();
  step.team = workers->team();
  struct Call {
    llmc_step_fn run;
    const llmc_step *step;
  } call{owner->isa().entries[entry].run, &step};
  workers->run(
      [](void *data, int64_t worker) {
        auto *call = static_cast<Call *>(data);
        call->run(call->step, worker);
      },
      &call);
}

// A panel that holds NaN is among the best.
Expected<void> Context::checkRows(const Chunk &chunk, const float *logits, int64_t panels) const {
  const float *first = panels ? stepPanelLogits.data() : logits;
  int64_t width = panels ? panels * panelTokens : owner->artifact().vocab;
  for (int64_t row = 0; row < chunk.rows; ++row) {
    if (!hasNan({first + row * width, size_t(width)}))
      continue;
    size_t token = size_t(stepRows[size_t(row)]);
    return internalError("logits at position " + std::to_string(stepPositions[token]) + " of slot " +
                         std::to_string(stepSlots[token]) +
                         " are NaN: the weights are damaged (llmc verify) or the compiled code is wrong (try --exact)");
  }
  return {};
}

// The best tokens of each row of the chunk, to where the request wants them; those of the last stay in `best`.
void Context::takeBest(const llmc_eval_request &request, const Chunk &chunk, const float *logits, int64_t panels) {
  hasBest = request.best > 0 && chunk.rows > 0;
  size_t vocab = size_t(owner->artifact().vocab), count = size_t(request.best);
  bool everyRow = request.best_logits || request.best_ids;
  for (int64_t row = hasBest && everyRow ? 0 : chunk.rows - 1; hasBest && row < chunk.rows; ++row) {
    if (panels)
      keepBestOfPanels(std::span(stepPanels).subspan(size_t(row * panels), size_t(panels)),
                       stepPanelLogits.data() + row * panels * panelTokens, vocab, count, best);
    else
      keepBest({logits + size_t(row) * vocab, vocab}, count, best);
    size_t to = size_t(chunk.firstRow + row) * count;
    for (size_t i = 0; i < count; ++i) {
      ScoredToken token = i < best.size() ? best[i] : ScoredToken{-std::numeric_limits<float>::infinity(), -1};
      if (request.best_logits)
        request.best_logits[to + i] = token.logit;
      if (request.best_ids)
        request.best_ids[to + i] = token.id;
    }
  }
}

} // namespace llmc
