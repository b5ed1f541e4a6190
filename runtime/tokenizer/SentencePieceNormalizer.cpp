#include "runtime/tokenizer/SentencePieceNormalizer.h"

#include "runtime/tokenizer/CharsMap.h"
#include "runtime/tokenizer/PieceTrie.h"
#include "runtime/tokenizer/Unicode.h"

#include <algorithm>

namespace llmc {
namespace {

class SentencePieceNormalizer final : public Normalizer::Step {
public:
  static Expected<std::unique_ptr<const Normalizer::Step>> fromJson(const Json &spec);
  Expected<void> apply(NormalizedText &value, RegexScratch &) const override;

private:
  // What a text begins with: so many bytes of it, and what they become.
  struct Prefix {
    size_t bytes;
    std::string_view text;
  };
  Prefix prefixOf(std::string_view text) const;
  void appendEscaped(std::string &out, std::string_view text) const;

  CharsMap rules;
  std::vector<TrieUnit> userDefinedUnits;
  PieceTrie userDefined;
  bool removesExtraSpaces = true, isSuffix = false;
  bool addsDummy = true, addsAtStartOnly = false;
  std::string space;
};

Expected<std::unique_ptr<const Normalizer::Step>> SentencePieceNormalizer::fromJson(const Json &spec) {
  auto step = std::make_unique<SentencePieceNormalizer>();
  auto isSet = [&](std::string_view key) { return jsonBool(spec, key).value_or(false); };
  if (auto encoded = jsonString(spec, "precompiled_charsmap").value_or(""); !encoded.empty()) {
    LLMC_TRY(rules, CharsMap::fromBase64(encoded));
    step->rules = std::move(rules);
  }
  auto prefix = jsonString(spec, "dummy_prefix").value_or("never");
  step->addsDummy = prefix != "never";
  step->addsAtStartOnly = prefix == "first";
  step->removesExtraSpaces = isSet("remove_extra_whitespaces");
  step->isSuffix = isSet("whitespace_as_suffix");
  step->space = isSet("escape_whitespaces") ? "\xE2\x96\x81" : " ";
  std::vector<std::string_view> pieces;
  if (const Json *list = jsonMember(spec, "user_defined"); list && list->is_array())
    for (const Json &piece : *list)
      if (auto text = jsonString(piece); text && !text->empty() && text->size() <= PieceTrie::kMaxPieceBytes)
        pieces.push_back(*text);
  std::sort(pieces.begin(), pieces.end());
  pieces.erase(std::unique(pieces.begin(), pieces.end()), pieces.end());
  std::vector<PieceTrie::Entry> entries;
  for (std::string_view piece : pieces)
    entries.push_back({piece, 0});
  if (!entries.empty())
    step->userDefinedUnits = PieceTrie::build(std::move(entries));
  LLMC_TRY(trie, PieceTrie::open(step->userDefinedUnits, 1));
  step->userDefined = trie;
  return step;
}

SentencePieceNormalizer::Prefix SentencePieceNormalizer::prefixOf(std::string_view text) const {
  if (size_t bytes = userDefined.longestPrefix(text))
    return {bytes, text.substr(0, bytes)};
  if (auto match = rules.longestAt(text))
    return {match->bytes, match->replacement};
  size_t bytes = decodeFirst(text).bytes;
  return {bytes, text.substr(0, bytes)};
}

void SentencePieceNormalizer::appendEscaped(std::string &out, std::string_view text) const {
  for (char c : text)
    if (c == ' ')
      out += space;
    else
      out += c;
}

Expected<void> SentencePieceNormalizer::apply(NormalizedText &value, RegexScratch &) const {
  std::string_view text = value.text;
  while (removesExtraSpaces && !text.empty()) {
    Prefix prefix = prefixOf(text);
    if (prefix.text != " ")
      break;
    text.remove_prefix(prefix.bytes);
  }
  std::string out;
  out.reserve(text.size() + text.size() / 2);
  bool wantsDummy = addsDummy && !text.empty() && (!addsAtStartOnly || value.isAtStart);
  if (wantsDummy && !isSuffix)
    out += space;
  bool isBehindSpace = removesExtraSpaces;
  while (!text.empty() && out.size() <= value.maxBytes) {
    auto [bytes, part] = prefixOf(text);
    while (isBehindSpace && part.starts_with(' '))
      part.remove_prefix(1);
    appendEscaped(out, part);
    if (!part.empty())
      isBehindSpace = removesExtraSpaces && part.ends_with(' ');
    text.remove_prefix(bytes);
  }
  while (removesExtraSpaces && out.ends_with(space))
    out.resize(out.size() - space.size());
  if (wantsDummy && isSuffix)
    out += space;
  value.text = std::move(out);
  return {};
}

} // namespace

Expected<std::unique_ptr<const Normalizer::Step>> sentencePieceNormalizer(const Json &spec) {
  return SentencePieceNormalizer::fromJson(spec);
}

} // namespace llmc
