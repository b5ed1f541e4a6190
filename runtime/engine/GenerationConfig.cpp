#include "runtime/engine/GenerationConfig.h"

#include "runtime/support/Json.h"

#include <limits>

namespace llmc {
namespace {

constexpr const char *fileName = "generation_config.json";

Expected<TokenId> tokenId(const Json &value) {
  auto id = jsonInt(value);
  if (!id || *id < 0 || *id > std::numeric_limits<TokenId>::max())
    return invalidInput(std::string(fileName) + ": 'eos_token_id': want a token id or a list of them");
  return TokenId(*id);
}

Expected<std::optional<std::vector<TokenId>>> stopTokens(const Json &config) {
  const Json *value = jsonMember(config, "eos_token_id");
  if (!value)
    return std::nullopt;
  std::vector<TokenId> ids;
  if (!value->is_array()) {
    LLMC_TRY(id, tokenId(*value));
    ids.push_back(id);
    return ids;
  }
  for (const Json &item : *value) {
    LLMC_TRY(id, tokenId(item));
    ids.push_back(id);
  }
  return ids;
}

SamplerOptions samplerOptions(const Json &config) {
  SamplerOptions options;
  auto doSample = jsonBool(config, "do_sample");
  if (doSample == true)
    options.temperature = 1.0f, options.topK = 50, options.topP = 1.0f, options.minP = 0.0f;
  if (auto value = jsonFloat(config, "temperature"))
    options.temperature = float(*value);
  if (auto value = jsonInt(config, "top_k"))
    options.topK = int32_t(std::min<int64_t>(*value, std::numeric_limits<int32_t>::max()));
  if (auto value = jsonFloat(config, "top_p"))
    options.topP = float(*value);
  if (auto value = jsonFloat(config, "min_p"))
    options.minP = float(*value);
  if (auto value = jsonFloat(config, "repetition_penalty"))
    options.repeatPenalty = float(*value);
  if (auto value = jsonFloat(config, "typical_p"))
    options.typicalP = float(*value);
  if (auto value = jsonInt(config, "no_repeat_ngram_size"))
    options.noRepeatNgram = int32_t(std::min<int64_t>(*value, std::numeric_limits<int32_t>::max()));
  if (doSample == false)
    options.temperature = 0.0f;
  return options;
}

// true, false or "never".
EarlyStopping earlyStopping(const Json &config) {
  if (jsonString(config, "early_stopping") == "never")
    return EarlyStopping::Never;
  return jsonBool(config, "early_stopping").value_or(false) ? EarlyStopping::Always : EarlyStopping::Heuristic;
}

} // namespace

Expected<GenerationConfig> parseGenerationConfig(std::string_view json) {
  GenerationConfig parsed;
  if (json.empty())
    return parsed;
  LLMC_TRY(config, parseJson(json, fileName));
  LLMC_TRY(stops, stopTokens(config));
  parsed.stopTokens = stops;
  parsed.sampler = samplerOptions(config);
  parsed.lengthPenalty = float(jsonFloat(config, "length_penalty").value_or(1));
  parsed.earlyStopping = earlyStopping(config);
  if (auto valid = validate(parsed.sampler); !valid)
    return invalidInput(std::string(fileName) + ": " + valid.error().message);
  return parsed;
}

} // namespace llmc
