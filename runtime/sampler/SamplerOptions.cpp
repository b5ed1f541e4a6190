#include "runtime/sampler/SamplerOptions.h"

#include <algorithm>
#include <charconv>
#include <cmath>

namespace llmc {
namespace {

struct StepName {
  std::string_view name;
  SamplerStep step;
};
constexpr StepName stepNames[] = {
    {"penalties", SamplerStep::Penalties}, {"dry", SamplerStep::Dry},     {"top_n_sigma", SamplerStep::TopNSigma},
    {"top_k", SamplerStep::TopK},          {"typ_p", SamplerStep::Typical}, {"top_p", SamplerStep::TopP},
    {"min_p", SamplerStep::MinP},          {"xtc", SamplerStep::Xtc},     {"temperature", SamplerStep::Temperature}};

std::unexpected<Error> badOption(const char *name, const char *range, double value) {
  return invalidInput(std::string("sampler: ") + name + ": want " + range + ", got " + std::to_string(value));
}

// The pieces between separators; none for an empty text.
std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> pieces;
  while (!text.empty()) {
    size_t end = text.find(separator);
    pieces.push_back(text.substr(0, end));
    text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
  }
  return pieces;
}

template <class T> bool parseNumber(std::string_view text, T &value) {
  auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  return code == std::errc() && end == text.data() + text.size();
}

bool isFinite(float value) { return std::isfinite(value); }

Expected<void> validateCuts(const SamplerOptions &options) {
  if (options.topK < 0)
    return badOption("top-k", "at least 0", options.topK);
  if (!(options.topP >= 0 && options.topP <= 1))
    return badOption("top-p", "0 to 1", options.topP);
  if (!(options.minP >= 0 && options.minP <= 1))
    return badOption("min-p", "0 to 1", options.minP);
  if (!(options.typicalP >= 0 && options.typicalP <= 1))
    return badOption("typical", "0 to 1", options.typicalP);
  if (!isFinite(options.topNSigma))
    return badOption("top-nsigma", "a finite number", options.topNSigma);
  if (!(options.xtcProbability >= 0 && options.xtcProbability <= 1))
    return badOption("xtc-probability", "0 to 1", options.xtcProbability);
  if (!(options.xtcThreshold >= 0 && options.xtcThreshold <= 1))
    return badOption("xtc-threshold", "0 to 1", options.xtcThreshold);
  return {};
}

Expected<void> validatePenalties(const SamplerOptions &options) {
  if (!(options.repeatPenalty > 0) || !isFinite(options.repeatPenalty))
    return badOption("repeat-penalty", "a number above 0", options.repeatPenalty);
  if (options.repeatLastN < -1)
    return badOption("repeat-last-n", "at least -1", options.repeatLastN);
  if (!isFinite(options.presencePenalty))
    return badOption("presence-penalty", "a finite number", options.presencePenalty);
  if (!isFinite(options.frequencyPenalty))
    return badOption("frequency-penalty", "a finite number", options.frequencyPenalty);
  if (options.noRepeatNgram < 0)
    return badOption("no-repeat-ngram", "at least 0", options.noRepeatNgram);
  for (const LogitBias &bias : options.logitBias)
    if (bias.token < 0 || std::isnan(bias.bias) || bias.bias == HUGE_VALF)
      return badOption("logit-bias", "a token id of at least 0 and a finite number or -inf", bias.token < 0 ? bias.token : bias.bias);
  return {};
}

Expected<void> validateDry(const SamplerOptions &options) {
  if (!(options.dryMultiplier >= 0) || !isFinite(options.dryMultiplier))
    return badOption("dry-multiplier", "at least 0", options.dryMultiplier);
  if (options.dryMultiplier == 0)
    return {};
  if (!(options.dryBase >= 1) || !isFinite(options.dryBase))
    return badOption("dry-base", "at least 1", options.dryBase);
  if (options.dryAllowedLength < 0)
    return badOption("dry-allowed-length", "at least 0", options.dryAllowedLength);
  if (options.dryPenaltyLastN < -1)
    return badOption("dry-penalty-last-n", "at least -1", options.dryPenaltyLastN);
  return {};
}

Expected<void> validateMirostat(const SamplerOptions &options) {
  if (options.mirostat < 0 || options.mirostat > 2)
    return badOption("mirostat", "0, 1 or 2", options.mirostat);
  if (options.mirostat && (!(options.mirostatTau > 0) || !isFinite(options.mirostatTau)))
    return badOption("mirostat-ent", "a number above 0", options.mirostatTau);
  if (options.mirostat && (!(options.mirostatEta >= 0) || !isFinite(options.mirostatEta)))
    return badOption("mirostat-lr", "at least 0", options.mirostatEta);
  return {};
}

Expected<void> validateTemperature(const SamplerOptions &options) {
  if (!(options.temperature >= 0) || !isFinite(options.temperature))
    return badOption("temperature", "a number of at least 0", options.temperature);
  if (!(options.dynatempRange >= 0) || !isFinite(options.dynatempRange))
    return badOption("dynatemp-range", "at least 0", options.dynatempRange);
  if (options.dynatempRange > 0 && (!(options.dynatempExponent >= 0) || !isFinite(options.dynatempExponent)))
    return badOption("dynatemp-exp", "at least 0", options.dynatempExponent);
  return {};
}

} // namespace

