// Checkpoints: which copies stay, and who shares them.
#include "runtime/engine/Checkpoints.h"

#include <cstring>
#include <gtest/gtest.h>

namespace llmc {
namespace {

constexpr int64_t copyBytes = 100;

class CheckpointsOf3 : public testing::Test {
protected:
  void SetUp() override {
    auto made = Checkpoints::reserve(copyBytes, 3, 4);
    ASSERT_TRUE(made);
    checkpoints = std::move(*made);
  }
  void add(int64_t slot, int64_t length, CheckpointKind kind = CheckpointKind::Passing) {
    std::memset(checkpoints.memory(checkpoints.add(slot, length, kind)), int(length), copyBytes);
  }
  std::vector<int64_t> lengths(int64_t slot) const {
    std::vector<int64_t> result;
    for (const Checkpoint &checkpoint : checkpoints.of(slot)) {
      result.push_back(checkpoint.length);
      EXPECT_EQ(uint8_t(checkpoint.length), checkpoints.memory(checkpoint)[copyBytes - 1]);
    }
    return result;
  }
  using List = std::vector<int64_t>;
  Checkpoints checkpoints;
};

TEST_F(CheckpointsOf3, NearestIsAtOrBelow) {
  EXPECT_EQ(nullptr, checkpoints.nearest(0, 100));
  add(0, 10);
  add(0, 20);
  EXPECT_EQ(nullptr, checkpoints.nearest(0, 9));
  EXPECT_EQ(10, checkpoints.nearest(0, 19)->length);
  EXPECT_EQ(20, checkpoints.nearest(0, 20)->length);
  EXPECT_EQ(nullptr, checkpoints.nearest(1, 100));
}

TEST_F(CheckpointsOf3, StayDenseNearTheEndAndSparseBefore) {
  for (int64_t length = 1; length <= 256; ++length)
    add(0, length);
  List kept = lengths(0);
  ASSERT_EQ(4u, kept.size());
  EXPECT_EQ(256, kept[3]);
  // Each gap is at most a fixed part of its distance from the end: no roll-back is far from a copy for its length.
  for (size_t i = 0; i < kept.size(); ++i) {
    int64_t before = i ? kept[i - 1] : 0;
    EXPECT_LE(double(kept[i] - before) / double(257 - before), 0.95) << i;
  }
}

TEST_F(CheckpointsOf3, BoundariesStayLonger) {
  add(0, 10, CheckpointKind::Boundary);
  for (int64_t length = 20; length <= 100; length += 10)
    add(0, length);
  EXPECT_EQ(10, lengths(0).front());
}

TEST_F(CheckpointsOf3, RollbackDropsWhatIsBeyond) {
  for (int64_t length : {5, 6, 7})
    add(0, length);
  checkpoints.dropBeyond(0, 6);
  EXPECT_EQ((List{5, 6}), lengths(0));
  add(0, 9);
  EXPECT_EQ((List{5, 6, 9}), lengths(0));
}

TEST_F(CheckpointsOf3, ForkedSequencesShareCopiesUntilTheyGoApart) {
  add(0, 5);
  add(0, 8);
  checkpoints.share(0, 1);
  EXPECT_EQ(checkpoints.memory(checkpoints.of(0)[0]), checkpoints.memory(checkpoints.of(1)[0]));
  checkpoints.clear(0);
  EXPECT_EQ((List{5, 8}), lengths(1));
  add(0, 3);
  checkpoints.share(1, 0);
  add(0, 10);
  add(1, 11);
  EXPECT_EQ((List{5, 8, 10}), lengths(0));
  EXPECT_EQ((List{5, 8, 11}), lengths(1));
  checkpoints.share(0, 0);
  EXPECT_EQ((List{5, 8, 10}), lengths(0));
}

TEST_F(CheckpointsOf3, EverySlotMayHaveItsNumberWhateverIsShared) {
  for (int round = 0; round < 20; ++round) {
    for (int64_t slot = 0; slot < 3; ++slot)
      for (int64_t length = 1; length <= 6; ++length)
        add(slot, round * 10 + length);
    checkpoints.share(round % 3, (round + 1) % 3);
    for (int64_t slot = 0; slot < 3; ++slot)
      EXPECT_EQ(4u, lengths(slot).size());
  }
}

} // namespace
} // namespace llmc
