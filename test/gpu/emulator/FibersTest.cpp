// What the emulator's instructions do, against plain loops over matrices and arrays.
#include "test/gpu/emulator/Fibers.h"

#include <cmath>
#include <cstring>
#include <gtest/gtest.h>
#include <vector>

namespace llmc::gpu {
namespace {

template <class Signature> Signature *instruction(const char *name) {
  for (const Symbol *symbol = emulatedSymbols(); symbol->name; ++symbol)
    if (!std::strcmp(symbol->name, name))
      return reinterpret_cast<Signature *>(symbol->address);
  ADD_FAILURE() << name;
  return nullptr;
}

const auto thread = instruction<int32_t()>("llvm.nvvm.read.ptx.sreg.tid.x");
const auto block = instruction<int32_t()>("llvm.nvvm.read.ptx.sreg.ctaid.x");
const auto barrier = instruction<void(int32_t)>("llvm.nvvm.barrier.cta.sync.aligned.all");
const auto gridBarrier = instruction<void(void *)>("llmc_grid_barrier");
int32_t *shared() { return instruction<int32_t>("llmc_shared"); }

TEST(FibersTest, threadsSeeWhatOthersWroteBeforeABarrier) {
  for (bool backwards : {false, true}) {
    std::vector<int32_t> got(64 * 3);
    runGrid({.blocks = 3, .threads = 64, .sharedBytes = 256, .backwards = backwards}, [&] {
      shared()[thread()] = 100 * block() + thread();
      barrier(0);
      got[size_t(block() * 64 + thread())] = shared()[63 - thread()];
    });
    for (int b = 0; b < 3; ++b)
      for (int t = 0; t < 64; ++t)
        EXPECT_EQ(got[size_t(b * 64 + t)], 100 * b + 63 - t);
  }
}

TEST(FibersTest, sharedMemoryIsPoisonUntilWritten) {
  int32_t seen = 0;
  runGrid({.sharedBytes = 64}, [&] { seen = shared()[0]; });
  EXPECT_EQ(seen, -1);
}

TEST(FibersTest, blocksMeetAtBarriersOfTheGrid) {
  std::vector<int32_t> first(4), second(4);
  int32_t shown = 0;
  runGrid({.blocks = 4, .threads = 32, .sharedBytes = 4}, [&] {
    if (thread() == 0)
      first[size_t(block())] = block() + 1, shared()[0] = 5;
    gridBarrier(nullptr);
    if (thread() == 0)
      second[size_t(block())] = first[0] + first[1] + first[2] + first[3], shown = shared()[0];
  });
  EXPECT_EQ(second, std::vector<int32_t>(4, 10));
  EXPECT_EQ(shown, -1) << "shared memory lives no longer than a loop of the step";
}

TEST(FibersTest, lanesExchange) {
  auto exchange = instruction<uint32_t(uint32_t, uint32_t, uint32_t, uint32_t)>("llvm.nvvm.shfl.sync.bfly.i32");
  auto from = instruction<uint32_t(uint32_t, uint32_t, uint32_t, uint32_t)>("llvm.nvvm.shfl.sync.idx.i32");
  std::vector<uint32_t> crossed(64), taken(64);
  runGrid({.threads = 64}, [&] {
    auto t = uint32_t(thread());
    crossed[t] = exchange(~0u, t, 5, 31);
    taken[t] = from(~0u, t, 31 - t % 32, 31);
  });
  for (uint32_t t = 0; t < 64; ++t) {
    EXPECT_EQ(crossed[t], t ^ 5u);
    EXPECT_EQ(taken[t], t / 32 * 32 + 31 - t % 32);
  }
}

// Small whole numbers: every order of sums gives the same.
int valueOfA(int row, int k) { return (row * 5 + k * 3) % 13 - 6; }
int valueOfB(int k, int column) { return (k * 7 + column * 2) % 11 - 5; }
int productOf(int row, int column, int inputs) {
  int sum = row - column; // c
  for (int k = 0; k < inputs; ++k)
    sum += valueOfA(row, k) * valueOfB(k, column);
  return sum;
}
uint32_t bf16Bits(int value) {
  auto real = float(value);
  uint32_t bits;
  std::memcpy(&bits, &real, 4);
  return bits >> 16;
}

// The registers of a lane, as the PTX manual's figures for m16n8k16 (.bf16) and m16n8k32 (.s8) give them.
TEST(FibersTest, multipliesMatricesOfBf16) {
  auto mma = instruction<void(float *, uint32_t, uint32_t, uint32_t, uint32_t, uint32_t, uint32_t, float, float, float, float)>(
      "llvm.nvvm.mma.m16n8k16.row.col.bf16");
  runGrid({.threads = 32}, [&] {
    int g = thread() / 4, t = thread() % 4;
    auto a = [](int row, int k) { return bf16Bits(valueOfA(row, k)) | bf16Bits(valueOfA(row, k + 1)) << 16; };
    auto b = [](int k, int column) { return bf16Bits(valueOfB(k, column)) | bf16Bits(valueOfB(k + 1, column)) << 16; };
    auto c = [](int row, int column) { return float(row - column); };
    float d[4];
    mma(d, a(g, 2 * t), a(g + 8, 2 * t), a(g, 2 * t + 8), a(g + 8, 2 * t + 8), b(2 * t, g), b(2 * t + 8, g), c(g, 2 * t), c(g, 2 * t + 1),
        c(g + 8, 2 * t), c(g + 8, 2 * t + 1));
    for (int i = 0; i < 4; ++i)
      EXPECT_EQ(d[i], float(productOf(g + i / 2 * 8, 2 * t + i % 2, 16))) << "lane " << thread() << " value " << i;
  });
}

TEST(FibersTest, multipliesMatricesOfBytes) {
  auto mma = instruction<void(int32_t *, uint32_t, uint32_t, uint32_t, uint32_t, uint32_t, uint32_t, int32_t, int32_t, int32_t, int32_t)>(
      "llvm.nvvm.mma.m16n8k32.row.col.s8");
  runGrid({.threads = 32}, [&] {
    int g = thread() / 4, t = thread() % 4;
    auto word = [](auto value) {
      uint32_t bits = 0;
      for (int i = 0; i < 4; ++i)
        bits |= uint32_t(uint8_t(value(i))) << (8 * i);
      return bits;
    };
    auto a = [&](int row, int k) { return word([&](int i) { return valueOfA(row, k + i); }); };
    auto b = [&](int k, int column) { return word([&](int i) { return valueOfB(k + i, column); }); };
    int32_t d[4];
    mma(d, a(g, 4 * t), a(g + 8, 4 * t), a(g, 4 * t + 16), a(g + 8, 4 * t + 16), b(4 * t, g), b(4 * t + 16, g), g - 2 * t, g - 2 * t - 1, g + 8 - 2 * t,
        g + 8 - 2 * t - 1);
    for (int i = 0; i < 4; ++i)
      EXPECT_EQ(d[i], productOf(g + i / 2 * 8, 2 * t + i % 2, 32)) << "lane " << thread() << " value " << i;
  });
}

TEST(FibersTest, multipliesNarrowMatricesOfBytes) {
  auto mma = instruction<void(int32_t *, uint32_t, uint32_t, uint32_t, int32_t, int32_t, int32_t, int32_t)>("llvm.nvvm.mma.m16n8k16.row.col.s8");
  runGrid({.threads = 32}, [&] {
    int g = thread() / 4, t = thread() % 4;
    auto word = [](auto value) {
      uint32_t bits = 0;
      for (int i = 0; i < 4; ++i)
        bits |= uint32_t(uint8_t(value(i))) << (8 * i);
      return bits;
    };
    auto a = [&](int row) { return word([&](int i) { return valueOfA(row, 4 * t + i); }); };
    int32_t d[4];
    mma(d, a(g), a(g + 8), word([&](int i) { return valueOfB(4 * t + i, g); }), g - 2 * t, g - 2 * t - 1, g + 8 - 2 * t, g + 8 - 2 * t - 1);
    for (int i = 0; i < 4; ++i)
      EXPECT_EQ(d[i], productOf(g + i / 2 * 8, 2 * t + i % 2, 16)) << "lane " << thread() << " value " << i;
  });
}

TEST(FibersTest, loadsMatrices) {
  auto load = instruction<void(int32_t *, const void *)>("llvm.nvvm.ldmatrix.sync.aligned.m8n8.x4.b16.p3");
  runGrid({.threads = 32, .sharedBytes = 32 * 32}, [&] {
    for (int i = 0; i < 4; ++i) // row `thread` of all, 32 bytes apart
      shared()[thread() * 8 + i] = thread() * 4 + i;
    barrier(0);
    int32_t got[4];
    load(got, shared() + thread() * 8);
    for (int i = 0; i < 4; ++i)
      EXPECT_EQ(got[i], (8 * i + thread() / 4) * 4 + thread() % 4) << "lane " << thread() << " matrix " << i;
  });
}

TEST(FibersTest, turnsMatrices) {
  auto load = instruction<void(int32_t *, const void *)>("llvm.nvvm.ldmatrix.sync.aligned.m8n8.x4.trans.b16.p3");
  runGrid({.threads = 32, .sharedBytes = 32 * 16}, [&] {
    for (int i = 0; i < 4; ++i) // element e of row `thread` of all is 8 * thread + e
      shared()[thread() * 4 + i] = (8 * thread() + 2 * i) | (8 * thread() + 2 * i + 1) << 16;
    barrier(0);
    int32_t got[4];
    load(got, shared() + thread() * 4);
    for (int i = 0; i < 4; ++i)
      for (int half = 0; half < 2; ++half)
        EXPECT_EQ(got[i] >> (16 * half) & 0xffff, 8 * (8 * i + thread() % 4 * 2 + half) + thread() / 4) << "lane " << thread() << " matrix " << i;
  });
}

TEST(FibersTest, multipliesMatricesOfF16) {
  auto mma = instruction<void(float *, uint32_t, uint32_t, uint32_t, uint32_t, uint32_t, uint32_t, float, float, float, float)>(
      "llvm.nvvm.mma.m16n8k16.row.col.f32.f32");
  auto halfBits = [](int value) { // of a small whole number
    int size = std::abs(value), exponent = 0;
    while (size >> (exponent + 1))
      ++exponent;
    return uint32_t((value < 0 ? 0x8000 : 0) | (size ? (exponent + 15) << 10 | (size << (10 - exponent) & 1023) : 0));
  };
  runGrid({.threads = 32}, [&] {
    int g = thread() / 4, t = thread() % 4;
    auto a = [&](int row, int k) { return halfBits(valueOfA(row, k)) | halfBits(valueOfA(row, k + 1)) << 16; };
    auto b = [&](int k, int column) { return halfBits(valueOfB(k, column)) | halfBits(valueOfB(k + 1, column)) << 16; };
    auto c = [](int row, int column) { return float(row - column); };
    float d[4];
    mma(d, a(g, 2 * t), a(g + 8, 2 * t), a(g, 2 * t + 8), a(g + 8, 2 * t + 8), b(2 * t, g), b(2 * t + 8, g), c(g, 2 * t), c(g, 2 * t + 1),
        c(g + 8, 2 * t), c(g + 8, 2 * t + 1));
    for (int i = 0; i < 4; ++i)
      EXPECT_EQ(d[i], float(productOf(g + i / 2 * 8, 2 * t + i % 2, 16))) << "lane " << thread() << " value " << i;
  });
}

TEST(FibersTest, picksBytes) {
  auto pick = instruction<uint32_t(uint32_t, uint32_t, uint32_t)>("llvm.nvvm.prmt");
  EXPECT_EQ(pick(0x33221100, 0x77665544, 0x7052), 0x77005522u);
  EXPECT_EQ(pick(0x33228100, 0x77665544, 0x89ab), 0x00ff0000u);
}

TEST(FibersTest, copiesZerosForWhatIsNotThere) {
  auto copy = instruction<void(void *, const void *, int32_t)>("llvm.nvvm.cp.async.cg.shared.global.16.s");
  auto copyWord = instruction<void(void *, const void *, int32_t)>("llvm.nvvm.cp.async.ca.shared.global.4.s");
  auto await = instruction<void(int32_t)>("llvm.nvvm.cp.async.wait.group");
  auto commit = instruction<void()>("llvm.nvvm.cp.async.commit.group");
  alignas(16) int32_t from[4] = {1, 2, 3, 4};
  std::vector<int32_t> got;
  runGrid({.threads = 32, .sharedBytes = 48}, [&] {
    if (thread())
      return;
    copy(shared(), from, 16), copy(shared() + 4, nullptr, 0), copyWord(shared() + 8, from + 2, 4), copyWord(shared() + 9, nullptr, 0), commit();
    await(0);
    got.assign(shared(), shared() + 11);
  });
  EXPECT_EQ(got, (std::vector{1, 2, 3, 4, 0, 0, 0, 0, 3, 0, -1}));
}

TEST(FibersTest, copiesArriveWhenAwaited) {
  auto copy = instruction<void(void *, const void *)>("llvm.nvvm.cp.async.cg.shared.global.16");
  auto commit = instruction<void()>("llvm.nvvm.cp.async.commit.group");
  auto await = instruction<void(int32_t)>("llvm.nvvm.cp.async.wait.group");
  alignas(16) int32_t from[8] = {1, 2, 3, 4, 5, 6, 7, 8};
  std::vector<int32_t> early, one, both;
  runGrid({.threads = 32, .sharedBytes = 32}, [&] {
    if (thread())
      return;
    copy(shared(), from), commit();
    copy(shared() + 4, from + 4), commit();
    early = {shared()[0], shared()[4]};
    await(1);
    one = {shared()[0], shared()[4]};
    await(0);
    both = {shared()[0], shared()[4]};
  });
  EXPECT_EQ(early, (std::vector{-1, -1}));
  EXPECT_EQ(one, (std::vector{1, -1}));
  EXPECT_EQ(both, (std::vector{1, 5}));
}

TEST(FibersDeathTest, findsWhatWouldHang) {
  EXPECT_DEATH(runGrid({.threads = 64}, [] { if (thread() < 32) barrier(0); }), "wait for ever");
  EXPECT_DEATH(runGrid({.threads = 32, .sharedBytes = 64}, [] { shared()[16] = 1; }), "beyond its shared memory");
}

} // namespace
} // namespace llmc::gpu
