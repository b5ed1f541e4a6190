// What a model's authors say about sampling from it: the generation_config.json of Hugging Face.
#pragma once

#include "runtime/sampler/BeamSearch.h"
#include "runtime/sampler/Sampler.h"

#include <optional>
#include <string_view>
#include <vector>

namespace llmc {

struct GenerationConfig {
  SamplerOptions sampler; // the seed is left alone
  float lengthPenalty = 1; // BeamOptions
  EarlyStopping earlyStopping = EarlyStopping::Heuristic;
  // Tokens that end a text. Absent: the tokenizer knows.
  std::optional<std::vector<TokenId>> stopTokens;
};

// `json`: the file's text; empty: our defaults. `do_sample` false means greedy; true means that absent members have the
// defaults of Hugging Face; if it is absent, members that are given replace our defaults one by one. Errors:
// InvalidInput on JSON that is malformed or out of range.
Expected<GenerationConfig> parseGenerationConfig(std::string_view json);

} // namespace llmc
