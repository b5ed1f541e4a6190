// tokenizer.model and spiece.model, SentencePiece's own files, and the small files beside them.
#include "runtime/support/Text.h"
#include "runtime/tokenizer/CharsMap.h"
#include "runtime/tokenizer/FromHuggingFace.h"
#include "runtime/tokenizer/SentencePieceModel.h"
#include "runtime/tokenizer/TokenizerImpl.h"

#include <charconv>
#include <limits>
#include <map>

namespace llmc {
namespace {

using PieceType = SentencePieceModel::PieceType;

std::unexpected<Error> bad(std::string what) { return invalidInput("SentencePiece model: " + std::move(what)); }

// Tokenizer classes of transformers, by the start of their names, that put special tokens around a text unasked.
struct ClassFrame {
  std::string_view name;
  std::string_view before, after[2];
};
constexpr ClassFrame kClassFrames[] = {
    {"Llama", "<s>", {}},
    {"CodeLlama", "<s>", {}},
    {"Gemma", "<bos>", {}},
    {"T5", "", {"</s>"}},
    {"MT5", "", {"</s>"}},
    {"Albert", "[CLS]", {"[SEP]"}},
    {"Rembert", "[CLS]", {"[SEP]"}},
    {"DebertaV2", "[CLS]", {"[SEP]"}},
    {"FNet", "[CLS]", {"[SEP]"}},
    {"BigBird", "[CLS]", {"[SEP]"}},
    {"XLNet", "", {"<sep>", "<cls>"}},
};
// Classes whose ids are not the file's.
constexpr std::string_view kRenumbering[] = {"XLMRoberta", "Camembert", "MBart",  "Pegasus", "Barthez", "XGLM",
                                             "M2M100",     "Nllb",      "Marian", "PLBart",  "Ernie"};

uint8_t flagsOf(PieceType type) {
  switch (type) {
  case PieceType::Normal:
    return kPieceNormal;
  case PieceType::Unknown:
    return kPieceUnknown;
  case PieceType::Control:
    return kPieceControl | kPieceSpecial;
  case PieceType::UserDefined:
    return kPieceUserDefined;
  case PieceType::Byte:
    return kPieceByte;
  case PieceType::Unused:
    return 0;
  }
  return 0;
}

class Builder {
public:
  Builder(const SentencePieceModel &model, const CompanionFiles &files) : model(model), files(files) {}
  Expected<Tokenizer> build();

private:
  Expected<void> addPieces();
  Expected<void> addAddedTokens();
  Expected<void> addAddedToken(std::string_view content, std::optional<int64_t> id, const Json &options);
  Expected<void> addDecoderEntries(const Json &entries);
  Expected<void> append(std::string_view content, std::optional<int64_t> id, bool isSpecial);
  void addPattern(TokenId id, uint32_t flags);
  Json describeModel() const;
  Json describeNormalizer() const;
  std::string_view className() const { return jsonString(files.tokenizerConfig, "tokenizer_class").value_or(""); }
  std::string_view dummyPrefix() const;
  SpecialIdDefaults defaults() const;

