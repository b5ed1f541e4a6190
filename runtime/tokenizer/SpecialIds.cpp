#include "runtime/tokenizer/SpecialIds.h"

#include <limits>
#include <set>

namespace llmc {
namespace {

// An id or a list of ids.
std::set<TokenId> idsOf(const Json &owner, std::string_view key) {
  std::set<TokenId> ids;
  const Json *value = jsonMember(owner, key);
  auto add = [&](const Json &item) {
    if (auto id = jsonInt(item); id && *id >= 0 && *id <= std::numeric_limits<TokenId>::max())
      ids.insert(TokenId(*id));
  };
  if (value && value->is_array())
    for (const Json &item : *value)
      add(item);
  else if (value)
    add(*value);
  return ids;
}

class Reader {
public:
  Reader(const TokenizerParts &parts, const CompanionFiles &files) : parts(parts), files(files) {}

  // "bos_token" and its like.
  std::optional<TokenId> named(std::string_view name) const {
    for (const Json *owner : {&files.tokenizerConfig, &files.specialTokens})
      if (auto content = contentOf(*owner, name))
        if (TokenId id = parts.find(*content); id >= 0)
          return id;
    return std::nullopt;
  }
  std::optional<TokenId> first(std::string_view token, std::string_view idKey, std::optional<TokenId> otherwise) const {
    if (auto id = named(token))
      return id;
    for (const Json *owner : {&files.generationConfig, &files.config})
      for (TokenId candidate : idsOf(*owner, idKey))
        if (size_t(candidate) < parts.size())
          return candidate;
    return otherwise;
  }
  std::vector<TokenId> frame(SpecialIdDefaults &defaults) const;
  std::set<TokenId> stop(std::optional<TokenId> eos) const {
    std::set<TokenId> ids = idsOf(files.generationConfig, "eos_token_id");
    if (ids.empty())
      ids = idsOf(files.config, "eos_token_id");
    if (ids.empty() && eos)
      ids.insert(*eos);
    return ids;
  }

private:
  const TokenizerParts &parts;
  const CompanionFiles &files;
};

std::vector<TokenId> Reader::frame(SpecialIdDefaults &defaults) const {
  // Classes whose add_bos_token and add_eos_token replace what tokenizer.json says.
  auto className = jsonString(files.tokenizerConfig, "tokenizer_class").value_or("");
  bool isAsked = className.find("Llama") != className.npos || className.find("Gemma") != className.npos;
  auto addsBos = jsonBool(files.tokenizerConfig, "add_bos_token"),
       addsEos = jsonBool(files.tokenizerConfig, "add_eos_token");
  bool replaces =
      (isAsked && (addsBos || addsEos)) || (!defaults.isFrameChosen && (addsBos == true || addsEos == true));
  if (!replaces)
    return std::move(defaults.frame);
  // What is not said stays as the class has it: a BOS, and no EOS.
  std::vector<TokenId> replaced;
  auto bos = named("bos_token"), eos = named("eos_token");
  if (!bos)
    bos = defaults.bos;
  if (!eos)
    eos = defaults.eos;
  if (bos && addsBos.value_or(isAsked))
    replaced.push_back(*bos);
  replaced.push_back(kFrameText);
  if (eos && addsEos.value_or(false))
    replaced.push_back(*eos);
  return replaced;
}

} // namespace

std::optional<std::string_view> contentOf(const Json &owner, std::string_view key) {
  const Json *value = jsonMember(owner, key);
  if (!value)
    return std::nullopt;
  return value->is_object() ? jsonString(*value, "content") : jsonString(*value);
}

void addSpecialIds(Json &config, const TokenizerParts &parts, const CompanionFiles &files, SpecialIdDefaults defaults) {
  Reader reader(parts, files);
  config["frame"] = reader.frame(defaults);
  auto bos = reader.first("bos_token", "bos_token_id", defaults.bos),
       eos = reader.first("eos_token", "eos_token_id", defaults.eos);
  if (bos)
    config["bos"] = *bos;
  if (eos)
    config["eos"] = *eos;
  config["stop"] = reader.stop(eos);
}

} // namespace llmc
