#include "runtime/sampler/PromptLookup.h"

#include <gtest/gtest.h>

namespace llmc {
namespace {

std::vector<TokenId> found(const std::vector<TokenId> &sequence, size_t most, size_t longest = 3, size_t shortest = 1) {
  auto tokens = lookUp(sequence, most, longest, shortest);
  return {tokens.begin(), tokens.end()};
}

using Ids = std::vector<TokenId>;

TEST(PromptLookup, FindsWhatFollowed) {
  EXPECT_EQ((Ids{4, 5}), found({1, 2, 3, 4, 5, 6, 1, 2, 3}, 2));
  EXPECT_EQ((Ids{4, 5, 6, 1, 2, 3}), found({1, 2, 3, 4, 5, 6, 1, 2, 3}, 20)); // to the end
}

TEST(PromptLookup, PrefersTheLongestThenTheLatest) {
  EXPECT_EQ((Ids{7}), found({1, 2, 3, 7, 9, 3, 8, 1, 2, 3}, 1)); // 3 came later before 8, but 1 2 3 is longer
  EXPECT_EQ((Ids{8}), found({2, 3, 7, 2, 3, 8, 2, 3}, 1));
  EXPECT_EQ((Ids{8}), found({9, 2, 3, 7, 1, 2, 3, 8, 9, 2, 3}, 1, 2)); // no longer than 2: 9 does not count
}

TEST(PromptLookup, FindsNothingWhereNothingRecurs) {
  EXPECT_TRUE(found({1, 2, 3, 4}, 4).empty());
  EXPECT_TRUE(found({1}, 4).empty());
  EXPECT_TRUE(found({}, 4).empty());
  EXPECT_TRUE(found({5, 1, 2, 5}, 4, 3, 2).empty()); // one token is too little
  EXPECT_TRUE(found({1, 1}, 0).empty());
}

TEST(PromptLookup, RunsOverlap) { EXPECT_EQ((Ids{1}), found({1, 1, 1}, 5)); }

// Against trying every length at every place.
TEST(PromptLookup, FindsWhatTryingAllFinds) {
  uint32_t state = 1;
  for (int round = 0; round < 2000; ++round) {
    Ids sequence((state = state * 1664525 + 1013904223) >> 20 & 31);
    for (TokenId &id : sequence)
      id = TokenId((state = state * 1664525 + 1013904223) >> 20 & 3);
    Ids want;
    for (size_t length = 4; length >= 2 && want.empty(); --length)
      for (size_t end = sequence.size(); end-- > length && want.empty();)
        if (std::equal(sequence.begin() + ptrdiff_t(end - length), sequence.begin() + ptrdiff_t(end), sequence.end() - ptrdiff_t(length)))
          want.assign(sequence.begin() + ptrdiff_t(end), sequence.begin() + ptrdiff_t(std::min(end + 5, sequence.size())));
    EXPECT_EQ(want, found(sequence, 5, 4, 2)) << round;
  }
}

} // namespace
} // namespace llmc
