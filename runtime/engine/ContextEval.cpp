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

Expected<void> Context::validateExtras(const llmc_eval_request &request) const {
  if (request.best > 0 && !owner->hasLogits())
    return invalidInput("best: the model has no logits");
  if (request.logits && !owner->hasLogits())
    return invalidInput("logits: the model has none; want its hidden states");
  std::optional<int64_t> limit = owner->positionLimit();
  for (int64_t i = 0; request.position_ids && i < request.count; ++i)
    if (int32_t id = request.position_ids[i]; id < 0 || (limit && id >= *limit))
      return invalidInput("position_ids: " + std::to_string(id) + " at index " + std::to_string(i) + ": want 0 … " +
                          std::to_string(limit.value_or(sizes.context) - 1));
  int64_t types = owner->tokenTypes();
  for (int64_t i = 0; request.token_types && i < request.count; ++i)
    if (int32_t type = request.token_types[i]; type < 0 || type >= types)
      return invalidInput("token_types: " + std::to_string(type) + " at index " + std::to_string(i) + ": the model has " + std::to_string(types) +
                          " token type(s)");
  return {};
}

// Where tokens attend to later ones, a step must have all of them. A decoder needs something to decode.
Expected<void> Context::validateWhole(const llmc_eval_request &request) const {
  for (int64_t i = 0; owner->hasEncoder() && i < request.count; ++i)
    if (int64_t slot = slotOf(request, i); sourceLength(slot) == 0)
      return invalidInput("slot " + std::to_string(slot) + " has no source: let the encoder read one first (llmc_encode)");
  if (!owner->looksAhead())
    return {};
  if (request.count > owner->maxStepTokens())
    return invalidInput("tokens: the encoder reads up to " + std::to_string(owner->maxStepTokens()) + " tokens at once, got " +
                        std::to_string(request.count));
  for (int64_t i = 0; i < request.count; ++i)
    if (int64_t slot = slotOf(request, i); length(slot) > 0)
      return invalidInput("slot " + std::to_string(slot) + " holds " + std::to_string(length(slot)) +
                          " tokens: an encoder reads a sequence in one request; clear the slot first");
  return {};
}

Expected<void> Context::checkToken(const llmc_eval_request &request, int64_t index) const {
  int64_t vocab = owner->artifact().vocab;
  if (TokenId id = request.tokens[index]; id < 0 || id >= vocab)
    return invalidInput("token " + std::to_string(id) + " at index " + std::to_string(index) + ": the vocabulary has ids 0 … " +
                        std::to_string(vocab - 1));
  return {};
}

