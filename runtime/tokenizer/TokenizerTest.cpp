// Tokenizer.h on tokenizer.json: recorded ids of the reference, blobs, streaming, refusals, limits.
#include "runtime/tokenizer/Tokenizer.h"

#include "runtime/support/Files.h"
#include "runtime/tokenizer/FromHuggingFace.h"
#include "runtime/tokenizer/TokenizeBatch.h"
#include "runtime/tokenizer/Unicode.h"

#include <gtest/gtest.h>

#include <ctime>
#include <filesystem>
#include <fstream>
#include <thread>
#include <unistd.h>

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

std::vector<TokenId> idList(const Json &list) { return list.get<std::vector<TokenId>>(); }

const Json *golden(std::string_view name) {
  for (const Json &entry : goldens()["tokenizers"])
    if (entry["name"] == name)
      return &entry["json"];
  return nullptr;
}

Tokenizer open(std::string_view name) {
  const Json *json = golden(name);
  EXPECT_TRUE(json) << name;
  auto tokenizer = tokenizerFromJson(json ? json->dump() : "");
  EXPECT_TRUE(tokenizer) << tokenizer.error().message;
  return std::move(*tokenizer);
}

std::span<const std::byte> bytesOf(std::string_view text) { return std::as_bytes(std::span(text)); }

// --- the reference's ids and texts ---

void expectGolden(const Tokenizer &tokenizer, const Json &entry) {
  const Json &strings = goldens()["strings"];
  for (size_t i = 0; i < strings.size(); ++i) {
    auto text = strings[i].get<std::string>();
    SCOPED_TRACE(entry["name"].get<std::string>() + ": " + Json(text).dump());
    auto plain = tokenizer.encode(text, kPlain);
    ASSERT_TRUE(plain) << plain.error().message;
    EXPECT_EQ(*plain, idList(entry["plain"][i]));
    const Json &framed = entry["ids"].is_null() ? entry["plain"] : entry["ids"];
    EXPECT_EQ(tokenizer.encode(text, kWithSpecial).value(), idList(framed[i]));
    auto decoded = tokenizer.decode(*plain, true);
    ASSERT_TRUE(decoded) << decoded.error().message;
    const Json &expected = entry["decoded"][i];
    EXPECT_EQ(replaceIllFormed(*decoded), expected.is_null() ? text : expected.get<std::string>());
  }
}

TEST(TokenizerGolden, IdsAndTextsEqualTheReference) {
  ASSERT_TRUE(goldens().is_object()) << "run from the repository's root";
  ASSERT_GT(goldens()["tokenizers"].size(), 20u);
  for (const Json &entry : goldens()["tokenizers"]) {
    auto tokenizer = tokenizerFromJson(entry["json"].dump());
    ASSERT_TRUE(tokenizer) << entry["name"] << ": " << tokenizer.error().message;
    expectGolden(*tokenizer, entry);
    std::string blob = tokenizer->toBlob();
    auto again = Tokenizer::fromBlob(bytesOf(blob));
    ASSERT_TRUE(again) << again.error().message;
    expectGolden(*again, entry);
    EXPECT_EQ(again->toBlob(), blob);
    if (testing::Test::HasFailure())
      break;
  }
}

TEST(TokenizerGolden, StreamsJoinToTheDecodedText) {
  for (const Json &entry : goldens()["tokenizers"]) {
    auto tokenizer = tokenizerFromJson(entry["json"].dump());
    ASSERT_TRUE(tokenizer);
    for (const Json &list : entry["plain"]) {
      auto ids = idList(list);
      StreamDecoder stream(*tokenizer);
      std::string joined;
      for (TokenId id : ids) {
        std::string part = stream.push(id);
        EXPECT_EQ(part, replaceIllFormed(part)) << entry["name"];
        joined += part;
      }
      joined += stream.flush();
      ASSERT_EQ(joined, replaceIllFormed(tokenizer->decode(ids).value())) << entry["name"] << " " << list;
    }
  }
}

// --- special tokens ---

