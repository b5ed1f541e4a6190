// The tokenizer in a GGUF file's metadata, with llama.cpp's meaning of it.
// Source: https://github.com/ggml-org/llama.cpp/blob/master/src/llama-vocab.cpp
#include "runtime/formats/Gguf.h"
#include "runtime/support/Json.h"
#include "runtime/support/Text.h"
#include "runtime/tokenizer/GgufPreTokenizers.h"
#include "runtime/tokenizer/TokenizerImpl.h"

#include <cmath>
#include <limits>
#include <set>

namespace llmc {
namespace {

std::unexpected<Error> bad(std::string what) { return invalidInput("GGUF tokenizer: " + std::move(what)); }

// Pieces that end a turn, whatever the file says of them.
constexpr std::string_view kEndings[] = {"<|eot_id|>",
                                         "<|im_end|>",
                                         "<|end|>",
                                         "<|return|>",
                                         "<|call|>",
                                         "<|flush|>",
                                         "<|calls|>",
                                         "<end_of_turn>",
                                         "</s>",
                                         "<|endoftext|>",
                                         "<|eom_id|>",
                                         "<EOT>",
                                         "_<EOT>",
                                         "[EOT]",
                                         "<|end_of_text|>",
                                         "[EOS]",
                                         "<eos>",
                                         "<turn|>",
                                         "<end_of_utterance>",
                                         "<|tool_response>",
                                         "<｜end▁of▁sentence｜>",
                                         "[e~["};
// Fill-in-the-middle pieces are control tokens; these three kinds also end generation.
struct FimKind {
  const char *key; // of the id, behind "tokenizer.ggml."
  bool isEnding;
  std::string_view names[8];
};
constexpr FimKind kFimKinds[] = {
    {"fim_pre_token_id",
     false,
     {"<|fim_prefix|>", "<fim-prefix>", "<fim_prefix>", "<｜fim▁begin｜>", "<PRE>", "▁<PRE>", "<|code_prefix|>",
      "<|prefix|>"}},
    {"fim_suf_token_id",
     false,
     {"<|fim_suffix|>", "<fim-suffix>", "<fim_suffix>", "<｜fim▁hole｜>", "<SUF>", "▁<SUF>", "<|code_suffix|>",
      "<|suffix|>"}},
    {"fim_mid_token_id",
     false,
     {"<|fim_middle|>", "<fim-middle>", "<fim_middle>", "<｜fim▁end｜>", "<MID>", "▁<MID>", "<|code_middle|>",
      "<|middle|>"}},
    {"fim_pad_token_id", true, {"<|fim_pad|>", "<fim-pad>", "<fim_pad>", "<PAD>", "[PAD]"}},
    {"fim_rep_token_id", true, {"<|fim_repo|>", "<|repo_name|>", "<fim-repo>", "<REPO>", "<reponame>"}},
    {"fim_sep_token_id", true, {"<|file_sep|>"}},
};

class Builder {
public:
  explicit Builder(const Gguf &file) : file(file) {}
  Expected<Tokenizer> build();

private:
  static std::string key(std::string_view name) { return "tokenizer.ggml." + std::string(name); }
  std::optional<bool> flag(std::string_view name) const { return file.getBool(key(name)); }

  Expected<void> addPieces();
  Expected<void> addScores();
  Expected<void> addMerges();
  TokenId pieceOrGhost(std::string_view text);
  void addControlPieces();
  void addEndings();
  void addAddedTokens();
  std::optional<TokenId> id(std::string_view name, std::optional<TokenId> otherwise) const;
  std::optional<TokenId> findPiece(std::string_view text) const {
    TokenId found = parts.find(text);
    return found >= 0 && size_t(found) < realPieces ? std::optional(found) : std::nullopt;
  }
  Expected<Json> describeScoredBpe();
  Expected<Json> describeBpe();
  Expected<void> addFrame(Json &config) const;