  const SentencePieceModel &model;
  const CompanionFiles &files;
  TokenizerParts parts;
  TokenId unknown = -1;
  std::map<TokenId, size_t> addedIndex; // into parts.added
};

Expected<void> Builder::addPieces() {
  std::vector<float> scores;
  for (const auto &piece : model.pieces) {
    auto id = TokenId(parts.size());
    if (piece.type == PieceType::Unknown && std::exchange(unknown, id) >= 0)
      return bad("pieces " + std::to_string(unknown) + " and another are both unknown");
    parts.append(piece.text, flagsOf(piece.type));
    scores.push_back(piece.score);
    bool isInTrie = piece.type == PieceType::UserDefined ||
                    (piece.type == PieceType::Normal && model.type == SentencePieceModel::Type::Unigram);
    if (isInTrie)
      parts.trie.push_back(id);
  }
  if (unknown < 0)
    return bad("want a piece of type unknown");
  LLMC_CHECK(parts.indexPieces());
  for (int byte = 0; model.fallsBackToBytes && byte < 256; ++byte) {
    char piece[8];
    std::snprintf(piece, sizeof(piece), "<0x%02X>", byte);
    if (TokenId id = parts.find(piece); id < 0 || !(parts.pieceFlags[size_t(id)] & kPieceByte))
      return bad("'byte_fallback' wants a byte piece " + std::string(piece));
  }
  parts.scores.assign(reinterpret_cast<const char *>(scores.data()), scores.size() * sizeof(float));
  return {};
}

void Builder::addPattern(TokenId id, uint32_t flags) {
  std::string_view piece = parts.piece(size_t(id));
  if (piece.empty() || piece.size() > AddedTokens::kMaxPatternBytes)
    return;
  auto [place, isNew] = addedIndex.try_emplace(id, parts.added.size());
  if (isNew)
    parts.added.push_back({std::string(piece), id, flags});
  else
    parts.added[place->second].flags = flags;
}

// A piece behind those of the model, at the next id or at `id`.
Expected<void> Builder::append(std::string_view content, std::optional<int64_t> id, bool isSpecial) {
  constexpr int64_t kMaxGap = 1 << 16;
  auto next = int64_t(parts.size()), wanted = id.value_or(next);
  if (wanted < next)
    return bad("the files beside it give id " + std::to_string(wanted) + " to " + quoteText(content, 40) +
               ", but it is that of " + quoteText(parts.piece(size_t(wanted)), 40));
  if (wanted >= next + kMaxGap)
    return bad("the files beside it give " + quoteText(content, 40) + " id " + std::to_string(wanted) +
               ": want at most " + std::to_string(next + kMaxGap - 1));
  while (int64_t(parts.size()) < wanted)
    parts.append({}, 0);
  parts.append(content, uint8_t(kPieceAddedOnly | (isSpecial ? kPieceSpecial : 0)));
  parts.addToIndex(TokenId(wanted));
  return {};
}

// `options`: an AddedToken's, or null for those of a special token.
Expected<void> Builder::addAddedToken(std::string_view content, std::optional<int64_t> id, const Json &options) {
  if (content.empty())
    return {};
  auto isSet = [&](std::string_view key) { return jsonBool(options, key).value_or(false); };
  bool isSpecial = jsonBool(options, "special").value_or(true);
  TokenId known = parts.find(content);
  if (known < 0) {
    LLMC_CHECK(append(content, id, isSpecial));
    known = TokenId(parts.size()) - 1;
  } else if (id && *id != known) {
    return bad("the files beside it give " + quoteText(content, 40) + " id " + std::to_string(*id) +
               ", but it has id " + std::to_string(known));
  }
  if (isSpecial)
    parts.pieceFlags[size_t(known)] |= kPieceSpecial;
  addPattern(known, (isSet("lstrip") ? kAddedLeftStrip : 0) | (isSet("rstrip") ? kAddedRightStrip : 0) |
                        (isSet("single_word") ? kAddedSingleWord : 0) | (isSpecial ? kAddedSpecial : 0));
  return {};
}

// {"32000": {"content": "<extra>", "special": true, …}, …}, in order of their ids.
Expected<void> Builder::addDecoderEntries(const Json &entries) {
  std::map<int64_t, const Json *> byId;
  for (const auto &[key, token] : entries.items()) {
    int64_t id = -1;
    auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), id);
    if (error != std::errc() || end != key.data() + key.size() || id < 0 || !jsonString(token, "content"))
      return bad("tokenizer_config.json: 'added_tokens_decoder': want {id: {\"content\": …}}");
    byId.emplace(id, &token);
  }
  for (auto [id, token] : byId)
    LLMC_CHECK(addAddedToken(*jsonString(*token, "content"), id, *token));
  return {};
}

Expected<void> Builder::addAddedTokens() {
  if (!files.tokenizerConfig.is_object())
    return {};
  for (size_t id = 0; id < model.pieces.size(); ++id)
    if (model.pieces[id].type == PieceType::Control)
      addPattern(TokenId(id), kAddedSpecial);
  if (const Json *entries = jsonMember(files.tokenizerConfig, "added_tokens_decoder"); entries && entries->is_object())
    LLMC_CHECK(addDecoderEntries(*entries));
  std::map<int64_t, std::string> added;
  for (const auto &[content, id] : files.addedTokens.items())
    if (auto number = jsonInt(id))
      added.emplace(*number, content);
  for (const auto &[id, content] : added)
    LLMC_CHECK(addAddedToken(content, id, Json{{"special", addedIndex.contains(parts.find(content))}}));
  constexpr const char *kNames[] = {"bos_token", "eos_token", "unk_token", "sep_token",
                                    "pad_token", "cls_token", "mask_token"};
  for (const Json *owner : {&files.tokenizerConfig, &files.specialTokens}) {
    for (const char *name : kNames)
      if (auto content = contentOf(*owner, name))
        LLMC_CHECK(addAddedToken(*content, std::nullopt, Json()));
    const Json *more = jsonMember(*owner, "additional_special_tokens");
    for (const Json &token : more && more->is_array() ? *more : Json::array())
      if (auto content = token.is_object() ? jsonString(token, "content") : jsonString(token))
        LLMC_CHECK(addAddedToken(*content, std::nullopt, Json()));
  }
  return {};
}

