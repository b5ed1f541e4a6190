#include "runtime/support/Json.h"

#include <gtest/gtest.h>

namespace llmc {
namespace {

std::string errorOf(std::string_view text) {
  auto parsed = parseJson(text, "t.json");
  return parsed ? "parsed" : parsed.error().message;
}

TEST(JsonTest, readsEveryKind) {
  auto parsed = parseJson(R"({"a": [1, -2, 2.5, true, null, "x\u00e9"], "b": {"c": 1e5}, "big": 18446744073709551615})",
                          "t.json");
  ASSERT_TRUE(parsed) << parsed.error().message;
  const Json *a = jsonMember(*parsed, "a");
  ASSERT_TRUE(a && a->is_array() && a->size() == 6);
  const auto &items = *a->get_ptr<const Json::array_t *>();
  EXPECT_EQ(jsonInt(items[0]), 1);
  EXPECT_EQ(jsonInt(items[1]), -2);
  EXPECT_EQ(jsonInt(items[2]), std::nullopt);
  EXPECT_EQ(jsonFloat(items[2]), 2.5);
  EXPECT_EQ(jsonFloat(items[0]), 1.0);
  EXPECT_EQ(jsonBool(items[3]), true);
  EXPECT_EQ(jsonString(items[5]), "x\u00e9");
  const Json *b = jsonMember(*parsed, "b");
  ASSERT_TRUE(b);
  EXPECT_EQ(jsonInt(*b, "c"), 100000);
  EXPECT_EQ(jsonInt(*parsed, "big"), std::nullopt);
  EXPECT_EQ(jsonFloat(*parsed, "big"), 18446744073709551615.0);
}

TEST(JsonTest, gettersNeverThrow) {
  Json list = Json::array({1, 2});
  EXPECT_EQ(jsonMember(list, "a"), nullptr);
  EXPECT_EQ(jsonString(list, "a"), std::nullopt);
  EXPECT_EQ(jsonInt(Json("1")), std::nullopt);
  EXPECT_EQ(jsonMember(Json::object({{"a", nullptr}}), "a"), nullptr);
}

TEST(JsonTest, namesLineAndColumn) {
  EXPECT_EQ(errorOf("{\n  \"a\": tru\n}"),
            "t.json: line 2, column 11: syntax error while parsing value - invalid literal");
  EXPECT_NE(errorOf("[1, 2").find("line 1, column 5"), std::string::npos) << errorOf("[1, 2");
}

TEST(JsonTest, refusesDuplicateKeys) {
  EXPECT_EQ(errorOf("{\"a\": 1,\n \"b\": {\"a\": 2},\n \"a\": 3}"), "t.json: line 3, column 4: duplicate key 'a'");
  EXPECT_EQ(errorOf(R"({"b": 0, "a\"": 1, "\u0061\"": 2})"), R"(t.json: line 1, column 29: duplicate key '\u0061\"')");
  EXPECT_EQ(errorOf(R"([{"a": 1}, {"a": 2}])"), "parsed");
}

TEST(JsonTest, refusesDeepNesting) {
  EXPECT_EQ(errorOf(std::string(1'000'000, '[')), "t.json: line 1, column 129: nested deeper than 128 levels");
  std::string objects;
  for (int i = 0; i < 200; ++i)
    objects += "{\"a\":";
  EXPECT_NE(errorOf(objects).find("nested deeper"), std::string::npos);
  EXPECT_EQ(errorOf(std::string(128, '[') + std::string(128, ']')), "parsed");
}

TEST(JsonTest, boundsMemory) {
  JsonLimits limits;
  limits.memoryBase = 1 << 16;
  std::string text = "[";
  for (int i = 0; i < 100'000; ++i)
    text += "{},";
  text += "0]";
  auto parsed = parseJson(text, "t.json", limits);
  ASSERT_FALSE(parsed);
  EXPECT_NE(parsed.error().message.find("too many values"), std::string::npos);
}

TEST(JsonTest, refusesMalformedText) {
  for (std::string_view text : {"", " ", "{", "[1,]", "{\"a\"}", "{\"a\":1,}", "nul", "1 2", "\"\xff\"", "\"\xc0\x80\"",
                                "\"\\ud800\"", "\"a\nb\"", "1e999", "-", "01", "NaN", "[1}", "\"\\u12\""})
    EXPECT_NE(errorOf(text), "parsed") << text;
  EXPECT_EQ(errorOf(std::string_view("\"\0\"", 3)).find("parsed"), std::string::npos);
}

TEST(JsonTest, limitsLength) {
  JsonLimits limits;
  limits.maxBytes = 3;
  EXPECT_TRUE(parseJson("123", "t.json", limits));
  EXPECT_FALSE(parseJson("1234", "t.json", limits));
}

} // namespace
} // namespace llmc
