// Builds a tokenizer from the texts of a Hugging Face directory's files. Internal to runtime/tokenizer, its tests and
// its fuzzer.
#pragma once

#include "runtime/support/Json.h"
#include "runtime/tokenizer/Tokenizer.h"

namespace llmc {

// The small files that may lie beside a tokenizer.json; null for those that do not.
struct CompanionFiles {
  Json tokenizerConfig;  // tokenizer_config.json
  Json specialTokens;    // special_tokens_map.json
  Json generationConfig; // generation_config.json
  Json config;           // config.json
};

// Errors: Unsupported, naming the component; InvalidInput.
Expected<Tokenizer> tokenizerFromJson(std::string_view json, const CompanionFiles &files = {});

} // namespace llmc
