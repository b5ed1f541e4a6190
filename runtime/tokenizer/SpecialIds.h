// What the small files beside a tokenizer say of its special tokens. Internal to runtime/tokenizer.
#pragma once

#include "runtime/support/Json.h"
#include "runtime/tokenizer/Vocabulary.h"

namespace llmc {

// null for files that are not there.
struct CompanionFiles {
  Json tokenizerConfig;  // tokenizer_config.json
  Json specialTokens;    // special_tokens_map.json
  Json addedTokens;      // added_tokens.json
  Json generationConfig; // generation_config.json
  Json config;           // config.json
};

// The text of "bos_token" and its like: a string, or an object's "content".
std::optional<std::string_view> contentOf(const Json &owner, std::string_view key);

struct SpecialIdDefaults {
  std::vector<TokenId> frame = {kFrameText}; // the tokenizer's own
  bool isFrameChosen = false;                // by the tokenizer's file, rather than assumed
  std::optional<TokenId> bos, eos;           // where the files name none
};

// Adds "frame", "bos", "eos" and "stop" to a blob's config.
void addSpecialIds(Json &config, const TokenizerParts &parts, const CompanionFiles &files, SpecialIdDefaults defaults);

} // namespace llmc
