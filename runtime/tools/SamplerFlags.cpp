#include "runtime/tools/SamplerFlags.h"

#include <cstdio>
#include <cstdlib>

namespace llmc {
namespace {

constexpr const char *drawingGroup = "Sampling (defaults: the model's own)";
constexpr const char *beamGroup = "Beam search", *sampleGroup = "Several samples", *guessGroup = "Speculation";

} // namespace

template <class T>
CLI::Option *SamplerFlags::add(CLI::App &app, const char *names, T llmc_sampler_options::*member, const char *what) {
  CLI::Option *option = app.add_option(names, values.*member, what)->group(drawingGroup);
  flags.push_back({option, [this, member](llmc_sampler_options &options) { options.*member = values.*member; }});
  return option;
}

void SamplerFlags::addDrawing(CLI::App &app) {
  add(app, "--temp", &llmc_sampler_options::temperature, "Temperature; 0: always the likeliest token");
  add(app, "--top-k", &llmc_sampler_options::top_k, "Of the K likeliest tokens; 0: off");
  add(app, "--top-p", &llmc_sampler_options::top_p, "Of the likeliest tokens that make up P; 1: off");
  add(app, "--min-p", &llmc_sampler_options::min_p, "Of tokens at least P times as likely as the likeliest; 0: off");
  add(app, "--repeat-penalty", &llmc_sampler_options::repeat_penalty, "Divides logits of recent tokens; 1: off");
  add(app, "--repeat-last-n", &llmc_sampler_options::repeat_last_n, "Tokens that the penalties look back on; -1: all");
  add(app, "--seed,-s", &llmc_sampler_options::seed, "Draws the same tokens again; -1: others each time");
}

void SamplerFlags::addCuts(CLI::App &app) {
  add(app, "--typical,--typical-p", &llmc_sampler_options::typical_p, "Of the tokens whose surprise is nearest to the mean and that make up P; 1: off");
  add(app, "--top-nsigma,--top-n-sigma", &llmc_sampler_options::top_n_sigma, "Of logits within N standard deviations of the greatest; 0: off");
  add(app, "--xtc-probability", &llmc_sampler_options::xtc_probability,
      "How often the likeliest tokens are removed, but for the last that reaches the threshold; 0: off");
  add(app, "--xtc-threshold", &llmc_sampler_options::xtc_threshold, "A probability (0.1); above 0.5: off");
  add(app, "--mirostat", &llmc_sampler_options::mirostat, "Mirostat 1 or 2, which holds the surprise, instead of cuts by top-k and the like; 0: off");
  add(app, "--mirostat-ent", &llmc_sampler_options::mirostat_tau, "The surprise that Mirostat holds, in bits (5)");
  add(app, "--mirostat-lr", &llmc_sampler_options::mirostat_eta, "Share of the error that Mirostat corrects after each token (0.1)");
  addText(app, "--samplers", samplers, &llmc_sampler_options::samplers,
          "Order of the samplers; those left out are off (penalties;dry;top_n_sigma;top_k;typ_p;top_p;min_p;xtc;temperature)");
}

void SamplerFlags::addPenalties(CLI::App &app) {
  add(app, "--presence-penalty", &llmc_sampler_options::presence_penalty, "Subtracted from the logits of recent tokens; 0: off");
  add(app, "--frequency-penalty", &llmc_sampler_options::frequency_penalty, "Subtracted from them for each time they occur; 0: off");
  add(app, "--no-repeat-ngram", &llmc_sampler_options::no_repeat_ngram, "No N tokens twice, prompt included; 0: off");
  add(app, "--dry-multiplier", &llmc_sampler_options::dry_multiplier, "DRY: punishes what continues a repetition; 0: off");
  add(app, "--dry-base", &llmc_sampler_options::dry_base, "DRY's penalty grows by this factor with each repeated token (1.75)");
  add(app, "--dry-allowed-length", &llmc_sampler_options::dry_allowed_length, "Tokens that may be repeated without (2)");
  add(app, "--dry-penalty-last-n", &llmc_sampler_options::dry_penalty_last_n, "Tokens that DRY looks back on; -1: all; 0: off");
  CLI::Option *breaker = app.add_option("--dry-sequence-breaker", breakers,
                                        "Text that no repetition reaches across; may be repeated; 'none' for none (newline, colon, quote, star)");
  breaker->group(drawingGroup)->expected(1)->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  CLI::Option *bias = app.add_option_function<std::vector<std::string>>(
      "--logit-bias,-l", [this](const std::vector<std::string> &texts) { readBiases(texts); },
      "Added to a token's logit: ID+BIAS, ID-BIAS, ID-inf (never); may be repeated");
  bias->group(drawingGroup)->expected(1)->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
}

void SamplerFlags::readBiases(const std::vector<std::string> &texts) {
  for (const std::string &text : texts) {
    size_t sign = text.find_first_of("+-");
    char *idEnd = nullptr, *biasEnd = nullptr;
    long id = std::strtol(text.c_str(), &idEnd, 10);
    float bias = sign == std::string::npos ? 0 : std::strtof(text.c_str() + sign, &biasEnd);
    bool isRead = sign != std::string::npos && sign > 0 && idEnd == text.c_str() + sign && biasEnd == text.c_str() + text.size();
    if (!isRead || id < 0 || id > INT32_MAX)
      throw CLI::ValidationError("--logit-bias", "want ID+BIAS or ID-BIAS, as 29905-inf, got '" + text + "'");
    biases.push_back({int32_t(id), bias});
  }
}

void SamplerFlags::addTemperatures(CLI::App &app) {
  add(app, "--dynatemp-range", &llmc_sampler_options::dynatemp_range, "The temperature moves by up to this with the entropy; 0: off");
  add(app, "--dynatemp-exp", &llmc_sampler_options::dynatemp_exponent, "By which power of the entropy's share of the greatest (1)");
  addText(app, "--temp-schedule", schedule, &llmc_sampler_options::temperature_schedule,
          "Temperatures by tokens written so far, linear between: 0:1.2,64:0.7");
}

void SamplerFlags::addText(CLI::App &app, const char *names, std::string &text, const char *llmc_sampler_options::*member, const char *what) {
  CLI::Option *option = app.add_option(names, text, what)->group(drawingGroup);
  flags.push_back({option, [&text, member](llmc_sampler_options &options) { options.*member = text.c_str(); }});
}

void SamplerFlags::addBeams(CLI::App &app) {
  add(app, "--beams", &llmc_sampler_options::beams, "Search with so many live sequences instead of drawing; prints the best (off)")
      ->group(beamGroup)
      ->check(CLI::Range(1, 256).description(""));
  add(app, "--length-penalty", &llmc_sampler_options::length_penalty,
      "Scores are divided by length to this power: above 0 prefers long sequences (1)")
      ->group(beamGroup);
  add(app, "--early-stopping", &llmc_sampler_options::early_stopping,
      "Once as many sequences ended as there are beams: stop at once (true), when the best live one scores below them as it is (false), or "
      "at whatever length (never); default: false")
      ->group(beamGroup)
      ->transform(CLI::CheckedTransformer(std::map<std::string, int32_t>{{"false", LLMC_EARLY_HEURISTIC},
                                                                         {"true", LLMC_EARLY_ALWAYS},
                                                                         {"never", LLMC_EARLY_NEVER}})
                      .description(""))
      ->type_name("false|true|never");
}

void SamplerFlags::addGuesses(CLI::App &app) {
  add(app, "--lookup", &llmc_sampler_options::lookup_tokens,
      "Guess up to N tokens from what followed the last few before, and check them in one step; the text stays the same; 0: off")
      ->group(guessGroup);
}

void SamplerFlags::addSeveral(CLI::App &app) {
  app.add_option("--draft,--model-draft", draft, "A smaller model of the same vocabulary that guesses; the text stays the same")
      ->group(guessGroup);
  app.add_option("--draft-max", draftTokens, "Tokens that it guesses at a time (8)")->group(guessGroup)->check(CLI::Range(1, 64).description(""));
  app.add_option("--draft-p-min", draftMinProbability, "It stops where its likeliest token is less probable (0.75)")->group(guessGroup);
  app.add_option("--samples", samples, "Draw N continuations at once, with the seeds SEED, SEED + 1, …")
      ->group(sampleGroup)
      ->check(CLI::Range(1, 1024).description(""));
  app.add_flag("--vote", vote, "Print the answer that most of them come to")->group(sampleGroup);
  app.add_option("--answer", answer, "Regular expression whose last match is a text's answer (default: its last number, else its last line)")
      ->group(sampleGroup);
}

void SamplerFlags::describe(llmc_generate_options &request) const {
  request.samples = samples;
  request.flags |= vote ? LLMC_VOTE : 0;
  request.answer = answer.empty() ? nullptr : answer.c_str();
}

void SamplerFlags::add(CLI::App &app) {
  addDrawing(app);
  addCuts(app);
  addPenalties(app);
  addTemperatures(app);
  addBeams(app);
  addGuesses(app);
}

std::string SamplerFlags::guessText(const llmc_generate_stats &stats) {
  if (!stats.guessed_tokens)
    return {};
  char text[96];
  snprintf(text, sizeof text, "guessed: %lld tokens, %lld accepted (%.1f %%)", static_cast<long long>(stats.guessed_tokens),
           static_cast<long long>(stats.accepted_tokens), 100 * double(stats.accepted_tokens) / double(stats.guessed_tokens));
  return text;
}

llmc_sampler_options SamplerFlags::over(llmc_sampler_options model) {
  breakerTexts.assign(1, nullptr); // data() is never null: none at all is not the usual ones
  breakerTexts.clear();
  for (const std::string &text : breakers)
    if (text != "none")
      breakerTexts.push_back(text.c_str());
  uint64_t seed = model.seed;
  for (const Flag &flag : flags)
    if (flag.option->count())
      flag.apply(model);
  if (!breakers.empty()) {
    model.dry_sequence_breakers = breakerTexts.data();
    model.dry_breaker_count = int64_t(breakerTexts.size());
  }
  model.logit_bias = biases.data();
  model.logit_bias_count = int64_t(biases.size());
  if (model.seed == UINT64_MAX) // -1: as if it were not given
    model.seed = seed;
  return model;
}

} // namespace llmc
