// SentencePiece's .model files: recorded ids of the reference, special tokens of the files beside, damaged files; and
// the trie that looks for pieces.
#include "runtime/support/Files.h"
#include "runtime/tokenizer/FromHuggingFace.h"
#include "runtime/tokenizer/PieceTrie.h"

#include <gtest/gtest.h>

#include <map>

namespace llmc {
namespace {

constexpr EncodeOptions kPlain{.addSpecial = false, .parseSpecial = true};
constexpr EncodeOptions kWithSpecial{.addSpecial = true, .parseSpecial = true};

const Json &goldens() {
  static const Json value = [] {
    auto text = readTextFile("runtime/tokenizer/testdata/goldens.json", 1 << 24);
    JsonLimits limits;
    limits.memoryFactor = 32;
    return text ? parseJson(*text, "goldens.json", limits).value_or(Json()) : Json();
  }();
  return value;
}

std::string fromHex(std::string_view hex) {
  std::string bytes;
  for (size_t i = 0; i + 1 < hex.size(); i += 2)
    bytes += char(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16));
  return bytes;
}

std::string golden(std::string_view name) {
  for (const Json &entry : goldens()["sentencepiece"])
    if (entry["name"] == name)
      return fromHex(entry["model"].get<std::string>());
  return "";
}

Json parse(std::string_view text) { return *parseJson(text, "test"); }

void expectGolden(const Tokenizer &tokenizer, const Json &entry) {
  const Json &strings = goldens()["strings"];
  for (size_t i = 0; i < strings.size(); ++i) {
    auto text = strings[i].get<std::string>();
    SCOPED_TRACE(entry["name"].get<std::string>() + ": " + Json(text).dump());
    auto ids = tokenizer.encode(text, kWithSpecial);
    ASSERT_TRUE(ids) << ids.error().message;
    EXPECT_EQ(*ids, entry["plain"][i].get<std::vector<TokenId>>());
    EXPECT_EQ(tokenizer.decode(*ids).value(), entry["decoded"][i].get<std::string>());
    StreamDecoder stream(tokenizer);
    std::string joined;
    for (TokenId id : *ids)
      joined += stream.push(id);
    EXPECT_EQ(joined + stream.flush(), entry["decoded"][i].get<std::string>());
  }
}

TEST(SentencePiece, IdsAndTextsEqualTheReference) {
  ASSERT_TRUE(goldens().is_object()) << "run from the repository's root";
  ASSERT_GE(goldens()["sentencepiece"].size(), 8u);
  for (const Json &entry : goldens()["sentencepiece"]) {
    auto tokenizer = tokenizerFromSentencePiece(fromHex(entry["model"].get<std::string>()));
    ASSERT_TRUE(tokenizer) << entry["name"] << ": " << tokenizer.error().message;
    expectGolden(*tokenizer, entry);
    std::string blob = tokenizer->toBlob();
    auto again = Tokenizer::fromBlob(std::as_bytes(std::span(blob)));
    ASSERT_TRUE(again) << again.error().message;
    expectGolden(*again, entry);
    if (testing::Test::HasFailure())
      break;
  }
}

// --- special tokens ---

TEST(SentencePiece, ControlPiecesAreTextWhereTheFileIsAlone) {
  auto tokenizer = tokenizerFromSentencePiece(golden("sp_bpe_llama2"));
  ASSERT_TRUE(tokenizer) << tokenizer.error().message;
  auto ids = tokenizer->encode("<s>", kWithSpecial).value();
  EXPECT_EQ(std::count(ids.begin(), ids.end(), tokenizer->find("<s>").value()), 0);
  EXPECT_EQ(tokenizer->bos(), tokenizer->find("<s>"));
  EXPECT_EQ(tokenizer->stopTokens(), std::vector<TokenId>{tokenizer->find("</s>").value()});
}

TEST(SentencePiece, AClassAndItsTokensAreTheFilesBeside) {
  CompanionFiles files;
  files.tokenizerConfig = parse(R"({"tokenizer_class": "LlamaTokenizer", "bos_token": "<s>",
      "added_tokens_decoder": {"700": {"content": "<turn>", "special": true}}})");
  auto tokenizer = tokenizerFromSentencePiece(golden("sp_bpe_llama2"), files);
  ASSERT_TRUE(tokenizer) << tokenizer.error().message;
  EXPECT_EQ(tokenizer->size(), 701u);
  auto ids = tokenizer->encode("<turn>hello</s>", kWithSpecial).value();
  EXPECT_EQ(ids.front(), tokenizer->bos());
  EXPECT_EQ(ids[1], 700);
  EXPECT_EQ(ids.back(), tokenizer->find("</s>"));
  EXPECT_EQ(tokenizer->decode(ids).value(), "hello");
  EXPECT_EQ(tokenizer->encode("<turn>hello", {.addSpecial = false})->size(),
            tokenizer->encode("<turn>hello", kPlain)->size() +
                tokenizer->encode("<turn>", {.addSpecial = false})->size() - 1);
}

