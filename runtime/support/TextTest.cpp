#include "runtime/support/Text.h"

#include <gtest/gtest.h>

namespace llmc {
namespace {

TEST(TextTest, knowsUtf8) {
  for (std::string_view good : {"", "abc", "\u00e9", "\u2581the", "\U0001f600", "\ued7f\ub000", "\U0010ffff"})
    EXPECT_TRUE(isUtf8(good)) << quoteText(good);
  EXPECT_TRUE(isUtf8(std::string_view("\0", 1)));
  for (std::string_view bad : {"\x80", "\xc0\x80", "\xc3", "\xc3(", "\xe0\x80\x80", "\xed\xa0\x80", "\xe2\x82",
                               "\xf0\x80\x80\x80", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff", "a\xfe"})
    EXPECT_FALSE(isUtf8(bad)) << quoteText(bad);
}

TEST(TextTest, quotesForMessages) {
  EXPECT_EQ(quoteText("a\n\xff"), "'a\\x0a\\xff'");
  EXPECT_EQ(quoteText("abcdef", 3), "'abc...'");
}

} // namespace
} // namespace llmc