TEST(Tokenizer, SpecialTextIsTextUnlessAsked) {
  Tokenizer tokenizer = open("hf_llama3");
  TokenId end = tokenizer.find("<|eot_id|>").value();
  EXPECT_TRUE(tokenizer.isSpecial(end));
  EXPECT_EQ(tokenizer.encode("a<|eot_id|>", kPlain)->back(), end);
  auto asText = tokenizer.encode("a<|eot_id|>", {.addSpecial = false}).value();
  EXPECT_EQ(std::count(asText.begin(), asText.end(), end), 0);
  EXPECT_EQ(tokenizer.decode(asText).value(), "a<|eot_id|>");
}

TEST(Tokenizer, DecodingLeavesSpecialTokensOut) {
  Tokenizer tokenizer = open("hf_llama2");
  auto ids = tokenizer.encode("Hello there", kWithSpecial).value();
  EXPECT_EQ(tokenizer.decode(ids).value(), "Hello there");
  EXPECT_EQ(tokenizer.decode(ids, true).value(), "<s> Hello there");
  StreamDecoder stream(tokenizer);
  std::string joined;
  for (TokenId id : ids)
    joined += stream.push(id);
  EXPECT_EQ(joined + stream.flush(), "Hello there");
}

TEST(Tokenizer, RefusesUnknownIds) {
  Tokenizer tokenizer = open("hf_gpt2");
  for (TokenId id : {-1, TokenId(tokenizer.size())}) {
    std::vector<TokenId> ids = {id};
    EXPECT_EQ(tokenizer.decode(ids).error().code, ErrorCode::InvalidInput);
    EXPECT_EQ(tokenizer.piece(id), "");
    EXPECT_FALSE(tokenizer.isSpecial(id));
    EXPECT_EQ(StreamDecoder(tokenizer).push(id), "");
  }
}

TEST(Tokenizer, RefusesTextThatIsNotUtf8) {
  EXPECT_EQ(open("hf_gpt2").encode("a\xFF").error().code, ErrorCode::InvalidInput);
}

TEST(Tokenizer, StreamsBytesOfACharacterTogether) {
  Tokenizer tokenizer = open("hf_gpt2");
  auto ids = tokenizer.encode("😀", kPlain).value();
  ASSERT_GT(ids.size(), 1u);
  StreamDecoder stream(tokenizer);
  for (size_t i = 0; i + 1 < ids.size(); ++i)
    EXPECT_EQ(stream.push(ids[i]), "");
  EXPECT_EQ(stream.push(ids.back()), "😀");
  EXPECT_EQ(stream.push(ids[0]), "");
  EXPECT_EQ(stream.flush(), "\xEF\xBF\xBD");
  EXPECT_EQ(stream.flush(), "");
}

TEST(Tokenizer, PiecesAndIdsAreInverse) {
  Tokenizer tokenizer = open("added_gpt2");
  for (TokenId id = 0; size_t(id) < tokenizer.size(); ++id)
    EXPECT_EQ(tokenizer.find(tokenizer.piece(id)), id);
  EXPECT_FALSE(tokenizer.find("no such piece"));
  EXPECT_FALSE(tokenizer.find(""));
}

// --- files beside tokenizer.json ---

Json parse(std::string_view text) { return parseJson(text, "test").value(); }

TEST(CompanionFiles, NameSpecialIdsAndStops) {
  std::string json = golden("hf_llama3")->dump();
  CompanionFiles files;
  auto none = tokenizerFromJson(json, files);
  EXPECT_FALSE(none->eos());
  EXPECT_TRUE(none->stopTokens().empty());
  files.tokenizerConfig = parse(R"({"bos_token": {"content": "<|begin_of_text|>"}, "eos_token": "<|eot_id|>"})");
  auto named = tokenizerFromJson(json, files);
  TokenId eot = named->find("<|eot_id|>").value(), end = named->find("<|end_of_text|>").value();
  EXPECT_EQ(named->bos(), named->find("<|begin_of_text|>"));
  EXPECT_EQ(named->eos(), eot);
  EXPECT_EQ(named->stopTokens(), std::vector{eot});
  files.config["eos_token_id"] = end;
  EXPECT_EQ(tokenizerFromJson(json, files)->stopTokens(), std::vector{end});
  files.generationConfig["eos_token_id"] = {eot, 7};
  EXPECT_EQ(tokenizerFromJson(json, files)->stopTokens(), (std::vector<TokenId>{7, eot}));
}

