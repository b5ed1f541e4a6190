// Tokenizers of GGUF files, built here: llama.cpp's rules for scores, special tokens and spaces.
#include "runtime/formats/Gguf.h"
#include "runtime/formats/TestFiles.h"
#include "runtime/tokenizer/Tokenizer.h"

#include <gtest/gtest.h>

namespace llmc {
namespace {

using test::GgufBuilder;

enum Type : int32_t { kNormal = 1, kUnknown = 2, kControl = 3, kUserDefined = 4, kUnused = 5, kByte = 6 };

struct Piece {
  std::string text;
  float score = 0;
  int32_t type = kNormal;
};

struct GgufText {
  std::string model = "llama";
  std::vector<Piece> pieces;
  std::vector<std::string> merges;
  GgufBuilder builder;

  std::string bytes() {
    std::vector<std::string> tokens;
    std::vector<float> scores;
    std::vector<int32_t> types;
    for (const Piece &piece : pieces) {
      tokens.push_back(piece.text);
      scores.push_back(piece.score);
      types.push_back(piece.type);
    }
    builder.text("tokenizer.ggml.model", model);
    builder.array("tokenizer.ggml.tokens", GgufType::String, tokens);
    builder.array("tokenizer.ggml.scores", GgufType::F32, scores);
    builder.array("tokenizer.ggml.token_type", GgufType::I32, types);
    if (!merges.empty())
      builder.array("tokenizer.ggml.merges", GgufType::String, merges);
    return builder.build(0);
  }
};

Expected<Tokenizer> openBytes(const std::string &bytes) {
  auto file = Gguf::parse(test::asBytes(bytes), "test.gguf");
  EXPECT_TRUE(file) << file.error().message;
  return Tokenizer::fromGguf(**file);
}
Tokenizer open(GgufText text) {
  auto tokenizer = openBytes(text.bytes());
  EXPECT_TRUE(tokenizer) << tokenizer.error().message;
  return std::move(*tokenizer);
}

// <unk> 0, <s> 1, </s> 2, the bytes 3 … 258, then pieces from 259 on.
GgufText sentencePiece() {
  GgufText text;
  text.pieces = {{"<unk>", 0, kUnknown}, {"<s>", 0, kControl}, {"</s>", 0, kControl}};
  for (int byte = 0; byte < 256; ++byte) {
    char name[8];
    std::snprintf(name, sizeof(name), "<0x%02X>", byte);
    text.pieces.push_back({name, 0, kByte});
  }
  for (Piece piece : std::vector<Piece>{{"▁", -10},
                                        {"a", -11},
                                        {"b", -12},
                                        {"c", -13},
                                        {"ab", -2},
                                        {"bc", -1},
                                        {"abc", -3},
                                        {"▁a", -4},
                                        {"aa", -5},
                                        {"<hi>", 0, kUserDefined},
                                        {"  ", 0, kUserDefined},
                                        {"<hi><hi>!", 0, kUserDefined}})
    text.pieces.push_back(piece);
  return text;
}
enum Id : TokenId { kSpace = 259, kA, kB, kC, kAb, kBc, kAbc, kSpaceA, kAa, kHi, kTwoSpaces, kHiHi };
constexpr TokenId byteId(uint8_t byte) { return 3 + byte; }
using Ids = std::vector<TokenId>;

constexpr EncodeOptions kPlain{.addSpecial = false};
constexpr EncodeOptions kParse{.addSpecial = false, .parseSpecial = true};

TEST(GgufScoredBpe, BestScoreFirstThenLeftmost) {
  GgufText text = sentencePiece();
  text.builder.scalar<bool>("tokenizer.ggml.add_space_prefix", GgufType::Bool, false);
  Tokenizer tokenizer = open(text);
  EXPECT_EQ(tokenizer.encode("ab", kPlain).value(), (Ids{kAb}));
  EXPECT_EQ(tokenizer.encode("abc", kPlain).value(), (Ids{kAbc})); // bc first, then a + bc
  EXPECT_EQ(tokenizer.encode("aaa", kPlain).value(), (Ids{kAa, kA}));
  EXPECT_EQ(tokenizer.encode("bb", kPlain).value(), (Ids{kB, kB}));
  EXPECT_EQ(tokenizer.encode("", kPlain).value(), Ids());
}

TEST(GgufScoredBpe, FallsBackToBytes) {
  Tokenizer tokenizer = open(sentencePiece());
  EXPECT_EQ(tokenizer.encode("é\xFF", kPlain).value(), (Ids{kSpace, byteId(0xC3), byteId(0xA9), byteId(0xFF)}));
  EXPECT_EQ(tokenizer.decode(Ids{kSpace, byteId(0xC3), byteId(0xA9)}).value(), "é");
}

TEST(GgufScoredBpe, PrefixesSpaceBehindTokens) {
  Tokenizer tokenizer = open(sentencePiece());
  EXPECT_EQ(tokenizer.encode("a").value(), (Ids{1, kSpaceA}));
  EXPECT_EQ(tokenizer.encode("a<hi>a a", kPlain).value(), (Ids{kSpaceA, kHi, kSpaceA, kSpaceA}));
  EXPECT_EQ(tokenizer.decode(Ids{1, kSpaceA, kSpaceA}).value(), "a a");
  EXPECT_EQ(tokenizer.decode(Ids{1, kSpaceA}, true).value(), "<s> a");
}

TEST(GgufScoredBpe, UserDefinedPiecesAlwaysMatchAndControlOnesWhenAsked) {
  Tokenizer tokenizer = open(sentencePiece());
  EXPECT_EQ(tokenizer.encode("</s>", kParse).value(), (Ids{2}));
  EXPECT_EQ(tokenizer.encode("<hi>", kPlain).value(), (Ids{kHi}));
  auto plain = tokenizer.encode("</s>", kPlain).value();
  EXPECT_EQ(plain.size(), 5u);
  EXPECT_EQ(tokenizer.decode(plain).value(), "</s>");
}

TEST(GgufScoredBpe, TheLongestTokenWinsWhereverItIs) {
  Tokenizer tokenizer = open(sentencePiece());
  // From the left, the two first <hi> would leave "<hi>!" alone.
  EXPECT_EQ(tokenizer.encode("<hi><hi><hi>!", kPlain).value(), (Ids{kHi, kHiHi}));
  EXPECT_EQ(tokenizer.encode("     ", kPlain).value(), (Ids{kTwoSpaces, kTwoSpaces, kSpace, kSpace}));
}

TEST(GgufScoredBpe, FramesAsTheFileSays) {
  GgufText text = sentencePiece();
  text.builder.scalar<bool>("tokenizer.ggml.add_bos_token", GgufType::Bool, false);
  text.builder.scalar<bool>("tokenizer.ggml.add_eos_token", GgufType::Bool, true);
  EXPECT_EQ(open(text).encode("a").value(), (Ids{kSpaceA, 2}));
}

TEST(GgufScoredBpe, BlobsAreTheSame) {
  Tokenizer tokenizer = open(sentencePiece());
  std::string blob = tokenizer.toBlob();
  auto again = Tokenizer::fromBlob(std::as_bytes(std::span(blob)));
  ASSERT_TRUE(again);
  for (const char *text : {"abc <hi> é", "</s>  a", ""})
    EXPECT_EQ(again->encode(text).value(), tokenizer.encode(text).value());
  EXPECT_EQ(again->stopTokens(), tokenizer.stopTokens());
  EXPECT_EQ(again->bos(), 1);
  EXPECT_EQ(again->eos(), 2);
}

TEST(GgufTokenizer, CollectsStopTokens) {
  GgufText text = sentencePiece();
  text.pieces.push_back({"<end_of_turn>", 0, kUserDefined});
  text.builder.scalar<uint32_t>("tokenizer.ggml.eos_token_id", GgufType::U32, 2);
  text.builder.scalar<uint32_t>("tokenizer.ggml.eot_token_id", GgufType::U32, kHi);
  Tokenizer tokenizer = open(text);
  auto turn = tokenizer.find("<end_of_turn>").value();
  EXPECT_EQ(tokenizer.stopTokens(), (Ids{2, kHi, turn}));
  EXPECT_TRUE(tokenizer.isSpecial(turn)); // whatever type the file gives it
}

// "low" and "er" merge; Ġ is the space of ByteLevel's writing.
GgufText byteLevel() {
  GgufText text;
  text.model = "gpt2";
  for (const char *piece : {"l", "o", "w", "e", "r", "Ġ", "lo", "low", "er", "Ġlow", "Ã", "©"})
    text.pieces.push_back({piece});
  text.pieces.push_back({"<|im_end|>", 0, kControl});
  text.merges = {"l o", "lo w", "e r", "Ġ low"};
  return text;
}

TEST(GgufBpe, MergesInRankOrder) {
  GgufText text = byteLevel();
  text.builder.text("tokenizer.ggml.pre", "gpt-2");
  Tokenizer tokenizer = open(text);
  EXPECT_EQ(tokenizer.encode("lower low", kPlain).value(), (Ids{7, 8, 9}));
  EXPECT_EQ(tokenizer.encode("é", kPlain).value(), (Ids{10, 11}));
  EXPECT_EQ(tokenizer.encode("low<|im_end|>", kParse).value(), (Ids{7, 12}));
  EXPECT_EQ(tokenizer.decode(Ids{7, 8, 9, 10, 11, 12}).value(), "lower lowé");
  EXPECT_EQ(tokenizer.encode("low").value(), (Ids{7})); // gpt-2 adds no BOS
}

TEST(GgufBpe, MergesMayNameMissingPieces) {
  GgufText text = byteLevel();
  text.merges.insert(text.merges.begin(), "w e"); // "we" is no piece
  Tokenizer tokenizer = open(text);
  EXPECT_EQ(tokenizer.size(), text.pieces.size());
  EXPECT_EQ(tokenizer.encode("we", kPlain).value(), (Ids{2, 3}));
  EXPECT_FALSE(tokenizer.find("we"));
  EXPECT_EQ(tokenizer.piece(TokenId(text.pieces.size())), "");
}

TEST(GgufBpe, KnowsTheNamesOfPreTokenizers) {
  for (const char *name :
       {"default",        "gpt-2",      "llama-bpe",  "llama3", "qwen2",  "deepseek-v3", "deepseek-llm",
        "deepseek-coder", "falcon",     "starcoder",  "tekken", "gpt-4o", "bloom",       "viking",
        "jais-2",         "bailingmoe", "seed-coder", "qwen35", "smollm", "command-r"}) {
    GgufText text = byteLevel();
    text.builder.text("tokenizer.ggml.pre", name);
    auto tokenizer = openBytes(text.bytes());
    EXPECT_TRUE(tokenizer) << name << ": " << tokenizer.error().message;
  }
  GgufText text = byteLevel();
  text.builder.text("tokenizer.ggml.pre", "from-tomorrow");
  auto unknown = openBytes(text.bytes());
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().code, ErrorCode::Unsupported);
  EXPECT_NE(unknown.error().message.find("from-tomorrow"), std::string::npos);
}

TEST(GgufTokenizer, RefusesWhatIsWrong) {
  auto codeOf = [](GgufText text) { return openBytes(text.bytes()).error().code; };
  GgufText text = sentencePiece();
  text.model = "telepathy";
  EXPECT_EQ(codeOf(text), ErrorCode::Unsupported);
  text = sentencePiece();
  text.pieces.push_back({"abc"});
  EXPECT_EQ(codeOf(text), ErrorCode::InvalidInput); // twice
  text = sentencePiece();
  text.pieces[5].score = std::numeric_limits<float>::quiet_NaN();
  EXPECT_EQ(codeOf(text), ErrorCode::InvalidInput);
  text = byteLevel();
  text.merges = {"lonely"};
  EXPECT_EQ(codeOf(text), ErrorCode::InvalidInput);
  text = byteLevel();
  text.merges.clear();
  EXPECT_EQ(codeOf(text), ErrorCode::InvalidInput);
  text = byteLevel();
  text.builder.scalar<bool>("tokenizer.ggml.add_eos_token", GgufType::Bool, true);
  text.pieces.resize(11); // ids 11 and above are gone, eos among them
  text.merges = {"l o"};
  EXPECT_EQ(codeOf(text), ErrorCode::InvalidInput);
  EXPECT_FALSE(openBytes(GgufBuilder().text("general.name", "none").build(0)));
}

} // namespace
} // namespace llmc