TEST(SentencePiece, SpaceBehindASpecialTokenIsTheOlderWay) {
  auto idsBehind = [](bool isLegacy) {
    CompanionFiles files;
    files.tokenizerConfig = {{"tokenizer_class", "LlamaTokenizer"}, {"legacy", isLegacy}};
    return tokenizerFromSentencePiece(golden("sp_bpe_llama2"), files)->encode("a</s>a", kPlain).value();
  };
  auto older = idsBehind(true), newer = idsBehind(false);
  EXPECT_EQ(older.front(), newer.front());
  EXPECT_NE(older.back(), newer.back());
}

TEST(SentencePiece, T5EndsATextAndRenumberingClassesAreRefused) {
  CompanionFiles files;
  files.tokenizerConfig = {{"tokenizer_class", "T5Tokenizer"}};
  auto tokenizer = tokenizerFromSentencePiece(golden("sp_unigram_suffix"), files);
  ASSERT_TRUE(tokenizer) << tokenizer.error().message;
  EXPECT_EQ(tokenizer->encode("a b", kWithSpecial)->back(), tokenizer->find("</s>"));
  files.tokenizerConfig = {{"tokenizer_class", "XLMRobertaTokenizer"}};
  auto refused = tokenizerFromSentencePiece(golden("sp_unigram_suffix"), files);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::Unsupported);
}

TEST(SentencePiece, AddedTokensMayNotTakeIdsOfOthers) {
  for (const char *id : {"5", "99999999", "-1", "x"}) {
    CompanionFiles files;
    files.tokenizerConfig = {{"added_tokens_decoder", {{id, {{"content", "<turn>"}}}}}};
    auto tokenizer = tokenizerFromSentencePiece(golden("sp_bpe_llama2"), files);
    ASSERT_FALSE(tokenizer) << id;
    EXPECT_EQ(tokenizer.error().code, ErrorCode::InvalidInput);
  }
}

// --- made-up and damaged files ---

std::string field(int number, std::string_view bytes) {
  return std::string{char(number << 3 | 2), char(bytes.size())} + std::string(bytes);
}
std::string piece(std::string_view text, float score, int type) {
  std::string bytes = field(1, text) + char(2 << 3 | 5);
  bytes.append(reinterpret_cast<const char *>(&score), 4);
  return field(1, bytes + char(3 << 3) + char(type));
}
const std::string kUnknown = piece("<unk>", 0, 2);
const std::string kBpe = field(2, std::string{char(3 << 3), 2});
const std::string kNoSpaces = field(3, std::string{char(3 << 3), 0, char(4 << 3), 0});

TEST(SentencePiece, AnUnusedPieceIsUndone) {
  std::string model = kUnknown + piece("a", -3, 1) + piece("b", -4, 1) + piece("ab", -1, 5) + piece("c", -5, 1) +
                      piece("abc", -2, 1) + kBpe + kNoSpaces;
  auto tokenizer = tokenizerFromSentencePiece(model);
  ASSERT_TRUE(tokenizer) << tokenizer.error().message;
  EXPECT_EQ(tokenizer->encode("ab").value(), (std::vector<TokenId>{1, 2}));
  EXPECT_EQ(tokenizer->encode("abc").value(), (std::vector<TokenId>{5}));
  EXPECT_EQ(tokenizer->encode("xyab").value(), (std::vector<TokenId>{0, 1, 2}));
}

