#include "runtime/engine/Generate.h"

#include "runtime/engine/GenerateBeams.h"
#include "runtime/engine/GenerateSamples.h"
#include "runtime/engine/GenerateTokens.h"
#include "runtime/engine/SamplerSetup.h"
#include "runtime/support/Text.h"

namespace llmc {
namespace {

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

// Beams, samples, or token by token.
Expected<void> generateAs(Generation &generation, const llmc_sampler_options &chosen, const SamplerOptions &sampling,
                          std::span<const TokenId> prompt) {
  const llmc_generate_options &options = generation.options;
  bool isSeveral = options.samples > 1, isGuessing = chosen.lookup_tokens || options.draft;
  if (options.samples < 0)
    return invalidInput("samples: want at least 0, got " + std::to_string(options.samples));
  if ((options.flags & LLMC_VOTE) && !isSeveral)
    return invalidInput("vote: want two samples or more, got " + std::to_string(options.samples));
  if (int(chosen.beams != 0) + int(isSeveral) + int(isGuessing) > 1)
    return invalidInput("want one of beams, samples and guesses (lookup, a draft model), got several");
  if (chosen.beams)
    return generateBeams(generation, chosen, prompt);
  if (isSeveral)
    return generateSamples(generation, sampling, prompt);
  return generateTokens(generation, chosen, sampling, prompt);
}

} // namespace

// Of an encoder-decoder, the prompt is what the encoder reads; the text begins with the decoder's first token.
static Expected<EvalEnd> encodePrompt(Context &context, int32_t slot, std::vector<TokenId> &prompt) {
  LLMC_CHECK(context.clear(slot));
  llmc_eval_request request{};
  request.tokens = prompt.data();
  request.count = int64_t(prompt.size());
  request.slot = slot;
  LLMC_TRY(end, context.encode(request));
  prompt.assign(1, context.model().startToken());
  return end;
}

Expected<void> generate(Context &context, const llmc_generate_options &options, llmc_generate_stats &stats) {
  LLMC_CHECK(context.checkSlot(options.slot));
  if (context.model().looksAhead())
    return unsupported("an encoder does not generate: ask for its logits or hidden states");
  llmc_sampler_options chosen = options.sampler ? *options.sampler : samplerDefaults(context.model());
  LLMC_TRY(sampling, samplerOptions(chosen, context.model()));
  LLMC_TRY(stops, stopStrings(options));
  LLMC_TRY(prompt, promptTokens(context.model(), options));
  auto tokenizer = context.model().tokenizer();
  if (!tokenizer && (options.on_text || !stops.empty()))
    return std::unexpected(std::move(tokenizer.error()));
  if (context.model().hasEncoder()) {
    LLMC_TRY(end, encodePrompt(context, options.slot, prompt));
    if (end != EvalEnd::Done) {
      stats.finish = LLMC_FINISH_CANCELLED;
      return {};
    }
  }
  Generation generation(context, options, stops, tokenizer ? *tokenizer : nullptr);
  LLMC_CHECK(generateAs(generation, chosen, sampling, prompt));
  generation.measure();
  stats = generation.stats;
  stats.seed = sampling.seed;
  return {};
}

} // namespace llmc
