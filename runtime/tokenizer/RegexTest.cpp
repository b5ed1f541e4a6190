#include "runtime/tokenizer/Regex.h"

#include "runtime/tokenizer/RegexSyntax.h"

#include <gtest/gtest.h>

namespace llmc {
namespace {

// The matches, separated by '|'.
std::string matchesOf(std::string_view pattern, std::string_view text) {
  auto regex = Regex::compile(pattern);
  if (!regex)
    return "error: " + regex.error().message;
  RegexScratch scratch;
  MatchFinder matches(*regex, text, scratch);
  std::string out;
  while (matches.next())
    (out += text.substr(matches.start(), matches.end() - matches.start())) += '|';
  return matches.failed() ? "failed" : out;
}

TEST(Regex, CutsLikeGpt2) {
  constexpr std::string_view gpt2 =
      "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";
  EXPECT_EQ(matchesOf(gpt2, "it's  12 ok!\n\n x"), "it|'s| | 12| ok|!|\n\n| x|");
}

TEST(Regex, SpaceIsWhiteSpaceProper) {
  EXPECT_EQ(matchesOf("\\s", "a\u180E\u0085\u3000b"), "\u0085|\u3000|"); // not the Mongolian vowel separator
  EXPECT_EQ(matchesOf("[\\S]+", "a\u180E b"), "a\u180E|b|");
  EXPECT_EQ(matchesOf("[^\\S\\n]+", "a \n\tb"), " |\t|");
}

TEST(Regex, WordsAreOniguruma) {
  EXPECT_EQ(matchesOf("\\w+", "e\u0301t\u00E9_1 \u24B6\u00B2-x"), "e\u0301t\u00E9_1|\u24B6\u00B2|x|");
  EXPECT_EQ(matchesOf("\\bx\\b", "x xx x"), "x|x|");
  EXPECT_EQ(matchesOf("\\Bx", "x xx"), "x|");
}

TEST(Regex, KnowsUnicode16) {
  EXPECT_EQ(matchesOf("\\p{L}+", "\U00031350\U00010D50 \U0001E030"), "\U00031350\U00010D50|\U0001E030|");
  EXPECT_EQ(matchesOf("[^\\p{L}]+", "a\U00031350!"), "!|");
  EXPECT_EQ(matchesOf("\\P{L}+", "a\U00031350!"), "!|");
  EXPECT_EQ(matchesOf("[\\P{L}a]+", "ab\U00031350!"), "a|!|");
  EXPECT_EQ(matchesOf("\\p{Nd}", "\U00010D40"), "\U00010D40|");
}

TEST(Regex, ScriptsAreWithoutExtensions) {
  EXPECT_EQ(matchesOf("\\p{Han}+", "漢\u3001字\u30FC"), "漢|字|");
  EXPECT_EQ(matchesOf("[\\p{Hiragana}\\p{Katakana}]+", "かカ漢"), "かカ|");
  EXPECT_EQ(matchesOf("\\p{Uppercase_Letter}\\p{^Lu}", "Ab"), "Ab|");
}

TEST(Regex, ClassesNestAndIntersect) {
  EXPECT_EQ(matchesOf(" ?[^(\\s|[.,!?])]+", "ab (c|d) e.f"), "ab|c|d| e|f|");
  EXPECT_EQ(matchesOf("[a-z&&[^aeiou]]+", "bead"), "b|d|");
  EXPECT_EQ(matchesOf("[^a-z&&[^aeiou]]+", "bead1"), "ea|1|");
  EXPECT_EQ(matchesOf("[[:alpha:][:digit:]]+", "a1-b"), "a1|b|");
  EXPECT_EQ(matchesOf("[]x]+", "]x"), "]x|");
  EXPECT_EQ(matchesOf("[a\\-z]+", "a-m"), "a-|");
  EXPECT_EQ(matchesOf("[\\w-]+", "a-b c"), "a-b|c|");
  EXPECT_EQ(matchesOf("[\\x41-\\x{43}\\u0064]+", "ABCD d"), "ABC|d|");
}

TEST(Regex, GroupsAndQuantifiers) {
  EXPECT_EQ(matchesOf("(?i:'s|'t)", "'S 's 'ſ"), "'S|'s|'ſ|");
  EXPECT_EQ(matchesOf("a{,2}b", "aaab b"), "aab|b|");
  EXPECT_EQ(matchesOf("a{x}", "a{x}"), "a{x}|");
  EXPECT_EQ(matchesOf("(?m:a.b)", "a\nb"), "a\nb|");
  EXPECT_EQ(matchesOf("a.b", "a\nb"), "");
  EXPECT_EQ(matchesOf("^a$", "a\na"), "a|a|");
  EXPECT_EQ(matchesOf("(?<x>a)\\k<x>", "aa"), "aa|");
  EXPECT_EQ(matchesOf("a(?#comment)b", "ab"), "ab|");
}

TEST(Regex, EmptyMatchesMoveOn) {
  EXPECT_EQ(matchesOf("a*", "baé"), "|a||"); // before b, a, and at the end; not behind the match
  EXPECT_EQ(matchesOf("", "é"), "||");
}

TEST(Regex, RefusesWhatItCannotDo) {
  for (const char *pattern :
       {"(?R)", "(*FAIL)", "[a", "a{2}+", "\\p{Nonsense}", "\\p{Cn}", "(", "\\", "(?~a)", "\\p"}) {
    auto regex = Regex::compile(pattern);
    ASSERT_FALSE(regex) << pattern;
    EXPECT_EQ(regex.error().code, ErrorCode::Unsupported) << regex.error().message;
  }
  EXPECT_FALSE(Regex::compile(std::string(100000, 'a')));
}

TEST(Regex, GivesUpInTime) { EXPECT_EQ(matchesOf("(?:a|aa)*[xy]", std::string(3000, 'a')), "failed"); }

TEST(Regex, DeepMatchesNeedNoStack) {
  std::string text;
  for (int i = 0; i < 100000; ++i)
    text += "ab";
  EXPECT_EQ(matchesOf("(?:a|b)+", text).size(), text.size() + 1);
}

TEST(RegexSyntax, EscapesText) {
  for (std::string text : {"a.b*c", "[x]", "(^$)|?+{1}\\", " é\n"})
    EXPECT_EQ(matchesOf(escapeRegex(text), text), text + "|");
}

} // namespace
} // namespace llmc
