// Weights on their way from the mapped file into huge pages: what steps read while that happens.
#include "runtime/engine/Machine.h"
#include "runtime/engine/WeightMemory.h"

#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>

namespace llmc {
namespace {

// 72 MiB and a bit in weights of odd sizes, so that some lie across the ends of chunks and groups. Each word of a weight says where it is.
class WeightMemoryTest : public testing::Test {
protected:
  void SetUp() override {
    path = testing::TempDir() + "llmc-weight-memory-" + std::to_string(getpid());
    std::vector<int64_t> words;
    for (int64_t offset = 0; offset < (int64_t(72) << 20);) {
      int64_t bytes = 64 * (1 + int64_t(weights.size()) * 7919 % 50'000);
      weights.push_back({"w", offset, bytes});
      for (int64_t at = 0; at < bytes; at += 8)
        words.push_back(offset + at);
      offset += bytes;
    }
    std::ofstream(path, std::ios::binary).write(reinterpret_cast<const char *>(words.data()), std::streamsize(words.size() * 8));
    totalBytes = int64_t(words.size()) * 8;
  }
  void TearDown() override { std::filesystem::remove(path); }

  std::unique_ptr<WeightMemory> make(HugePages wanted = HugePages::Auto) {
    PackedWeights packed;
    packed.file = *MappedFile::open(path);
    packed.bytes = packed.file.bytes();
    auto memory = WeightMemory::create(std::move(packed), weights, wanted);
    EXPECT_TRUE(memory) << memory.error().message;
    return memory ? std::move(*memory) : nullptr;
  }
  // Words of all weights that are not what the file holds.
  int64_t wrongWords(const uint8_t *const *starts) const {
    int64_t wrong = 0;
    for (size_t i = 0; i < weights.size(); ++i)
      for (int64_t at = 0; at < weights[i].bytes; at += 8)
        wrong += *reinterpret_cast<const int64_t *>(starts[i] + at) != weights[i].offset + at;
    return wrong;
  }

  std::string path;
  std::vector<llmc_weight> weights;
  int64_t totalBytes = 0;
};

// Where the system has no huge pages or little memory: nothing moves, and it says why.
void expectRefusal(WeightMemory &memory) {
  const uint8_t *before = memory.beginStep().starts()[0];
  memory.settle();
  EXPECT_EQ(0, memory.state().copiedBytes);
  EXPECT_STRNE("", memory.state().note);
  EXPECT_EQ(before, memory.beginStep().starts()[0]);
}

bool canCopy() { return hasHugePages() && availableMemoryBytes() > int64_t(1) << 30; }

TEST_F(WeightMemoryTest, AllOfThemMoveAndStayTheSame) {
  auto memory = make();
  if (!canCopy())
    return expectRefusal(*memory);
  const uint8_t *before = memory->beginStep().starts()[0];
  memory->settle();
  WeightMemory::State state = memory->state();
  EXPECT_TRUE(state.settled);
  EXPECT_EQ(totalBytes, state.copiedBytes);
  EXPECT_STREQ("", state.note);
  WeightMemory::Step step = memory->beginStep();
  EXPECT_NE(before, step.starts()[0]);
  EXPECT_EQ(0u, reinterpret_cast<uintptr_t>(step.starts()[0]) % (2 << 20));
  EXPECT_EQ(0, wrongWords(step.starts()));
}

TEST_F(WeightMemoryTest, AStepKeepsThePointersItBeganWith) {
  auto memory = make();
  if (!canCopy())
    return expectRefusal(*memory);
  { WeightMemory::Step first = memory->beginStep(); }
  std::thread settling;
  {
    WeightMemory::Step step = memory->beginStep();
    std::vector<const uint8_t *> held(step.starts(), step.starts() + weights.size());
    settling = std::thread([&] { memory->settle(); });
    while (memory->state().copiedBytes < totalBytes)
      std::this_thread::yield();
    EXPECT_TRUE(std::equal(held.begin(), held.end(), step.starts()));
    EXPECT_EQ(0, wrongWords(step.starts()));
    EXPECT_FALSE(memory->state().settled); // the file's pages are in use
  }
  settling.join();
  EXPECT_TRUE(memory->state().settled);
}

TEST_F(WeightMemoryTest, StepsOfManyThreadsReadTheSameAllTheWhile) {
  auto memory = make();
  std::atomic<int64_t> wrong{0};
  std::vector<std::jthread> threads;
  for (int i = 0; i < 3; ++i)
    threads.emplace_back([&] {
      for (bool last = false; !last;) {
        last = memory->state().settled;
        WeightMemory::Step step = memory->beginStep();
        wrong += wrongWords(step.starts());
      }
    });
  threads.clear();
  EXPECT_EQ(0, wrong);
}

TEST_F(WeightMemoryTest, ClosingDoesNotWaitForTheCopy) {
  auto memory = make();
  { WeightMemory::Step step = memory->beginStep(); }
  memory.reset();
}

TEST_F(WeightMemoryTest, NothingMovesWhereItIsNotWanted) {
  auto memory = make(HugePages::Off);
  const uint8_t *before = memory->beginStep().starts()[0];
  memory->settle();
  EXPECT_EQ(0, memory->state().copiedBytes);
  EXPECT_STREQ("switched off", memory->state().note);
  EXPECT_EQ(before, memory->beginStep().starts()[0]);
}

TEST_F(WeightMemoryTest, MemoryThatContextsMayTakeIsLeftToThem) {
  auto memory = make();
  memory->promise(availableMemoryBytes());
  memory->settle();
  EXPECT_EQ(0, memory->state().copiedBytes);
  EXPECT_STRNE("", memory->state().note);
}

} // namespace
} // namespace llmc