const std::vector<SamplerStep> &defaultSamplerSteps() {
  static const std::vector<SamplerStep> steps = [] {
    std::vector<SamplerStep> all;
    for (const StepName &known : stepNames)
      all.push_back(known.step);
    return all;
  }();
  return steps;
}

Expected<std::vector<SamplerStep>> parseSamplerSteps(std::string_view names) {
  std::vector<SamplerStep> steps;
  for (std::string_view name : split(names, ';')) {
    auto known = std::ranges::find(stepNames, name, &StepName::name);
    if (known == std::end(stepNames)) {
      std::string all;
      for (const StepName &each : stepNames)
        all += (all.empty() ? "" : ";") + std::string(each.name);
      return invalidInput("sampler: samplers: there is no '" + std::string(name.substr(0, 40)) + "'; there are " + all);
    }
    steps.push_back(known->step);
  }
  return steps;
}

Expected<std::vector<SchedulePoint>> parseTemperatureSchedule(std::string_view text) {
  std::vector<SchedulePoint> schedule;
  for (std::string_view piece : split(text, ',')) {
    size_t colon = piece.find(':');
    SchedulePoint point{};
    bool parsed = colon != std::string_view::npos && parseNumber(piece.substr(0, colon), point.position) &&
                  parseNumber(piece.substr(colon + 1), point.temperature);
    if (!parsed || point.position < 0 || !(point.temperature >= 0) || !isFinite(point.temperature))
      return invalidInput("sampler: temp-schedule: want POSITION:TEMPERATURE, both at least 0, separated by commas, got '" +
                          std::string(piece.substr(0, 40)) + "'");
    if (!schedule.empty() && point.position <= schedule.back().position)
      return invalidInput("sampler: temp-schedule: want ascending positions, got " + std::to_string(point.position) + " after " +
                          std::to_string(schedule.back().position));
    schedule.push_back(point);
  }
  return schedule;
}

float temperatureAt(const std::vector<SchedulePoint> &schedule, int64_t position) {
  auto after = std::ranges::upper_bound(schedule, position, {}, &SchedulePoint::position);
  if (after == schedule.begin())
    return schedule.front().temperature;
  if (after == schedule.end())
    return schedule.back().temperature;
  const SchedulePoint &from = *(after - 1), &to = *after;
  double share = double(position - from.position) / double(to.position - from.position);
  return float(double(from.temperature) + share * (double(to.temperature) - double(from.temperature)));
}

Expected<void> validate(const SamplerOptions &options) {
  LLMC_CHECK(validateTemperature(options));
  LLMC_CHECK(validateCuts(options));
  LLMC_CHECK(validatePenalties(options));
  LLMC_CHECK(validateDry(options));
  return validateMirostat(options);
}

} // namespace llmc
