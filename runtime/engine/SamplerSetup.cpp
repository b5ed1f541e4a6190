#include "runtime/engine/SamplerSetup.h"

#include "runtime/support/Text.h"

#include <algorithm>
#include <random>

namespace llmc {
namespace {

constexpr size_t mostBreakerBytes = 40, mostRestTokens = 20; // llama.cpp's

constexpr const char *usualBreakers[] = {"\n", ":", "\"", "*"};

Expected<DryBreakers> dryBreakers(const llmc_sampler_options &options, const LoadedModel &model) {
  DryBreakers breakers;
  bool isUsual = !options.dry_sequence_breakers;
  std::span<const char *const> texts = isUsual ? std::span<const char *const>(usualBreakers)
                                               : std::span(options.dry_sequence_breakers, size_t(std::max<int64_t>(options.dry_breaker_count, 0)));
  auto tokenizer = model.tokenizer();
  if (!tokenizer && isUsual)
    return breakers; // ids alone: nothing is text
  for (const char *text : texts) {
    LLMC_TRY(words, model.tokenizer());
    if (!text || !*text || !isUtf8(text) || std::string_view(text).size() > mostBreakerBytes)
      return invalidInput("sampler: dry-sequence-breaker: want 1 to " + std::to_string(mostBreakerBytes) + " bytes of UTF-8 text, got " +
                          quoteText(text ? text : ""));
    LLMC_CHECK(addDryBreakers(*words, text, breakers));
  }
  return breakers;
}

void addBreaker(DryBreakers &breakers, TokenId first, std::vector<TokenId> rest) {
  rest.resize(std::min(rest.size(), mostRestTokens));
  auto &known = breakers[first];
  if (std::ranges::find(known, rest) == known.end())
    known.push_back(std::move(rest));
}

Expected<void> readChain(const llmc_sampler_options &options, SamplerOptions &chosen) {
  if (options.samplers) {
    LLMC_TRY(steps, parseSamplerSteps(options.samplers));
    chosen.steps = std::move(steps);
  }
  if (options.temperature_schedule) {
    LLMC_TRY(schedule, parseTemperatureSchedule(options.temperature_schedule));
    chosen.temperatureSchedule = std::move(schedule);
  }
  return {};
}

Expected<void> readBias(const llmc_sampler_options &options, const LoadedModel &model, SamplerOptions &chosen) {
  if (options.logit_bias_count < 0 || (options.logit_bias_count > 0 && !options.logit_bias))
    return invalidInput("sampler: logit-bias: want a list of logit_bias_count entries, got none");
  for (int64_t i = 0; i < options.logit_bias_count; ++i) {
    if (options.logit_bias[i].token >= model.artifact().vocab)
      return invalidInput("sampler: logit-bias: token " + std::to_string(options.logit_bias[i].token) + ": the vocabulary has ids 0 … " +
                          std::to_string(model.artifact().vocab - 1));
    chosen.logitBias.push_back({options.logit_bias[i].token, options.logit_bias[i].bias});
  }
  return {};
}

void readNumbers(const llmc_sampler_options &options, SamplerOptions &chosen) {
  chosen.temperature = options.temperature;
  chosen.topK = options.top_k;
  chosen.topP = options.top_p;
  chosen.minP = options.min_p;
  chosen.repeatPenalty = options.repeat_penalty;
  chosen.repeatLastN = options.repeat_last_n;
  chosen.seed = options.seed;
  chosen.presencePenalty = options.presence_penalty;
  chosen.frequencyPenalty = options.frequency_penalty;
  chosen.noRepeatNgram = options.no_repeat_ngram;
  chosen.typicalP = options.typical_p;
  chosen.topNSigma = options.top_n_sigma;
  chosen.dryMultiplier = options.dry_penalty_last_n == 0 ? 0 : options.dry_multiplier;
  chosen.dryBase = options.dry_base == 0 ? chosen.dryBase : options.dry_base;
  chosen.dryAllowedLength = options.dry_allowed_length;
  chosen.dryPenaltyLastN = options.dry_penalty_last_n;
  chosen.xtcProbability = options.xtc_probability;
  chosen.xtcThreshold = options.xtc_threshold;
  chosen.dynatempRange = options.dynatemp_range;
  chosen.dynatempExponent = options.dynatemp_exponent;
  chosen.mirostat = options.mirostat;
  chosen.mirostatTau = options.mirostat_tau;
  chosen.mirostatEta = options.mirostat_eta;
}

} // namespace

// A token that holds the text breaks by itself; one that ends with its beginning does if the rest of it follows.
Expected<void> addDryBreakers(const Tokenizer &tokenizer, std::string_view text, DryBreakers &breakers) {
  for (size_t id = 0; id < tokenizer.size(); ++id) {
    TokenId token = TokenId(id);
    LLMC_TRY(word, tokenizer.decode({&token, 1}, true));
    if (word.find(text) != std::string::npos) {
      addBreaker(breakers, token, {});
      continue;
    }
    for (size_t shared = 1; shared < text.size(); ++shared) {
      if (!word.ends_with(text.substr(0, shared)) || !isUtf8(text.substr(shared)))
        continue;
      LLMC_TRY(rest, tokenizer.encode(text.substr(shared), {.addSpecial = false}));
      addBreaker(breakers, token, rest);
    }
  }
  return {};
}

llmc_sampler_options samplerDefaults(const LoadedModel &model) {
  const GenerationConfig &config = model.generationConfig();
  const SamplerOptions &chosen = config.sampler;
  std::random_device random;
  llmc_sampler_options defaults{};
  defaults.struct_size = sizeof defaults;
  defaults.temperature = chosen.temperature;
  defaults.top_k = chosen.topK;
  defaults.top_p = chosen.topP;
  defaults.min_p = chosen.minP;
  defaults.repeat_penalty = chosen.repeatPenalty;
  defaults.repeat_last_n = chosen.repeatLastN;
  defaults.seed = uint64_t(random()) << 32 | random();
  defaults.length_penalty = config.lengthPenalty;
  defaults.early_stopping = int32_t(config.earlyStopping);
  defaults.no_repeat_ngram = chosen.noRepeatNgram;
  defaults.typical_p = chosen.typicalP;
  defaults.dry_base = chosen.dryBase;
  defaults.dry_allowed_length = chosen.dryAllowedLength;
  defaults.dry_penalty_last_n = chosen.dryPenaltyLastN;
  defaults.xtc_threshold = chosen.xtcThreshold;
  defaults.dynatemp_exponent = chosen.dynatempExponent;
  defaults.mirostat_tau = chosen.mirostatTau;
  defaults.mirostat_eta = chosen.mirostatEta;
  return defaults;
}

Expected<SamplerOptions> samplerOptions(const llmc_sampler_options &options, const LoadedModel &model) {
  SamplerOptions chosen;
  readNumbers(options, chosen);
  LLMC_CHECK(readChain(options, chosen));
  LLMC_CHECK(readBias(options, model, chosen));
  if (chosen.dryMultiplier > 0) {
    LLMC_TRY(breakers, dryBreakers(options, model));
    chosen.dryBreakers = std::move(breakers);
  }
  LLMC_CHECK(validate(chosen));
  return chosen;
}

} // namespace llmc
