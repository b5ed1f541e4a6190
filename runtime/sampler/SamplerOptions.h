// How the next token is drawn. Every number's neutral value switches its part off.
#pragma once

#include "runtime/support/Error.h"
#include "runtime/tokenizer/Tokenizer.h"

#include <string_view>
#include <unordered_map>
#include <vector>

namespace llmc {

// The parts of the chain, by llama.cpp's names (`--samplers`).
enum class SamplerStep {
  Penalties,   // penalties: repeat, presence, frequency
  Dry,         // dry
  TopNSigma,   // top_n_sigma
  TopK,        // top_k
  Typical,     // typ_p
  TopP,        // top_p
  MinP,        // min_p
  Xtc,         // xtc
  Temperature, // temperature
};

// llama.cpp's default order. The logit bias and the n-gram block come before all of it.
const std::vector<SamplerStep> &defaultSamplerSteps();
// "top_k;top_p;temperature": in this order, and no others. Errors: InvalidInput, naming what it does not know.
Expected<std::vector<SamplerStep>> parseSamplerSteps(std::string_view names);

struct SchedulePoint {
  int64_t position; // tokens drawn before
  float temperature;
};
// "0:1.2,64:0.7": linear between the points, constant before the first and after the last. Errors: InvalidInput.
Expected<std::vector<SchedulePoint>> parseTemperatureSchedule(std::string_view text);
// At a position of a schedule that has points.
float temperatureAt(const std::vector<SchedulePoint> &schedule, int64_t position);

struct LogitBias {
  TokenId token;
  float bias; // added to the logit; -infinity: never
};

// Sequences of tokens, by the first: what follows it in each (nothing, if that token alone is one).
using DryBreakers = std::unordered_map<TokenId, std::vector<std::vector<TokenId>>>;

struct SamplerOptions {
  float temperature = 0.8f;   // 0: greedy, the first of equal maxima
  int32_t topK = 40;          // 0: off
  float topP = 0.95f;         // 1: off. arXiv:1904.09751
  float minP = 0.05f;         // 0: off. arXiv:2407.01082
  float repeatPenalty = 1.0f; // 1: off; divides positive logits, multiplies negative ones. arXiv:1909.05858
  int32_t repeatLastN = 64;   // tokens the penalties look back on; -1: all
  uint64_t seed = 0;

  float presencePenalty = 0;  // subtracted from the logit of each recent token
  float frequencyPenalty = 0; // subtracted as often as it occurs
  int32_t noRepeatNgram = 0;  // no n tokens twice in the whole sequence, prompt included; 0: off. arXiv:1705.04304
  std::vector<LogitBias> logitBias = {};
  float typicalP = 1;  // of the tokens whose surprise is nearest to the mean those that make up P; 1 (or 0): off. arXiv:2202.00666
  float topNSigma = 0; // logits at most so many standard deviations below the greatest; 0 or below: off. arXiv:2411.07641

  // DRY, which punishes what would continue a repetition: multiplier * base^(its length - allowed length) off the logit.
  // github.com/oobabooga/text-generation-webui/pull/5677
  float dryMultiplier = 0; // 0: off
  float dryBase = 1.75f;   // at least 1
  int32_t dryAllowedLength = 2;
  int32_t dryPenaltyLastN = -1; // tokens it looks back on; -1: all
  DryBreakers dryBreakers = {};  // a repetition does not reach across any of these

  // XTC, which with this probability removes all but the least likely of the tokens that reach the threshold.
  // github.com/oobabooga/text-generation-webui/pull/6335
  float xtcProbability = 0; // 0: off
  float xtcThreshold = 0.1f; // above 0.5: off

  // Dynamic temperature: temperature +- range by (entropy / greatest entropy)^exponent. arXiv:2309.02772
  float dynatempRange = 0; // 0: off
  float dynatempExponent = 1;
  std::vector<SchedulePoint> temperatureSchedule = {}; // ascending; takes the place of `temperature`

  // Mirostat 1 or 2, which holds the mean surprise at tau bits; then of the chain only penalties, DRY and temperature are used. arXiv:2007.14966
  int32_t mirostat = 0; // 0: off
  float mirostatTau = 5; // bits
  float mirostatEta = 0.1f; // how fast it learns

  std::vector<SamplerStep> steps = defaultSamplerSteps();
};

// Errors: InvalidInput, naming the option, its range and its value.
Expected<void> validate(const SamplerOptions &options);

} // namespace llmc