  const Gguf &file;
  TokenizerParts parts;
  size_t realPieces = 0;
  std::optional<TokenId> bos, eos, unknown;
  bool addsBos = false, addsEos = false;
  std::set<TokenId> stop;
};

uint8_t flagsOfType(int64_t type) {
  switch (type) {
  case 1:
    return kPieceNormal;
  case 2:
    return kPieceUnknown;
  case 3:
    return kPieceControl;
  case 4:
    return kPieceUserDefined;
  case 6:
    return kPieceByte;
  default: // unused or undefined
    return 0;
  }
}

Expected<void> Builder::addPieces() {
  auto tokens = file.getStrings(key("tokens"));
  if (!tokens || tokens->empty())
    return bad("'tokenizer.ggml.tokens': want a list of strings");
  auto types = file.getInts(key("token_type"));
  if (types && types->size() < tokens->size())
    return bad("'tokenizer.ggml.token_type': want " + std::to_string(tokens->size()) + " entries, got " +
               std::to_string(types->size()));
  if (tokens->size() > size_t(std::numeric_limits<TokenId>::max()) / 2)
    return bad("'tokenizer.ggml.tokens': want fewer pieces");
  size_t bytes = 0;
  for (std::string_view token : *tokens)
    bytes += token.size();
  if (bytes > std::numeric_limits<uint32_t>::max() / 2)
    return bad("'tokenizer.ggml.tokens': want less than 2 GiB of text");
  for (size_t i = 0; i < tokens->size(); ++i) {
    std::string empty = "[EMPTY_" + std::to_string(i) + "]";
    parts.append((*tokens)[i].empty() ? std::string_view(empty) : (*tokens)[i],
                 types ? flagsOfType((*types)[i]) : uint8_t(kPieceNormal));
  }
  realPieces = parts.size();
  return parts.indexPieces();
}

Expected<void> Builder::addScores() {
  std::vector<float> scores(realPieces, 0.0f);
  auto given = file.getFloats(key("scores"));
  if (!given)
    if (auto whole = file.getInts(key("scores")))
      given.emplace(whole->begin(), whole->end());
  if (given && given->size() < realPieces)
    return bad("'tokenizer.ggml.scores': want " + std::to_string(realPieces) + " entries, got " +
               std::to_string(given->size()));
  for (size_t i = 0; given && i < realPieces; ++i) {
    scores[i] = (*given)[i];
    if (std::isnan(scores[i]))
      return bad("'tokenizer.ggml.scores': entry " + std::to_string(i) + " is NaN");
  }
  parts.scores.assign(reinterpret_cast<const char *>(scores.data()), scores.size() * sizeof(float));
  return {};
}

// A merge may name pieces that the vocabulary lacks; they get ids behind it.
TokenId Builder::pieceOrGhost(std::string_view text) {
  TokenId found = parts.find(text);
  if (found >= 0)
    return found;
  parts.append(text, 0);
  parts.addToIndex(TokenId(parts.size()) - 1);
  return TokenId(parts.size()) - 1;
}

Expected<void> Builder::addMerges() {
  auto merges = file.getStrings(key("merges"));
  if (!merges)
    return bad("'tokenizer.ggml.merges': want a list of strings");
  std::string joined;
  for (size_t rank = 0; rank < merges->size(); ++rank) {
    std::string_view line = (*merges)[rank];
    size_t space = line.find(' ', 1);
    bool isPair = space != line.npos && space + 1 < line.size();
    if (!isPair)
      return bad("'tokenizer.ggml.merges': entry " + std::to_string(rank) + ": want 'left right', got " +
                 quoteText(line));
    std::string_view left = line.substr(0, space), right = line.substr(space + 1);
    joined.assign(left).append(right);
    TokenId leftId = pieceOrGhost(left), rightId = pieceOrGhost(right), merged = pieceOrGhost(joined);
    parts.merges.push_back({leftId, rightId, uint32_t(rank), merged});
  }
  keepOnePerPair(parts.merges, /*keepsFirst=*/true);
  return {};
}

std::optional<TokenId> Builder::id(std::string_view name, std::optional<TokenId> otherwise) const {
  auto given = file.getInt(key(name));
  if (given && *given >= 0 && size_t(*given) < realPieces)
    return TokenId(*given);
  return otherwise && size_t(*otherwise) < realPieces ? otherwise : std::nullopt;
}

void Builder::addControlPieces() {
  for (const FimKind &kind : kFimKinds) {
    auto found = id(kind.key, std::nullopt);
    for (std::string_view name : kind.names)
      if (!found && !name.empty())
        if ((found = findPiece(name)))
          parts.pieceFlags[size_t(*found)] |= kPieceControl;
    if (found && kind.isEnding)
      stop.insert(*found);
  }
}

void Builder::addEndings() {
  for (std::string_view name : kEndings)
    if (auto found = findPiece(name)) {
      stop.insert(*found);
      parts.pieceFlags[size_t(*found)] |= kPieceControl;
    }
  for (std::string_view name : {"<|channel|>", "<|message|>", "<|start|>", "<|constrain|>"})
    if (auto found = findPiece(name))
      parts.pieceFlags[size_t(*found)] = kPieceUserDefined;
  for (const char *name : {"eos_token_id", "eot_token_id", "eom_token_id"})
    if (auto found = id(name, std::nullopt))
      stop.insert(*found);
  if (eos)
    stop.insert(*eos);
  // Where other pieces end a message, <|end|> ends only a part of it.
  auto stops = [&](std::string_view name) {
    auto found = findPiece(name);
    return found && stop.contains(*found);
  };
  bool hasCall = stops("<|call|>") || stops("<|calls|>");
  if (hasCall && (stops("<|return|>") || stops("<|flush|>")))
    if (auto end = findPiece("<|end|>")) {
      stop.erase(*end);
      parts.pieceFlags[size_t(*end)] = kPieceUserDefined;
    }
}

bool containsIgnoringCase(std::string_view text, std::string_view lower) {
  auto same = [](char a, char b) { return (a >= 'A' && a <= 'Z' ? a + 32 : a) == b; };
  return std::search(text.begin(), text.end(), lower.begin(), lower.end(), same) != text.end();
}

void Builder::addAddedTokens() {
  auto name = file.getString("general.name").value_or("");
  bool isPhi3 = containsIgnoringCase(name, "phi-3") || containsIgnoringCase(name, "phi3");
  for (size_t i = 0; i < realPieces; ++i) {
    uint8_t flags = parts.pieceFlags[i];
    bool isSpecial = flags & (kPieceControl | kPieceUnknown);
    if (isSpecial)
      parts.pieceFlags[i] |= kPieceSpecial;
    std::string_view piece = parts.piece(i);
    bool isAdded = (isSpecial || (flags & kPieceUserDefined)) && piece.size() <= AddedTokens::kMaxPatternBytes;
    if (!isAdded)
      continue;
    bool strips = isPhi3 && piece != "<unk>" && piece != "<s>" && piece != "<|endoftext|>";
    parts.added.push_back(
        {std::string(piece), TokenId(i), uint32_t((isSpecial ? kAddedSpecial : 0) | (strips ? kAddedRightStrip : 0))});
  }
}

Expected<Json> Builder::describeScoredBpe() {
  LLMC_CHECK(addScores());
  bos = id("bos_token_id", 1);
  eos = id("eos_token_id", 2);
  unknown = id("unknown_token_id", 0);
  addsBos = true;
  Json model = {{"type", "ScoredBPE"}};
  if (unknown)
    model["unk_id"] = *unknown;
  return Json{{"model", model}, {"escape_spaces", true}, {"add_space_prefix", flag("add_space_prefix").value_or(true)}};
}

Expected<Json> Builder::describeBpe() {
  auto name = file.getString(key("pre")).value_or("default");
  const GgufPreTokenizer *pre = findGgufPreTokenizer(name);
  if (!pre)
    return unsupported("GGUF tokenizer: pre-tokenizer (tokenizer.ggml.pre) " + quoteText(name) + " is not supported");
  LLMC_CHECK(addMerges());
  bos = id("bos_token_id", 11);
  eos = id("eos_token_id", 11);
  addsBos = pre->addsBos;
  Json steps = Json::array();
  for (std::string_view pattern : pre->patterns)
    steps.push_back({{"type", "Split"}, {"pattern", {{"Regex", pattern}}}, {"behavior", "Isolated"}});
  steps.push_back({{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", false}});
  return Json{{"model", {{"type", "BPE"}, {"ignore_merges", pre->ignoresMerges}, {"real_pieces", realPieces}}},
              {"pre_tokenizer", {{"type", "Sequence"}, {"pretokenizers", steps}}},
              {"decode_byte_level", true}};
}

Expected<void> Builder::addFrame(Json &config) const {
  std::vector<TokenId> frame;
  bool wantsBos = flag("add_bos_token").value_or(addsBos), wantsEos = flag("add_eos_token").value_or(addsEos);
  if ((wantsBos && !bos) || (wantsEos && !eos))
    return bad(std::string("'tokenizer.ggml.") + (wantsBos && !bos ? "bos" : "eos") + "_token_id': want an id below " +
               std::to_string(realPieces));
  if (wantsBos)
    frame.push_back(*bos);
  frame.push_back(kFrameText);
  if (wantsEos)
    frame.push_back(*eos);
  config["frame"] = frame;
  return {};
}

Expected<Tokenizer> Builder::build() {
  auto model = file.getString(key("model"));
  if (!model)
    return bad("'tokenizer.ggml.model': want a string; the file holds no tokenizer");
  if (*model != "llama" && *model != "gpt2")
    return unsupported("GGUF tokenizer: model (tokenizer.ggml.model) " + quoteText(*model) + " is not supported");
  LLMC_CHECK(addPieces());
  LLMC_TRY(config, *model == "llama" ? describeScoredBpe() : describeBpe());
  addControlPieces();
  addEndings();
  addAddedTokens();
  LLMC_CHECK(addFrame(config));
  config["gguf"] = true;
  config["real_pieces"] = realPieces;
  config["stop"] = stop;
  if (bos)
    config["bos"] = *bos;
  if (eos)
    config["eos"] = *eos;
  parts.config = config.dump(-1, ' ', false, Json::error_handler_t::replace);
  return Tokenizer::Impl::fromParts(std::move(parts));
}

} // namespace

Expected<Tokenizer> Tokenizer::fromGguf(const Gguf &file) { return Builder(file).build(); }

} // namespace llmc