// Also notes for each slot its length after the request, and its last token in it.
Expected<void> Context::validate(const llmc_eval_request &request) {
  if (request.count < 1 || !request.tokens)
    return invalidInput("tokens: want at least one");
  LLMC_CHECK(validateRows(request));
  LLMC_CHECK(validateExtras(request));
  lengthsAfter = lengths;
  for (int64_t i = 0; i < request.count; ++i) {
    int64_t slot = slotOf(request, i);
    LLMC_CHECK(checkSlot(slot));
    LLMC_CHECK(checkToken(request, i));
    ++lengthsAfter[size_t(slot)];
    lastIndices[size_t(slot)] = i;
  }
  for (int64_t slot = 0; slot < sizes.slots; ++slot)
    if (int64_t after = lengthsAfter[size_t(slot)]; after > sizes.context)
      return invalidInput("context: slot " + std::to_string(slot) + " holds " + std::to_string(length(slot)) +
                          " tokens and would hold " + std::to_string(after) + ", the context has room for " +
                          std::to_string(sizes.context) + "; use -c " + std::to_string(after));
  return validateWhole(request);
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

// What the step's arrays say of its token number `t`, the request's number `index`.
void Context::noteToken(size_t t, const llmc_eval_request &request, int64_t index, int64_t slot, int64_t position, int64_t length) {
  stepPositions[t] = int32_t(position);
  stepSlots[t] = int32_t(slot);
  stepLengths[t] = int32_t(length);
  stepPositionIds[t] = request.position_ids ? request.position_ids[index] : stepPositions[t];
  stepTokenTypes[t] = request.token_types ? request.token_types[index] : 0;
  stepSources[t] = int32_t(sourceLength(slot));
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
    noteToken(t, request, index, slot, position, lengthsAfter[size_t(slot)]);
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

llmc_step Context::stepOf(int64_t tokens, int64_t rows, const TokenId *ids, float *logits, float *hidden) {
  llmc_step step{};
  step.tokens = tokens;
  step.rows = rows;
  step.token_ids = ids;
  step.positions = stepPositions.data();
  step.slots = stepSlots.data();
  step.lengths = stepLengths.data();
  step.position_ids = stepPositionIds.data();
  step.token_types = stepTokenTypes.data();
  step.source_lengths = stepSources.data();
  step.row_tokens = stepRows.data();
  step.logits = logits;
  step.hidden = hidden;
  step.states = states.starts();
  step.state_slot_bytes = states.slotStrides();
  step.state_layer_bytes = states.layerStrides();
  step.capacity = stateCapacity(sizes.context);
  return step;
}

Expected<void> Context::runChunk(const Chunk &chunk, float *logits, float *hidden, int64_t panels) {
  llmc_step step = stepOf(chunk.tokens, chunk.rows, chunk.tokenIds, logits, hidden);
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
  runOnWorkers(step, owner->isa().entries[entry].run);
  return {};
}

void Context::runOnWorkers(llmc_step &step, llmc_step_fn run) {
  WeightMemory::Step weights = owner->weightMemory().beginStep();
  step.weights = weights.starts();
  step.arena = arena.data();
  step.scratch = scratch.data();
  step.team = workers->team();
  struct Call {
    llmc_step_fn run;
    const llmc_step *step;
  } call{run, &step};
  workers->run(
      [](void *data, int64_t worker) {
        auto *call = static_cast<Call *>(data);
        call->run(call->step, worker);
      },
      &call);
}

// A panel that holds NaN is among the best.
Expected<void> Context::checkRows(const Chunk &chunk, const float *logits, int64_t panels) const {
  if (!owner->hasLogits())
    return {};
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

// ---- Encoder-decoders -----------------------------------------------------------------------------------------------

Expected<void> Context::validateSource(const llmc_eval_request &request) const {
  if (!owner->hasEncoder())
    return invalidInput("the model has no encoder beside its decoder");
  LLMC_CHECK(checkSlot(request.slot));
  if (request.count < 1 || !request.tokens)
    return invalidInput("tokens: want at least one");
  if (request.slots)
    return invalidInput("slots: the encoder reads one source at a time, into `slot`");
  if (length(request.slot) > 0 || sourceLength(request.slot) > 0)
    return invalidInput("slot " + std::to_string(request.slot) + " holds a sequence already; clear it first");
  if (int64_t most = std::min(owner->maxSourceTokens(), sizes.context); request.count > most)
    return invalidInput("tokens: the encoder reads up to " + std::to_string(most) + " tokens, got " + std::to_string(request.count) +
                        (request.count <= owner->maxSourceTokens() ? "; use -c " + std::to_string(request.count) : ""));
  for (int64_t i = 0; i < request.count; ++i)
    LLMC_CHECK(checkToken(request, i));
  return validateExtras(request);
}

Expected<EvalEnd> Context::encode(const llmc_eval_request &request) {
  LLMC_CHECK(validateSource(request));
  if (isCancelled())
    return EvalEnd::Cancelled;
  for (int64_t i = 0; i < request.count; ++i) {
    noteToken(size_t(i), request, i, request.slot, i, request.count);
    stepRows[size_t(i)] = int32_t(i);
  }
  float *hidden = request.hidden ? request.hidden : ownHidden.as<float>();
  llmc_step step = stepOf(request.count, request.count, request.tokens, nullptr, hidden);
  step.profile = Profile::none();
  runOnWorkers(step, owner->encoderFor(request.count).run);
  if (request.on_rows && request.on_rows(request.user, 0, request.count, nullptr, hidden))
    return EvalEnd::Stopped;
  sources[size_t(request.slot)] = request.count;
  return EvalEnd::Done;
}

} // namespace llmc
