#include "runtime/engine/Generate.h"

#include "runtime/engine/TextStream.h"
#include "runtime/support/Text.h"

#include <algorithm>
#include <chrono>
#include <random>

namespace llmc {
namespace {

double nowMs() {
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

Expected<std::vector<TokenId>> promptTokens(const LoadedModel &model, const llmc_generate_options &options) {
  if (!options.prompt) {
    if (options.token_count < 1 || !options.tokens)
      return invalidInput("prompt: want text or at least one token, got none");
    return std::vector<TokenId>(options.tokens, options.tokens + options.token_count);
  }
  if (options.tokens)
    return invalidInput("prompt: want text or tokens, got both");
  LLMC_TRY(tokenizer, model.tokenizer());
  std::string_view text =
      options.prompt_bytes ? std::string_view(options.prompt, size_t(options.prompt_bytes)) : options.prompt;
  LLMC_TRY(ids, tokenizer->encode(text, {.addSpecial = !(options.flags & LLMC_NO_SPECIAL),
                                         .parseSpecial = (options.flags & LLMC_PROMPT_SPECIAL) != 0}));
  if (ids.empty())
    return invalidInput("prompt: it is empty, and this model adds no token to begin with");
  return std::move(ids);
}

Expected<std::vector<std::string>> stopStrings(const llmc_generate_options &options) {
  std::vector<std::string> stops;
  for (int64_t i = 0; i < options.stop_count; ++i) {
    stops.emplace_back(options.stop[i] ? options.stop[i] : "");
    if (stops.back().empty() || !isUtf8(stops.back()))
      return invalidInput("stop: want UTF-8 text, got " + quoteText(stops.back()));
  }
  return stops;
}

// One generation. Its parts end it by setting `finish`.
class Generation {
public:
  Generation(Context &context, const llmc_generate_options &options, const SamplerOptions &sampling,
             std::vector<std::string> stops, const Tokenizer *tokenizer)
      : context(context), options(options), sampler(sampling), tokenizer(tokenizer), text(std::move(stops)) {
    if (tokenizer)
      decoder.emplace(*tokenizer);
  }

  // What a token's text is can depend on those before it: the first word of a text has no space before it, the next
  // has.
  void showDecoder(std::span<const TokenId> prompt) {
    constexpr size_t enough = 8;
    if (decoder)
      for (TokenId id : prompt.last(std::min(enough, prompt.size())))
        decoder->push(id);
  }

  Expected<void> run(std::span<const TokenId> prompt) {
    startMs = nowMs();
    LLMC_CHECK(evalPrompt(prompt));
    stats.prompt_ms = nowMs() - startMs;
    while (!stats.finish) {
      LLMC_CHECK(draw());
      if (!stats.finish)
        LLMC_CHECK(evalToken());
    }
    finishText();
    return {};
  }
  const llmc_generate_stats &results() const { return stats; }

private:
  Expected<void> evalPrompt(std::span<const TokenId> prompt) {
    int64_t count = int64_t(prompt.size());
    stats.prompt_tokens = count;
    LLMC_CHECK(checkFits(count));
    showDecoder(prompt);
    for (TokenId id : prompt)
      sampler.accept(id);
    int64_t same = commonPrefix(prompt);
    if (same == count && context.recall(options.slot, count))
      return tellPromptIsThere();
    // At least one token is evaluated: its logits are needed.
    same = std::min(same, count - 1);
    LLMC_CHECK(context.rollback(options.slot, same));
    stats.cached_tokens = same - context.pending(options.slot);
    return eval(prompt.subspan(size_t(same)), {&Generation::reportPrompt, this});
  }

  Expected<void> tellPromptIsThere() {
    stats.cached_tokens = stats.prompt_tokens;
    if (!reportPrompt(this, 0))
      stats.finish = LLMC_FINISH_CALLBACK;
    return {};
  }

  Expected<void> checkFits(int64_t promptTokens) const {
    if (promptTokens <= context.plan().context)
      return {};
    return invalidInput("prompt: it has " + std::to_string(promptTokens) + " tokens, the context has room for " +
                        std::to_string(context.plan().context) + "; use -c " + std::to_string(promptTokens + 1));
  }

  // Tokens that the slot holds already.
  int64_t commonPrefix(std::span<const TokenId> prompt) const {
    if (options.flags & LLMC_NO_PREFIX_REUSE)
      return 0;
    auto held = context.tokens(options.slot);
    return std::ranges::mismatch(held, prompt).in1 - held.begin();
  }

  static bool reportPrompt(void *user, int64_t done) {
    auto *self = static_cast<Generation *>(user);
    const llmc_generate_options &options = self->options;
    return !options.on_prompt ||
           !options.on_prompt(options.user, self->stats.cached_tokens + done, self->stats.prompt_tokens);
  }

  // `best` > 0: only that many of the best tokens need be known afterwards.
  Expected<void> eval(std::span<const TokenId> tokens, EvalProgress progress, int64_t best = 0) {
    llmc_eval_request request{};
    request.tokens = tokens.data();
    request.count = int64_t(tokens.size());
    request.slot = options.slot;
    request.want = LLMC_WANT_LAST;
    request.best = best;
    LLMC_TRY(end, context.eval(request, progress));
    if (end == EvalEnd::Cancelled)
      stats.finish = LLMC_FINISH_CANCELLED;
    if (end == EvalEnd::Stopped)
      stats.finish = LLMC_FINISH_CALLBACK;
    return {};
  }

  Expected<void> draw() {
    std::span<const float> logits = context.lastLogits();
    std::span<const ScoredToken> best = context.lastBest();
    LLMC_TRY(next, best.empty() ? sampler.next(logits) : sampler.nextOf(best));
    token = next;
    sampler.accept(token);
    double now = nowMs();
    if (stats.generated_tokens++ == 0)
      firstMs = now;
    lastMs = now;
    bool stopToken = std::ranges::binary_search(context.model().stopTokens(), token);
    if (stopToken && !(options.flags & LLMC_IGNORE_EOS))
      stats.finish = LLMC_FINISH_EOS;
    if (!tellsLogits())
      logits = {};
    if (options.on_token && options.on_token(options.user, token, logits.data(), int64_t(logits.size())))
      stats.finish = LLMC_FINISH_CALLBACK;
    else if (!stats.finish)
      tellText(tokenText());
    if (!stats.finish && stats.generated_tokens == options.max_tokens)
      stats.finish = LLMC_FINISH_LENGTH;
    return {};
  }

  Expected<void> evalToken() {
    if (context.length(options.slot) < context.plan().context)
      return eval({&token, 1}, {}, bestWanted());
    stats.finish = LLMC_FINISH_CONTEXT;
    return {};
  }

  bool tellsLogits() const { return options.on_token && !(options.flags & LLMC_NO_LOGITS); }

  int64_t bestWanted() const {
    int64_t needed = int64_t(sampler.bestNeeded(size_t(context.model().artifact().vocab)));
    return tellsLogits() || needed > maxBest ? 0 : needed;
  }

  std::string tokenText() {
    if (!decoder)
      return {};
    std::string piece = decoder->push(token);
    if ((options.flags & LLMC_SHOW_SPECIAL) && tokenizer->isSpecial(token))
      piece += tokenizer->piece(token);
    return piece;
  }

  void tellText(std::string piece) {
    emit(text.push(repairUtf8(std::move(piece))));
    if (!stats.finish && text.stopped())
      stats.finish = LLMC_FINISH_STOP;
  }

  // A stop string or a callback ends the text at once; otherwise what was held back is part of it.
  void finishText() {
    if (stats.finish == LLMC_FINISH_STOP || stats.finish == LLMC_FINISH_CALLBACK || !decoder)
      return;
    std::string rest = text.push(repairUtf8(decoder->flush()));
    emit(rest + text.flush());
  }

  void emit(const std::string &piece) {
    if (!piece.empty() && options.on_text && options.on_text(options.user, piece.c_str(), int64_t(piece.size())))
      stats.finish = LLMC_FINISH_CALLBACK;
  }

public:
  void measure() {
    stats.first_token_ms = stats.generated_tokens ? firstMs - startMs : 0;
    stats.decode_ms = lastMs - firstMs;
    int64_t evaluated = stats.prompt_tokens - stats.cached_tokens;
    stats.prompt_tokens_per_second = stats.prompt_ms > 0 ? double(evaluated) / stats.prompt_ms * 1000 : 0;
    if (stats.generated_tokens > 1 && stats.decode_ms > 0)
      stats.tokens_per_second = double(stats.generated_tokens - 1) / stats.decode_ms * 1000;
  }

private:
  Context &context;
  const llmc_generate_options &options;
  Sampler sampler;
  const Tokenizer *tokenizer;
  std::optional<StreamDecoder> decoder;
  TextStream text;
  llmc_generate_stats stats{};
  TokenId token = 0;
  double startMs = 0, firstMs = 0, lastMs = 0;
};

} // namespace

llmc_sampler_options samplerDefaults(const LoadedModel &model) {
  const SamplerOptions &chosen = model.generationConfig().sampler;
  std::random_device random;
  uint64_t seed = uint64_t(random()) << 32 | random();
  return {sizeof(llmc_sampler_options), chosen.temperature, chosen.topK, chosen.topP, chosen.minP,
          chosen.repeatPenalty,         chosen.repeatLastN, seed};
}

SamplerOptions samplerOptions(const llmc_sampler_options &options) {
  SamplerOptions chosen;
  chosen.temperature = options.temperature;
  chosen.topK = options.top_k;
  chosen.topP = options.top_p;
  chosen.minP = options.min_p;
  chosen.repeatPenalty = options.repeat_penalty;
  chosen.repeatLastN = options.repeat_last_n;
  chosen.seed = options.seed;
  return chosen;
}

Expected<void> generate(Context &context, const llmc_generate_options &options, llmc_generate_stats &stats) {
  LLMC_CHECK(context.checkSlot(options.slot));
  SamplerOptions sampling = samplerOptions(options.sampler ? *options.sampler : samplerDefaults(context.model()));
  LLMC_CHECK(validate(sampling));
  LLMC_TRY(stops, stopStrings(options));
  LLMC_TRY(prompt, promptTokens(context.model(), options));
  auto tokenizer = context.model().tokenizer();
  if (!tokenizer && (options.on_text || !stops.empty()))
    return std::unexpected(std::move(tokenizer.error()));
  Generation generation(context, options, sampling, stops, tokenizer ? *tokenizer : nullptr);
  LLMC_CHECK(generation.run(prompt));
  generation.measure();
  stats = generation.results();
  stats.seed = sampling.seed;
  return {};
}

} // namespace llmc
