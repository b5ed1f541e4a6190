// tokenizer.json and the small files beside it.
#include "runtime/tokenizer/FromHuggingFace.h"

#include "runtime/support/Files.h"
#include "runtime/support/Text.h"
#include "runtime/tokenizer/PostProcessor.h"
#include "runtime/tokenizer/TokenizerImpl.h"
#include "runtime/tokenizer/TokenizerJson.h"

#include <filesystem>
#include <limits>
#include <map>

namespace llmc {
namespace {

constexpr size_t kMaxTokenizerBytes = size_t(1) << 28;
constexpr size_t kMaxConfigBytes = size_t(1) << 24;

std::unexpected<Error> bad(std::string what) { return invalidInput("tokenizer.json: " + std::move(what)); }

class Builder {
public:
  Builder(TokenizerJson json, const CompanionFiles &files) : json(std::move(json)), files(files) {}

  Expected<Tokenizer> build();

private:
  const Json &member(std::string_view key) const {
    static const Json kNull;
    const Json *value = jsonMember(json.rest, key);
    return value ? *value : kNull;
  }

  Expected<void> addPieces();
  Expected<void> addMerges();
  Expected<void> addAddedTokens();
  Expected<void> addAddedToken(const Json &token, const Normalizer &normalizer, RegexScratch &scratch);
  Expected<TokenId> idOfAdded(const std::string &content, bool isSpecial);
  Expected<void> insertAddedOnly();
  void addScores();
  Expected<Json> modelConfig() const;
  Expected<SpecialIdDefaults> defaults() const;