TEST(CompanionFiles, AddBosTokenReplacesTheTemplateOfLlama) {
  std::string json = golden("hf_llama2")->dump();
  CompanionFiles files;
  files.tokenizerConfig = parse(R"({"tokenizer_class": "LlamaTokenizer", "bos_token": "<s>", "eos_token": "</s>",
                                    "add_bos_token": false, "add_eos_token": true})");
  auto ids = tokenizerFromJson(json, files)->encode("a", kWithSpecial).value();
  auto plain = tokenizerFromJson(json)->encode("a", kPlain).value();
  plain.push_back(2);
  EXPECT_EQ(ids, plain);
  files.tokenizerConfig["tokenizer_class"] = "PreTrainedTokenizerFast";
  EXPECT_EQ(tokenizerFromJson(json, files)->encode("a", kWithSpecial)->front(), 1);
}

TEST(CompanionFiles, AreReadFromTheDirectory) {
  auto directory = std::filesystem::temp_directory_path() / ("llmc-tokenizer-test-" + std::to_string(getpid()));
  std::filesystem::create_directories(directory);
  std::ofstream(directory / "tokenizer.json") << golden("hf_gpt2")->dump();
  std::ofstream(directory / "generation_config.json") << R"({"eos_token_id": 5})";
  auto opened = Tokenizer::fromHuggingFace(directory.string());
  ASSERT_TRUE(opened) << opened.error().message;
  EXPECT_EQ(opened->stopTokens(), std::vector<TokenId>{5});
  EXPECT_TRUE(Tokenizer::fromHuggingFace((directory / "tokenizer.json").string()));
  std::ofstream(directory / "generation_config.json") << "{";
  auto broken = Tokenizer::fromHuggingFace(directory.string());
  ASSERT_FALSE(broken);
  EXPECT_NE(broken.error().message.find("generation_config.json"), std::string::npos);
  std::filesystem::remove(directory / "tokenizer.json");
  std::filesystem::remove(directory / "generation_config.json");
  std::ofstream(directory / "tokenizer.model") << "x";
  auto noModel = Tokenizer::fromHuggingFace(directory.string());
  ASSERT_FALSE(noModel);
  EXPECT_TRUE(noModel.error().message.starts_with((directory / "tokenizer.model").string())) << noModel.error().message;
  std::filesystem::remove_all(directory);
  EXPECT_EQ(Tokenizer::fromHuggingFace(directory.string()).error().code, ErrorCode::InvalidInput);
}

// --- refusals ---

Error errorOf(Json json) {
  auto tokenizer = tokenizerFromJson(json.dump());
  EXPECT_FALSE(tokenizer) << json.dump();
  return tokenizer ? Error{ErrorCode::Ok, ""} : tokenizer.error();
}

Json tiny() { return parse(R"({"model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2}, "merges": ["a b"]}})"); }

TEST(TokenizerJson, TinyOneWorks) {
  auto tokenizer = tokenizerFromJson(tiny().dump());
  ASSERT_TRUE(tokenizer) << tokenizer.error().message;
  EXPECT_EQ(tokenizer->encode("abba").value(), (std::vector<TokenId>{2, 1, 0}));
  EXPECT_EQ(tokenizer->encode("").value(), std::vector<TokenId>());
}