TEST(SentencePiece, RefusesWhatItCantRead) {
  std::string longPiece(2000, 'a');
  std::string big = field(1, "");
  big = std::string{char(1 << 3 | 2)};
  for (size_t size = longPiece.size() + 3; size; size >>= 7)
    big += char((size & 0x7F) | (size > 0x7F ? 0x80 : 0));
  big += std::string{char(1 << 3 | 2), char(0xD0), char(0x0F)} + longPiece;
  std::map<std::string, std::string> models = {
      {"want at least one piece", ""},
      {"field", "x"},
      {"unknown", piece("a", 0, 1)},
      {"both unknown", kUnknown + piece("<two>", 0, 2)},
      {"NaN", kUnknown + piece("a", __builtin_nanf(""), 1)},
      {"UTF-8", kUnknown + piece("\xFF", 0, 1)},
      {"type of 1 to 6", kUnknown + piece("a", 0, 9)},
      {"two ids", kUnknown + piece("a", 0, 1) + piece("a", 0, 1)},
      {"byte_fallback", kUnknown + field(2, std::string{char(0x98), 2, 1})},
      {"model_type", kUnknown + field(2, std::string{char(3 << 3), 7})},
      {"denormalizer", kUnknown + field(5, field(2, "rules"))},
      {"charsmap", kUnknown + field(3, field(2, "xyz"))},
      {"at most 1024", kUnknown + big},
  };
  for (const auto &[message, model] : models) {
    auto tokenizer = tokenizerFromSentencePiece(model);
    ASSERT_FALSE(tokenizer) << message;
    EXPECT_NE(tokenizer.error().message.find(message), std::string::npos) << tokenizer.error().message;
  }
}

TEST(SentencePiece, EveryPrefixOfAFileIsRefusedOrWorks) {
  std::string model = golden("sp_char");
  for (size_t bytes = 0; bytes < model.size(); ++bytes)
    if (auto tokenizer = tokenizerFromSentencePiece(std::string_view(model).substr(0, bytes)))
      EXPECT_TRUE(tokenizer->encode("Hello"));
}

// --- the trie ---

TEST(PieceTrie, FindsWhatAMapFinds) {
  std::map<std::string, TokenId> pieces;
  uint32_t state = 1;
  auto draw = [&](uint32_t below) {
    state = state * 1664525 + 1013904223;
    return (state >> 8) % below;
  };
  for (int i = 0; i < 20000; ++i) {
    std::string text;
    for (uint32_t left = 1 + draw(8); left; --left)
      text += char(draw(4) ? 'a' + int(draw(5)) : int(draw(256)));
    pieces.emplace(text, TokenId(pieces.size()));
  }
  std::vector<PieceTrie::Entry> entries;
  for (const auto &[text, id] : pieces)
    entries.push_back({text, id});
  auto units = PieceTrie::build(entries);
  EXPECT_LT(units.size(), 20000u * 8);
  auto trie = PieceTrie::open(units, pieces.size()).value();
  for (int i = 0; i < 20000; ++i) {
    std::string text;
    for (int left = 8; left; --left)
      text += char(draw(4) ? 'a' + int(draw(5)) : int(draw(256)));
    std::vector<std::pair<size_t, TokenId>> found, expected;
    trie.forEachPrefix(text, [&](size_t bytes, TokenId id) { found.emplace_back(bytes, id); });
    for (size_t bytes = 1; bytes <= text.size(); ++bytes)
      if (auto piece = pieces.find(text.substr(0, bytes)); piece != pieces.end())
        expected.emplace_back(bytes, piece->second);
    ASSERT_EQ(found, expected);
  }
}

TEST(PieceTrie, RefusesIdsOfNoPiece) {
  std::vector<TrieUnit> units = PieceTrie::build({{"a", 3}});
  EXPECT_TRUE(PieceTrie::open(units, 4));
  EXPECT_FALSE(PieceTrie::open(units, 3));
}

} // namespace
} // namespace llmc
