#include "runtime/tokenizer/Unicode.h"

#include <gtest/gtest.h>

namespace llmc {
namespace {

std::string lower(std::string_view text) {
  std::string out;
  for (size_t at = 0; at < text.size(); at += decodeFirst(text.substr(at)).bytes)
    appendLower(out, decodeFirst(text.substr(at)).codePoint);
  return out;
}

TEST(Unicode, DecodesBothEnds) {
  EXPECT_EQ(decodeFirst("😀a").codePoint, 0x1F600u);
  EXPECT_EQ(decodeLast("aé").codePoint, 0xE9u);
  EXPECT_EQ(decodeLast("漢").bytes, 3u);
}

TEST(Unicode, FindsIncompleteTails) {
  EXPECT_EQ(incompleteTail(""), 0u);
  EXPECT_EQ(incompleteTail("a"), 0u);
  EXPECT_EQ(incompleteTail("é"), 0u);
  EXPECT_EQ(incompleteTail("a\xC3"), 1u);
  EXPECT_EQ(incompleteTail("a\xF0\x9F\x98"), 3u);
  EXPECT_EQ(incompleteTail("a\xE0\x80"), 0u); // overlong: never a character
  EXPECT_EQ(incompleteTail("\x80\x80\x80\x80"), 0u);
  EXPECT_EQ(incompleteTail("\xFF"), 0u);
}

TEST(Unicode, ReplacesMaximalIllFormedParts) {
  const std::string r = "\xEF\xBF\xBD";
  EXPECT_EQ(replaceIllFormed("a\xFF"), "a" + r);
  EXPECT_EQ(replaceIllFormed("\xF0\x9F\x98x"), r + "x");
  EXPECT_EQ(replaceIllFormed("\xE0\x80"), r + r);
  EXPECT_EQ(replaceIllFormed("\xED\xA0\x80"), r + r + r); // a surrogate
  EXPECT_EQ(replaceIllFormed("é漢😀"), "é漢😀");
}

TEST(Unicode, Classes) {
  EXPECT_TRUE(isWhiteSpace(0x3000) && isWhiteSpace(0x85) && isWhiteSpace('\v'));
  EXPECT_FALSE(isWhiteSpace(0x180E) || isWhiteSpace(0x200B));
  EXPECT_TRUE(isNumeric('7') && isNumeric(0xBD) && isNumeric(0x10D40));
  EXPECT_TRUE(isPunctuation('$') && isPunctuation(0x3002) && isPunctuation('~'));
  EXPECT_FALSE(isPunctuation('a') || isPunctuation('5') || isPunctuation(' ') || isPunctuation(0x2E52));
  EXPECT_TRUE(isCombiningMark(0x301) && isNonspacingMark(0x301));
  EXPECT_TRUE(isWordCharacter(0x200D) && isWordCharacter('_') && isWordCharacter(0x31350));
  EXPECT_TRUE(isControl(0) && isControl(0x200B) && isControl(0xE000));
  EXPECT_FALSE(isControl(0x378)); // unassigned
  EXPECT_TRUE(isChinese(0x4E00) && !isChinese(0x3042));
}

TEST(Unicode, Lowers) {
  EXPECT_EQ(lower("AÉΣẞ"), "aéσß");
  EXPECT_EQ(lower("İ"), "i\u0307");
  EXPECT_EQ(lower("\U00010D50"), "\U00010D70"); // newer than utf8proc's tables
}

TEST(Unicode, NormalizesLikeTheReference) {
  EXPECT_EQ(normalize("e\u0301", NormalForm::Nfc), "é");
  EXPECT_EQ(normalize("é", NormalForm::Nfd), "e\u0301");
  EXPECT_EQ(normalize("ﬁ①", NormalForm::Nfkc), "fi1");
  EXPECT_EQ(normalize("각", NormalForm::Nfkd), "\u1100\u1161\u11A8");
  EXPECT_EQ(normalize("q\u0307\u0323", NormalForm::Nfc), "q\u0323\u0307");
  EXPECT_EQ(normalize("\u32FF", NormalForm::Nfkc), "\u32FF"); // newer than the reference's tables
  EXPECT_EQ(normalize(std::string_view("a\0b", 3), NormalForm::Nfc), std::string("a\0b", 3));
}

} // namespace
} // namespace llmc