TEST(TokenizerJson, UnknownComponentsAreUnsupportedByName) {
  for (auto [member, name] : {std::pair("normalizer", "Futurize"),
                              {"pre_tokenizer", "Chop"},
                              {"decoder", "Undo"},
                              {"post_processor", "After"}}) {
    Json json = tiny();
    json[member] = {{"type", name}};
    Error error = errorOf(json);
    EXPECT_EQ(error.code, ErrorCode::Unsupported) << error.message;
    EXPECT_NE(error.message.find(name), std::string::npos) << error.message;
  }
  Json json = tiny();
  json["model"]["type"] = "Telepathy";
  Error error = errorOf(json);
  EXPECT_EQ(error.code, ErrorCode::Unsupported);
  EXPECT_NE(error.message.find("Telepathy"), std::string::npos);
  json = tiny();
  json["pre_tokenizer"] = parse(R"json({"type": "Split", "pattern": {"Regex": "(?R)"}, "behavior": "Isolated"})json");
  EXPECT_EQ(errorOf(json).code, ErrorCode::Unsupported);
  json = tiny();
  json["model"]["dropout"] = 0.1;
  EXPECT_EQ(errorOf(json).code, ErrorCode::Unsupported);
}

TEST(TokenizerJson, MalformedFilesAreInvalid) {
  auto isInvalid = [](auto change) {
    Json json = tiny();
    change(json);
    Error error = errorOf(json);
    EXPECT_EQ(error.code, ErrorCode::InvalidInput) << error.message;
    EXPECT_EQ(error.message.find('\n'), std::string::npos);
  };
  isInvalid([](Json &j) { j = 5; });
  isInvalid([](Json &j) { j = Json::object(); });
  isInvalid([](Json &j) { j["model"]["vocab"] = Json::object(); });
  isInvalid([](Json &j) { j["model"]["vocab"]["c"] = "x"; });
  isInvalid([](Json &j) { j["model"]["vocab"]["c"] = -1; });
  isInvalid([](Json &j) { j["model"]["vocab"]["c"] = 2; });          // taken
  isInvalid([](Json &j) { j["model"]["vocab"]["c"] = 2000000000; }); // a table of 8 GB
  isInvalid([](Json &j) { j["model"]["merges"] = {"a c"}; });
  isInvalid([](Json &j) { j["model"]["merges"] = {"a"}; });
  isInvalid([](Json &j) { j["model"]["merges"] = {{"a", "b", "ab"}}; });
  isInvalid([](Json &j) { j["model"]["merges"] = {{{"a", "b"}}}; });
  isInvalid([](Json &j) { j["model"]["merges"] = {"b a"}; }); // no piece "ba"
  isInvalid([](Json &j) { j["added_tokens"] = {{{"id", 1}}}; });
  isInvalid([](Json &j) { j["normalizer"] = "NFC"; });
  isInvalid([](Json &j) { j["pre_tokenizer"] = {{"type", "Sequence"}}; });
  isInvalid(
      [](Json &j) { j["post_processor"] = parse(R"({"type": "BertProcessing", "sep": ["x", 9], "cls": ["y", 9]})"); });
  EXPECT_EQ(tokenizerFromJson("{\"model\": ").error().code, ErrorCode::InvalidInput);
  EXPECT_EQ(tokenizerFromJson("{\"model\": 1, \"model\": 2}").error().code, ErrorCode::InvalidInput);
}

TEST(TokenizerJson, GrowingNormalizersAreStopped) {
  Json json = tiny();
  Json steps = Json::array();
  for (int i = 0; i < 40; ++i)
    steps.push_back(parse(R"({"type": "Replace", "pattern": {"String": "a"}, "content": "aaaaaaaa"})"));
  json["normalizer"] = {{"type", "Sequence"}, {"normalizers", steps}};
  auto tokenizer = tokenizerFromJson(json.dump());
  ASSERT_TRUE(tokenizer) << tokenizer.error().message;
  EXPECT_EQ(tokenizer->encode("a").error().code, ErrorCode::InvalidInput);
}

TEST(TokenizerJson, HopelessPatternsGiveUp) {
  Json json = tiny();
  json["pre_tokenizer"] = parse(R"({"type": "Split", "pattern": {"Regex": "(?:a|aa)*[xy]"}, "behavior": "Isolated"})");
  auto tokenizer = tokenizerFromJson(json.dump());
  ASSERT_TRUE(tokenizer) << tokenizer.error().message;
  auto ids = tokenizer->encode(std::string(5000, 'a'));
  ASSERT_FALSE(ids);
  EXPECT_EQ(ids.error().code, ErrorCode::InvalidInput);
}

