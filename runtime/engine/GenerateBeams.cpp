#include "runtime/engine/GenerateBeams.h"

#include "runtime/sampler/BeamSearch.h"

#include <algorithm>

namespace llmc {
namespace {

class Beams {
public:
  Beams(Generation &generation, BeamOptions options, int64_t promptTokens)
      : generation(generation), context(generation.context), search(options), promptTokens(promptTokens), slots{generation.options.slot} {
    for (int64_t i = 1; i < options.beams; ++i)
      free.push_back({generation.options.slot + i, 0});
  }

  Expected<void> run(std::span<const TokenId> prompt) {
    LLMC_CHECK(generation.evalPrompt(prompt));
    if (!generation.stats.finish) {
      LLMC_CHECK(search.addRow(0, context.lastLogits()));
      search.advance();
      generation.noteStep();
    }
    while (!generation.stats.finish && !search.isDone()) {
      LLMC_CHECK(follow());
      LLMC_CHECK(evalBeams());
      if (!generation.stats.finish)
        search.advance();
    }
    return tidy();
  }

  const std::vector<BeamSearch::Finished> &best() const { return search.best(); }

private:
  struct FreeSlot {
    int64_t slot;
    int64_t same; // of its tokens, those of the prompt that it holds
  };

  // The first that continues a sequence takes its slot, the others fork it into slots that nobody continues.
  Expected<void> follow() {
    const auto &beams = search.live();
    std::vector<int64_t> before = std::exchange(slots, std::vector<int64_t>(beams.size(), -1));
    std::vector<bool> isTaken(before.size(), false);
    for (size_t i = 0; i < beams.size(); ++i)
      if (!isTaken[beams[i].parent])
        slots[i] = before[beams[i].parent], isTaken[beams[i].parent] = true;
    for (size_t parent = 0; parent < before.size(); ++parent)
      if (!isTaken[parent])
        free.push_back({before[parent], promptTokens});
    for (size_t i = 0; i < beams.size(); ++i) {
      if (slots[i] >= 0)
        continue;
      FreeSlot to = free.back();
      free.pop_back();
      LLMC_CHECK(context.fork(before[beams[i].parent], to.slot, to.same));
      slots[i] = to.slot;
    }
    return {};
  }

  // The last token of every live sequence; their logits go to the search.
  Expected<void> evalBeams() {
    tokens.clear(), tokenSlots.clear();
    for (size_t i = 0; i < slots.size(); ++i)
      tokens.push_back(search.live()[i].tokens.back()), tokenSlots.push_back(int32_t(slots[i]));
    LLMC_CHECK(generation.evalBatch(tokens, tokenSlots, takeRows, this));
    return rowError;
  }

  static int32_t takeRows(void *user, int64_t first, int64_t count, const float *logits, const float *) {
    auto *self = static_cast<Beams *>(user);
    size_t vocab = size_t(self->context.model().artifact().vocab);
    for (int64_t i = 0; i < count && self->rowError; ++i)
      self->rowError = self->search.addRow(size_t(first + i), {logits + size_t(i) * vocab, vocab});
    return !self->rowError;
  }

  Expected<void> tidy() {
    for (FreeSlot slot : free)
      slots.push_back(slot.slot);
    for (int64_t slot : slots)
      if (slot != generation.options.slot)
        LLMC_CHECK(context.clear(slot));
    int64_t held = context.length(generation.options.slot);
    return context.rollback(generation.options.slot, std::min(held, promptTokens));
  }

  Generation &generation;
  Context &context;
  BeamSearch search;
  int64_t promptTokens;
  std::vector<int64_t> slots; // of the live sequences
  std::vector<FreeSlot> free;
  std::vector<TokenId> tokens;
  std::vector<int32_t> tokenSlots;
  Expected<void> rowError;
};

Expected<BeamOptions> beamOptions(const Generation &generation, const llmc_sampler_options &options, std::span<const TokenId> prompt) {
  int64_t promptTokens = int64_t(prompt.size());
  const llmc_generate_options &given = generation.options;
  int64_t room = generation.context.plan().context + 1 - promptTokens;
  BeamOptions chosen;
  chosen.beams = options.beams;
  chosen.lengthPenalty = options.length_penalty;
  chosen.earlyStopping = EarlyStopping(options.early_stopping);
  chosen.maxTokens = given.max_tokens > 0 ? std::min(given.max_tokens, room) : room;
  chosen.noRepeatNgram = options.no_repeat_ngram;
  chosen.repeatPenalty = options.repeat_penalty;
  chosen.prompt.assign(prompt.begin(), prompt.end());
  auto stops = generation.context.model().stopTokens();
  if (!(given.flags & LLMC_IGNORE_EOS))
    chosen.stops.assign(stops.begin(), stops.end());
  LLMC_CHECK(validate(chosen));
  int64_t slots = generation.context.plan().slots;
  if (given.slot + chosen.beams > slots)
    return invalidInput("beams: " + std::to_string(chosen.beams) + " from slot " + std::to_string(given.slot) + " on need " +
                        std::to_string(given.slot + chosen.beams) + " slots, the context has " + std::to_string(slots));
  return chosen;
}

// A decoder's first token is part of its sequence.
bool tellSequence(const Generation &generation, int64_t index, const BeamSearch::Finished &found) {
  const llmc_generate_options &options = generation.options;
  std::vector<TokenId> tokens;
  if (const LoadedModel &model = generation.context.model(); model.hasEncoder())
    tokens.push_back(model.startToken());
  tokens.insert(tokens.end(), found.tokens.begin(), found.tokens.end());
  llmc_sequence sequence{};
  sequence.struct_size = sizeof sequence;
  sequence.index = index;
  sequence.tokens = tokens.data();
  sequence.token_count = int64_t(tokens.size());
  sequence.score = found.score;
  return !options.on_sequence || !options.on_sequence(options.user, &sequence);
}

// All of them, then the text of the best.
void tellResults(Generation &generation, const std::vector<BeamSearch::Finished> &best) {
  for (size_t i = 0; i < best.size(); ++i)
    if (!tellSequence(generation, int64_t(i), best[i]))
      generation.stats.finish = LLMC_FINISH_CALLBACK;
  if (best.empty())
    return;
  const std::vector<TokenId> &tokens = best.front().tokens;
  for (size_t i = 0; i < tokens.size() && !generation.stats.finish; ++i)
    generation.tell(tokens[i], {});
  if (!generation.stats.finish)
    generation.stats.finish = LLMC_FINISH_CONTEXT;
  generation.finishText();
}

} // namespace

Expected<void> generateBeams(Generation &generation, const llmc_sampler_options &options, std::span<const TokenId> prompt) {
  int64_t promptTokens = int64_t(prompt.size());
  LLMC_CHECK(generation.checkFits(promptTokens));
  LLMC_TRY(chosen, beamOptions(generation, options, prompt));
  Beams beams(generation, chosen, promptTokens);
  LLMC_CHECK(beams.run(prompt));
  if (!generation.stats.finish)
    tellResults(generation, beams.best());
  return {};
}

} // namespace llmc