  TokenizerJson json;
  const CompanionFiles &files;
  TokenizerParts parts;
  size_t modelPieces = 0; // as the reference counts them
  struct AddedOnly {
    TokenId id;
    bool isSpecial;
  };
  std::map<std::string, AddedOnly, std::less<>> addedOnly;
  std::map<TokenId, size_t> addedIndex; // into parts.added
  TokenId nextId = 0;
  Json decodedForms = Json::array();
};

// Pieces by id. Ids may have gaps, but not so many that a small file makes a large table.
Expected<void> Builder::addPieces() {
  int64_t top = -1;
  for (const auto &piece : json.pieces)
    top = std::max<int64_t>(top, piece.id);
  modelPieces = json.pieces.size();
  if (top >= int64_t(4 * modelPieces + (1 << 16)))
    return bad("'vocab': " + std::to_string(modelPieces) + " pieces, but the largest id is " + std::to_string(top));
  std::vector<int32_t> order(size_t(top + 1), -1);
  for (size_t i = 0; i < json.pieces.size(); ++i) {
    int32_t &slot = order[size_t(json.pieces[i].id)];
    if (slot >= 0)
      return bad("'vocab': " + quoteText(json.piece(json.pieces[size_t(slot)])) + " and " +
                 quoteText(json.piece(json.pieces[i])) + " have the same id " + std::to_string(json.pieces[i].id));
    slot = int32_t(i);
  }
  for (int32_t index : order)
    parts.append(index < 0 ? std::string_view() : json.piece(json.pieces[size_t(index)]), kPieceNormal);
  return parts.indexPieces();
}

Expected<void> Builder::addMerges() {
  size_t prefixBytes = jsonString(member("model"), "continuing_subword_prefix").value_or("").size();
  auto want = [&](std::string_view piece) -> Expected<TokenId> {
    TokenId id = parts.find(piece);
    if (id < 0)
      return bad("'merges': " + quoteText(piece) + " is not in the vocabulary");
    return id;
  };
  std::vector<MergeSlot> &merges = parts.merges;
  merges.reserve(json.merges.size());
  std::string joined;
  for (size_t rank = 0; rank < json.merges.size(); ++rank) {
    const auto &pair = json.merges[rank];
    std::string_view text =
        std::string_view(json.text).substr(pair.textOffset, size_t(pair.leftBytes) + pair.rightBytes);
    std::string_view left = text.substr(0, pair.leftBytes), right = text.substr(pair.leftBytes);
    if (right.size() < prefixBytes)
      return bad("'merges': " + quoteText(right) + " lacks the model's 'continuing_subword_prefix'");
    joined.assign(left).append(right.substr(prefixBytes));
    LLMC_TRY(leftId, want(left));
    LLMC_TRY(rightId, want(right));
    LLMC_TRY(merged, want(joined));
    merges.push_back({leftId, rightId, uint32_t(rank), merged});
  }
  keepOnePerPair(merges, /*keepsFirst=*/false);
  return {};
}

// An added token takes its id from the model if that knows it, else the next free one.
Expected<TokenId> Builder::idOfAdded(const std::string &content, bool isSpecial) {
  if (TokenId id = parts.find(content); id >= 0) {
    if (isSpecial)
      parts.pieceFlags[size_t(id)] |= kPieceSpecial;
    return id;
  }
  auto [entry, isNew] = addedOnly.try_emplace(content, AddedOnly{nextId, isSpecial});
  if (!isNew) {
    entry->second.isSpecial |= isSpecial;
    return entry->second.id;
  }
  TokenId id = nextId++;
  if (size_t(id) < parts.size() && !parts.piece(size_t(id)).empty())
    return bad("'added_tokens': " + quoteText(content) + " would take id " + std::to_string(id) + " from " +
               quoteText(parts.piece(size_t(id))));
  return id;
}

Expected<void> Builder::addAddedToken(const Json &token, const Normalizer &normalizer, RegexScratch &scratch) {
  auto text = jsonString(token, "content");
  if (!text)
    return bad("'added_tokens': want objects with a string 'content'");
  if (text->empty())
    return {};
  std::string content(*text);
  auto isSet = [&](std::string_view key, bool otherwise) { return jsonBool(token, key).value_or(otherwise); };
  bool isSpecial = isSet("special", false);
  uint32_t flags = (isSet("lstrip", false) ? kAddedLeftStrip : 0) | (isSet("rstrip", false) ? kAddedRightStrip : 0) |
                   (isSet("single_word", false) ? kAddedSingleWord : 0) | (isSpecial ? kAddedSpecial : 0) |
                   (isSet("normalized", !isSpecial) ? kAddedNormalized : 0);
  LLMC_TRY(id, idOfAdded(content, isSpecial));
  std::string pattern = content;
  if (flags & kAddedNormalized) {
    NormalizedText normalized(content, true);
    LLMC_CHECK(normalizer.apply(normalized, scratch));
    pattern = std::move(normalized.text);
    if (pattern != content)
      decodedForms.push_back({{"id", id}, {"text", pattern}});
  }
  if (pattern.empty())
    return {};
  if (pattern.size() > AddedTokens::kMaxPatternBytes)
    return unsupported("tokenizer.json: 'added_tokens': " + quoteText(content, 40) + ": want at most " +
                       std::to_string(AddedTokens::kMaxPatternBytes) + " bytes");
  auto [place, isNew] = addedIndex.try_emplace(id, parts.added.size());
  if (isNew)
    parts.added.push_back({std::move(pattern), id, flags});
  else
    parts.added[place->second] = {std::move(pattern), id, flags};
  return {};
}

Expected<void> Builder::addAddedTokens() {
  const Json &tokens = member("added_tokens");
  if (tokens.is_null())
    return {};
  if (!tokens.is_array())
    return bad("'added_tokens': want an array");
  LLMC_TRY(normalizer, Normalizer::fromJson(member("normalizer")));
  RegexScratch scratch;
  nextId = TokenId(modelPieces);
  for (const Json &token : tokens)
    LLMC_CHECK(addAddedToken(token, normalizer, scratch));
  return insertAddedOnly();
}

// Writes the pieces anew with those of the added tokens, which may fill gaps.
Expected<void> Builder::insertAddedOnly() {
  if (addedOnly.empty())
    return {};
  std::map<TokenId, std::pair<std::string_view, uint8_t>> byId;
  for (const auto &[content, token] : addedOnly)
    byId.emplace(token.id, std::pair(std::string_view(content),
                                     uint8_t(kPieceAddedOnly | (token.isSpecial ? kPieceSpecial : 0))));
  TokenizerParts old;
  std::swap(old.pieceBytes, parts.pieceBytes);
  std::swap(old.pieceOffsets, parts.pieceOffsets);
  std::swap(old.pieceFlags, parts.pieceFlags);
  size_t count = std::max(old.size(), size_t(byId.rbegin()->first) + 1);
  for (size_t id = 0; id < count; ++id) {
    auto added = byId.find(TokenId(id));
    if (added != byId.end())
      parts.append(added->second.first, added->second.second);
    else
      parts.append(id < old.size() ? old.piece(id) : std::string_view(),
                   id < old.size() ? old.pieceFlags[id] : uint8_t(0));
  }
  return parts.indexPieces();
}

void Builder::addScores() {
  if (json.scores.size() != modelPieces || json.scores.empty())
    return;
  std::vector<double> scores(parts.size(), 0.0);
  for (size_t i = 0; i < modelPieces; ++i)
    scores[size_t(json.pieces[i].id)] = json.scores[i];
  parts.scores.assign(reinterpret_cast<const char *>(scores.data()), scores.size() * sizeof(double));
  for (size_t id = 0; id < parts.size(); ++id)
    if (!(parts.pieceFlags[id] & kPieceAddedOnly))
      parts.trie.push_back(TokenId(id));
}

// The model's options. Old files lack the type; its members give it away.
Expected<Json> Builder::modelConfig() const {
  Json config = member("model");
  if (!config.is_object())
    return bad("want an object 'model'");
  if (!jsonString(config, "type")) {
    bool isWordPiece = config.contains("max_input_chars_per_word");
    config["type"] = !json.merges.empty()   ? "BPE"
                     : !json.scores.empty() ? "Unigram"
                     : isWordPiece          ? "WordPiece"
                                            : "WordLevel";
  }
  auto type = jsonString(config, "type").value_or("");
  if (jsonFloat(config, "dropout").value_or(0) > 0)
    return unsupported("tokenizer.json: model 'BPE': 'dropout' is not supported");
  if (jsonFloat(config, "alpha").value_or(0) > 0)
    return unsupported("tokenizer.json: model 'Unigram': 'alpha' is not supported");
  if (type != "Unigram") {
    auto otherwise = type == "WordPiece" ? "[UNK]" : "";
    TokenId unknown = parts.find(jsonString(config, "unk_token").value_or(otherwise));
    bool isModels = unknown >= 0 && !(parts.pieceFlags[size_t(unknown)] & kPieceAddedOnly);
    config["unk_id"] = isModels ? Json(unknown) : Json(nullptr);
  } else if (parts.scores.empty()) {
    return bad("model 'Unigram': 'vocab': want [[piece, score], …]");
  }
  return config;
}

Expected<SpecialIdDefaults> Builder::defaults() const {
  SpecialIdDefaults defaults;
  LLMC_TRY(frame, compilePostProcessor(member("post_processor")));
  for (TokenId id : frame)
    if (id >= 0 && size_t(id) >= parts.size())
      return bad("'post_processor': want ids below " + std::to_string(parts.size()) + ", got " + std::to_string(id));
  defaults.frame = std::move(frame);
  defaults.isFrameChosen = !member("post_processor").is_null();
  return defaults;
}

Expected<Tokenizer> Builder::build() {
  if (!json.rest.is_object())
    return bad("want an object");
  if (json.pieces.empty())
    return bad("model: 'vocab': want at least one piece");
  if (json.text.size() > std::numeric_limits<uint32_t>::max())
    return bad("want less than 4 GiB of text");
  LLMC_CHECK(addPieces());
  LLMC_CHECK(addMerges());
  LLMC_CHECK(addAddedTokens());
  addScores();
  LLMC_TRY(model, modelConfig());
  Json config = {{"model", std::move(model)}, {"decoded_forms", decodedForms}};
  for (const char *key : {"normalizer", "pre_tokenizer", "decoder"})
    config[key] = member(key);
  LLMC_TRY(specialIds, defaults());
  addSpecialIds(config, parts, files, std::move(specialIds));
  parts.config = config.dump();
  json = {};
  return Tokenizer::Impl::fromParts(std::move(parts));
}

// A missing file is null.
Expected<Json> readCompanion(const std::filesystem::path &directory, const char *name) {
  std::error_code error;
  if (!std::filesystem::exists(directory / name, error))
    return Json();
  LLMC_TRY(text, readTextFile((directory / name).string(), kMaxConfigBytes));
  return parseJson(text, name);
}

// The tokenizer's file in a directory: SentencePiece's own only where nothing else is there.
std::filesystem::path fileIn(const std::filesystem::path &directory) {
  std::error_code error;
  if (!std::filesystem::exists(directory / "tokenizer.json", error))
    for (const char *name : {"tokenizer.model", "spiece.model"})
      if (std::filesystem::exists(directory / name, error))
        return directory / name;
  return directory / "tokenizer.json";
}

} // namespace

Expected<Tokenizer> tokenizerFromJson(std::string_view json, const CompanionFiles &files) {
  LLMC_TRY(parsed, parseTokenizerJson(json));
  return Builder(std::move(parsed), files).build();
}

Expected<Tokenizer> Tokenizer::fromHuggingFace(const std::string &path) {
  std::error_code error;
  std::filesystem::path file = path;
  if (std::filesystem::is_directory(file, error))
    file = fileIn(file);
  bool isSentencePiece = file.extension() == ".model";
  LLMC_TRY(contents, readTextFile(file.string(), kMaxTokenizerBytes));
  CompanionFiles files;
  for (auto [name, target] :
       {std::pair("tokenizer_config.json", &files.tokenizerConfig),
        std::pair("special_tokens_map.json", &files.specialTokens), std::pair("added_tokens.json", &files.addedTokens),
        std::pair("generation_config.json", &files.generationConfig), std::pair("config.json", &files.config)}) {
    LLMC_TRY(companion, readCompanion(file.parent_path(), name));
    *target = std::move(companion);
  }
  auto tokenizer = isSentencePiece ? tokenizerFromSentencePiece(contents, files) : tokenizerFromJson(contents, files);
  std::string_view generic = isSentencePiece ? "SentencePiece model" : "tokenizer.json";
  if (!tokenizer && tokenizer.error().message.starts_with(generic))
    tokenizer.error().message.replace(0, generic.size(), file.string());
  return tokenizer;
}

} // namespace llmc