TEST(Blob, RefusesDamage) {
  std::string blob = open("hf_llama2").toBlob();
  EXPECT_FALSE(Tokenizer::fromBlob({}));
  EXPECT_FALSE(Tokenizer::fromBlob(bytesOf(std::string_view(blob).substr(0, blob.size() / 2))));
  std::string other = blob;
  other[0] = 'X';
  EXPECT_EQ(Tokenizer::fromBlob(bytesOf(other)).error().code, ErrorCode::InvalidInput);
  other = blob;
  other[8] = 99;
  EXPECT_NE(Tokenizer::fromBlob(bytesOf(other)).error().message.find("version"), std::string::npos);
  // Whatever else is damaged: no crash, here and in what is opened all the same.
  for (size_t i = 12; i < blob.size(); i += 1 + blob.size() / 600) {
    std::string damaged = blob;
    damaged[i] = char(damaged[i] ^ 0x55);
    auto tokenizer = Tokenizer::fromBlob(bytesOf(damaged));
    if (tokenizer)
      (void)tokenizer->encode("Hello <s> ▁ world");
  }
}

TEST(Blob, NeedsNoAlignment) {
  std::string blob = " " + open("hf_qwen2").toBlob();
  auto tokenizer = Tokenizer::fromBlob(bytesOf(blob).subspan(1));
  ASSERT_TRUE(tokenizer);
  EXPECT_EQ(*tokenizer->encode("some words"), *open("hf_qwen2").encode("some words"));
}

// --- time and threads ---

// Of the processor, whatever else the machine does.
double secondsToEncode(const Tokenizer &tokenizer, const std::string &text) {
  std::clock_t start = std::clock();
  EXPECT_TRUE(tokenizer.encode(text));
  return double(std::clock() - start) / CLOCKS_PER_SEC;
}

TEST(Tokenizer, LongTextsTakeLinearTime) {
  for (const char *name : {"hf_gpt2", "hf_llama3", "hf_llama2", "hf_gemma", "hf_o200k", "added_gpt2"}) {
    Tokenizer tokenizer = open(name);
    for (std::string_view unit : {"a", " ", "\n", "A", "<", "é", "a ", "1"}) {
      std::string text;
      while (text.size() < 1'000'000)
        text += unit;
      EXPECT_LT(secondsToEncode(tokenizer, text), 10) << name << " " << unit;
    }
  }
}

TEST(Tokenizer, ThreadsShareIt) {
  Tokenizer tokenizer = open("hf_llama3");
  std::string text;
  for (int i = 0; i < 2000; ++i)
    text += "word" + std::to_string(i * 7919 % 997) + " ";
  auto expected = tokenizer.encode(text).value();
  std::vector<std::thread> threads;
  std::vector<int> equal(4);
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      for (int i = 0; i < 20; ++i)
        equal[size_t(t)] += tokenizer.encode(text) == expected;
    });
  for (auto &thread : threads)
    thread.join();
  EXPECT_EQ(equal, std::vector<int>(4, 20));
}

// --- batches ---

TEST(TokenizeBatch, AnswersInOrder) {
  Tokenizer tokenizer = open("hf_llama3");
  auto answer = tokenizeBatch(
      tokenizer,
      R"([{"text": "a", "special": true}, {"text": "<|eot_id|>", "special": false}, {"text": "", "special": false}])");
  ASSERT_TRUE(answer) << answer.error().message;
  Json ids = parse(*answer);
  ASSERT_EQ(ids.size(), 3u);
  EXPECT_EQ(idList(ids[0]), tokenizer.encode("a").value());
  EXPECT_EQ(idList(ids[1]), std::vector{tokenizer.find("<|eot_id|>").value()});
  EXPECT_TRUE(ids[2].empty());
  EXPECT_EQ(*tokenizeBatch(tokenizer, "[]"), "[]");
  EXPECT_FALSE(tokenizeBatch(tokenizer, "{}"));
  EXPECT_FALSE(tokenizeBatch(tokenizer, "[{}]"));
  EXPECT_FALSE(tokenizeBatch(tokenizer, "["));
}

} // namespace
} // namespace llmc
