#include "runtime/engine/GenerateTokens.h"

#include "runtime/engine/Guesses.h"

#include <algorithm>

namespace llmc {
namespace {

class Drawing {
public:
  Drawing(Generation &generation, const SamplerOptions &sampling, std::unique_ptr<Guesser> guesser)
      : generation(generation), context(generation.context), slot(generation.options.slot), sampler(sampling), guesser(std::move(guesser)) {}

  Expected<void> run(std::span<const TokenId> prompt) {
    LLMC_CHECK(generation.evalPrompt(prompt));
    for (TokenId id : prompt)
      sampler.accept(id);
    if (!generation.stats.finish)
      LLMC_CHECK(draw({context.lastLogits(), context.lastBest()}));
    while (!generation.stats.finish)
      LLMC_CHECK(step());
    generation.finishText();
    return {};
  }

private:
  // What a token is drawn from: the logits, or the best of them.
  struct Row {
    std::span<const float> logits;
    std::span<const ScoredToken> best;
  };

  Expected<void> draw(const Row &row) {
    LLMC_TRY(next, row.best.empty() ? sampler.next(row.logits) : sampler.nextOf(row.best));
    token = next;
    sampler.accept(token);
    generation.tell(token, row.logits);
    return {};
  }

  // Runs the token drawn last, and draws at least one more.
  Expected<void> step() {
    int64_t room = context.plan().context - context.length(slot);
    if (room == 0) {
      generation.stats.finish = LLMC_FINISH_CONTEXT;
      return {};
    }
    LLMC_TRY(guesses, guess(room - 1));
    if (!guesses.empty())
      return check(guesses);
    LLMC_CHECK(generation.eval({&token, 1}, {}, bestWanted(0)));
    return generation.stats.finish ? Expected<void>() : draw({context.lastLogits(), context.lastBest()});
  }

  Expected<std::vector<TokenId>> guess(int64_t room) {
    int64_t left = generation.options.max_tokens > 0 ? generation.options.max_tokens - generation.stats.generated_tokens - 1 : room;
    if (!guesser || std::min(room, left) <= 0)
      return std::vector<TokenId>();
    auto held = context.tokens(slot);
    sequence.assign(held.begin(), held.end());
    sequence.push_back(token);
    LLMC_TRY(guesses, guesser->guess(sequence, std::min(room, left)));
    return std::move(guesses);
  }

  // Runs the last token and the guesses, draws from each row as long as what is drawn was guessed, and forgets the rest.
  Expected<void> check(const std::vector<TokenId> &guesses) {
    int64_t before = context.length(slot), drawn = 0;
    LLMC_TRY(end, evalRows(guesses));
    generation.noteEnd(end);
    if (end != EvalEnd::Done)
      return {};
    generation.stats.guessed_tokens += int64_t(guesses.size());
    for (bool goesOn = true; goesOn; ++drawn) {
      LLMC_CHECK(draw(rowAt(size_t(drawn))));
      bool isRight = size_t(drawn) < guesses.size() && token == guesses[size_t(drawn)];
      generation.stats.accepted_tokens += isRight;
      goesOn = isRight && !generation.stats.finish;
    }
    return context.rollback(slot, before + drawn); // as ever, all but the token drawn last
  }

  Expected<EvalEnd> evalRows(const std::vector<TokenId> &guesses) {
    tokens.assign(1, token);
    tokens.insert(tokens.end(), guesses.begin(), guesses.end());
    bestCount = bestWanted(int64_t(guesses.size()));
    size_t width = bestCount ? size_t(bestCount) : size_t(context.model().artifact().vocab);
    logits.resize(tokens.size() * width);
    ids.resize(bestCount ? tokens.size() * width : 0);
    llmc_eval_request request{};
    request.tokens = tokens.data();
    request.count = int64_t(tokens.size());
    request.slot = int32_t(slot);
    request.want = LLMC_WANT_ALL;
    request.best = bestCount;
    (bestCount ? request.best_logits : request.logits) = logits.data();
    request.best_ids = bestCount ? ids.data() : nullptr;
    return context.eval(request, {}, true);
  }

  Row rowAt(size_t row) {
    if (!bestCount) {
      size_t vocab = size_t(context.model().artifact().vocab);
      return {std::span(logits).subspan(row * vocab, vocab), {}};
    }
    best.clear();
    for (size_t i = row * size_t(bestCount); i < (row + 1) * size_t(bestCount); ++i)
      if (ids[i] >= 0)
        best.push_back({logits[i], ids[i]});
    return {{}, best};
  }

  // `guesses`: tokens that may be accepted before the row is drawn from, each of which a penalty may look back on.
  int64_t bestWanted(int64_t guesses) const {
    int64_t needed = int64_t(sampler.bestNeeded(size_t(context.model().artifact().vocab)));
    return generation.tellsLogits() || needed == 0 || needed + guesses > maxBest ? 0 : needed + guesses;
  }

  Generation &generation;
  Context &context;
  int64_t slot;
  Sampler sampler;
  std::unique_ptr<Guesser> guesser;
  TokenId token = 0; // drawn last, not yet run
  // Working memory.
  std::vector<TokenId> sequence, tokens;
  int64_t bestCount = 0;
  std::vector<float> logits;
  std::vector<int32_t> ids;
  std::vector<ScoredToken> best;
};

} // namespace

Expected<void> generateTokens(Generation &generation, const llmc_sampler_options &options, const SamplerOptions &sampling,
                              std::span<const TokenId> prompt) {
  LLMC_TRY(guesser, makeGuesser(options, generation));
  return Drawing(generation, sampling, std::move(guesser)).run(prompt);
}

} // namespace llmc