Json Builder::describeModel() const {
  auto nameOf = [](SentencePieceModel::Type type) {
    switch (type) {
    case SentencePieceModel::Type::Unigram:
      return "SentencePieceUnigram";
    case SentencePieceModel::Type::Bpe:
      return "SentencePieceBPE";
    case SentencePieceModel::Type::Word:
      return "SentencePieceWord";
    case SentencePieceModel::Type::Char:
      return "SentencePieceChar";
    }
    return "";
  };
  return {{"type", nameOf(model.type)}, {"unk_id", unknown}, {"byte_fallback", model.fallsBackToBytes}};
}

// Behind a special token transformers adds no space, unless the checkpoint says that it was trained the older way.
std::string_view Builder::dummyPrefix() const {
  bool adds = model.normalization.addsDummyPrefix;
  if (auto asked = jsonBool(files.tokenizerConfig, "add_prefix_space"))
    adds = *asked;
  if (!adds)
    return "never";
  bool isLlama = className().starts_with("Llama") || className().starts_with("CodeLlama");
  bool isLegacy = jsonBool(files.tokenizerConfig, "legacy").value_or(!isLlama);
  return isLegacy ? "always" : "first";
}

Json Builder::describeNormalizer() const {
  Json userDefined = Json::array();
  for (const auto &piece : model.pieces)
    if (piece.type == PieceType::UserDefined)
      userDefined.push_back(piece.text);
  return {{"type", "SentencePiece"},
          {"precompiled_charsmap", CharsMap::toBase64(model.normalization.charsMap)},
          {"dummy_prefix", dummyPrefix()},
          {"remove_extra_whitespaces", model.normalization.removesExtraSpaces},
          {"escape_whitespaces", model.normalization.escapesSpaces},
          {"whitespace_as_suffix", model.treatsSpaceAsSuffix},
          {"user_defined", std::move(userDefined)}};
}

SpecialIdDefaults Builder::defaults() const {
  SpecialIdDefaults defaults;
  auto control = [&](int64_t id) -> std::optional<TokenId> {
    bool isControl = id >= 0 && size_t(id) < model.pieces.size() && model.pieces[size_t(id)].type == PieceType::Control;
    return isControl ? std::optional(TokenId(id)) : std::nullopt;
  };
  defaults.bos = control(model.bosId);
  defaults.eos = control(model.eosId);
  for (const ClassFrame &entry : kClassFrames) {
    if (!className().starts_with(entry.name))
      continue;
    std::vector<TokenId> frame;
    auto add = [&](std::string_view piece) {
      if (TokenId id = piece.empty() ? -1 : parts.find(piece); id >= 0)
        frame.push_back(id);
    };
    add(entry.before);
    frame.push_back(kFrameText);
    for (std::string_view piece : entry.after)
      add(piece);
    defaults.frame = std::move(frame);
  }
  return defaults;
}

Expected<Tokenizer> Builder::build() {
  for (std::string_view name : kRenumbering)
    if (className().starts_with(name))
      return unsupported("SentencePiece model: " + std::string(className()) +
                         " numbers the pieces in its own way; want a tokenizer.json");
  if (!model.denormalizer.empty())
    return unsupported("SentencePiece model: a denormalizer is not supported; want a tokenizer.json");
  LLMC_CHECK(addPieces());
  LLMC_CHECK(addAddedTokens());
  std::vector<float> missing(parts.size() - model.pieces.size(), 0.0f); // of added tokens
  parts.scores.append(reinterpret_cast<const char *>(missing.data()), missing.size() * sizeof(float));
  Json config = {{"model", describeModel()},
                 {"normalizer", describeNormalizer()},
                 {"decoder",
                  {{"type", "SentencePiece"},
                   {"drop_first_space", dummyPrefix() != "never"},
                   {"drop_leading_spaces", model.normalization.removesExtraSpaces}}},
                 {"decoded_forms", Json::array({{{"id", unknown}, {"text", model.unknownSurface}}})}};
  addSpecialIds(config, parts, files, defaults());
  parts.config = config.dump(-1, ' ', false, Json::error_handler_t::replace);
  return Tokenizer::Impl::fromParts(std::move(parts));
}

} // namespace

Expected<Tokenizer> tokenizerFromSentencePiece(std::string_view bytes, const CompanionFiles &files) {
  LLMC_TRY(model, parseSentencePieceModel(bytes));
  return Builder(model, files).build();
}

} // namespace llmc
