#include "runtime/engine/Guesses.h"

#include "runtime/sampler/PromptLookup.h"
#include "runtime/sampler/Weights.h"

#include <algorithm>
#include <cstring>
#include <numeric>

namespace llmc {
namespace {

constexpr int64_t mostGuesses = 64;
constexpr int64_t usualDraftTokens = 8;
constexpr int64_t firstGuesses = 4, fewestGuesses = 2; // by lookup
// Ends of this many tokens are looked up; shorter ones recur by chance.
constexpr size_t longestEnd = 4, shortestEnd = 2;

// A guess that fails costs the step of its tokens: after one that held throughout the next may be twice as long, after one that failed it
// may be a little longer than what held of it.
class LookupGuesser final : public Guesser {
public:
  explicit LookupGuesser(int64_t tokens) : tokens(tokens), limit(std::min(tokens, firstGuesses)) {}

  Expected<std::vector<TokenId>> guess(std::span<const TokenId> sequence, int64_t most) override {
    learn(sequence);
    auto found = lookUp(sequence, size_t(std::min(most, limit)), longestEnd, shortestEnd);
    guessed.assign(found.begin(), found.end());
    from = sequence.size();
    return guessed;
  }

private:
  void learn(std::span<const TokenId> sequence) {
    if (guessed.empty())
      return;
    int64_t held = std::ranges::mismatch(guessed, sequence.subspan(std::min(from, sequence.size()))).in1 - guessed.begin();
    limit = held == int64_t(guessed.size()) ? std::max(limit, 2 * held) : held + 1;
    limit = std::clamp(limit, std::min(fewestGuesses, tokens), tokens);
  }

  int64_t tokens, limit;
  std::vector<TokenId> guessed;
  size_t from = 0;
};

// Goes on greedily as long as the draft model is sure enough. Its slot follows the sequence: what differs is rolled back.
class DraftGuesser final : public Guesser {
public:
  explicit DraftGuesser(const llmc_draft &draft) : draft(draft), row(size_t(draft.vocab)) {}

  Expected<std::vector<TokenId>> guess(std::span<const TokenId> sequence, int64_t most) override {
    LLMC_TRY(same, follow(sequence));
    std::vector<TokenId> guesses, next(sequence.begin() + ptrdiff_t(same), sequence.end());
    int64_t wanted = std::min(most, draft.max_tokens ? draft.max_tokens : usualDraftTokens);
    for (int64_t held = int64_t(sequence.size()); int64_t(guesses.size()) < wanted && held < draft.room; ++held) {
      LLMC_CHECK(eval(next));
      auto best = std::ranges::max_element(row);
      if (draft.min_probability > 0 && probabilityOf(*best) < double(draft.min_probability))
        break;
      next.assign(1, TokenId(best - row.begin()));
      guesses.push_back(next[0]);
    }
    return guesses;
  }

private:
  // How many tokens of the sequence the slot then holds; at least the last is left to be run.
  Expected<size_t> follow(std::span<const TokenId> sequence) {
    held.resize(size_t(std::max<int64_t>(draft.tokens(draft.context, draft.slot, nullptr, 0), 0)));
    draft.tokens(draft.context, draft.slot, held.data(), int64_t(held.size()));
    auto differs = std::ranges::mismatch(held, sequence.first(sequence.size() - 1));
    size_t same = size_t(differs.in1 - held.begin());
    llmc_error *error = nullptr;
    LLMC_CHECK(statusOf(draft.rollback(draft.context, draft.slot, int64_t(same), &error), error));
    return same;
  }

  Expected<void> eval(std::span<const TokenId> tokens) {
    llmc_eval_request request{};
    request.struct_size = sizeof request;
    request.tokens = tokens.data();
    request.count = int64_t(tokens.size());
    request.slot = draft.slot;
    request.want = LLMC_WANT_LAST;
    request.logits = row.data();
    llmc_error *error = nullptr;
    return statusOf(draft.eval(draft.context, &request, &error), error);
  }

  Expected<void> statusOf(int32_t code, llmc_error *error) const {
    if (code == LLMC_OK)
      return {};
    std::string message = error ? draft.error_message(error) : "out of memory";
    draft.error_free(error);
    return std::unexpected(Error{code == LLMC_CANCELLED ? ErrorCode::InvalidInput : ErrorCode(code), "draft model: " + message});
  }

  double probabilityOf(float greatest) const {
    double total = std::accumulate(row.begin(), row.end(), 0.0, [&](double sum, float logit) { return sum + weightOf(logit, greatest, 1); });
    return 1 / total;
  }

  llmc_draft draft;
  std::vector<float> row;
  std::vector<TokenId> held;
};

Expected<std::unique_ptr<Guesser>> makeDraft(const llmc_draft &given, const LoadedModel &model) {
  llmc_draft draft{};
  std::memcpy(&draft, &given, std::min(given.struct_size, sizeof draft));
  if (!draft.context || !draft.eval || !draft.rollback || !draft.tokens || !draft.error_message || !draft.error_free)
    return invalidInput("draft model: want a context and the functions of its library, got NULL");
  if (draft.vocab != model.artifact().vocab)
    return invalidInput("draft model: want the vocabulary of the model, " + std::to_string(model.artifact().vocab) + " tokens, got " +
                        std::to_string(draft.vocab));
  if (draft.max_tokens < 0 || draft.max_tokens > mostGuesses)
    return invalidInput("draft model: want 1 … " + std::to_string(mostGuesses) + " tokens, got " + std::to_string(draft.max_tokens));
  if (!(draft.min_probability >= 0 && draft.min_probability <= 1))
    return invalidInput("draft model: min-probability: want 0 to 1, got " + std::to_string(draft.min_probability));
  return std::make_unique<DraftGuesser>(draft);
}

} // namespace

Expected<std::unique_ptr<Guesser>> makeGuesser(const llmc_sampler_options &options, const Generation &generation) {
  const llmc_draft *draft = generation.options.draft;
  int64_t lookup = options.lookup_tokens;
  if (lookup < 0 || lookup > mostGuesses)
    return invalidInput("lookup: want 0 … " + std::to_string(mostGuesses) + " tokens, got " + std::to_string(lookup));
  if (lookup && draft)
    return invalidInput("lookup: want one kind of guesses, got a draft model too");
  if (draft)
    return makeDraft(*draft, generation.context.model());
  return lookup ? std::make_unique<LookupGuesser>(lookup) : std::unique_ptr<Guesser>();
}

} // namespace llmc
