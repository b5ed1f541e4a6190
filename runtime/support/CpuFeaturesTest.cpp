// Detection on machines of our own making: what CPUID says, what the system saves, what it permits.
#include "runtime/support/CpuFeatures.h"

#include <gtest/gtest.h>

#if defined(__x86_64__)

namespace llmc {
namespace {

constexpr uint64_t kAvx512States = 0xe6, kTileStates = 0x60000;
constexpr uint32_t kOsxsave = 1u << 27, kAmxBf16 = 1u << 22, kAmxTile = 1u << 24, kAmxInt8 = 1u << 25;

class FakeMachine {
public:
  uint64_t states = kAvx512States | kTileStates;
  bool osxsave = true, permits = true, hasTiles = true;
  int asked = 0; // how often the system was asked for tiles

  CpuProbe probe() {
    return {[this](uint32_t leaf, uint32_t subleaf) { return cpuid(leaf, subleaf); }, [this] { return states; },
            [this] { return ++asked, permits; }};
  }

private:
  std::optional<CpuidWords> cpuid(uint32_t leaf, uint32_t subleaf) const {
    if (leaf == 1)
      return CpuidWords{0, 0, osxsave ? kOsxsave : 0, 0};
    if (leaf == 7 && subleaf == 0)
      return CpuidWords{1, 1u << 16, 0, hasTiles ? kAmxBf16 | kAmxTile | kAmxInt8 : 0}; // ebx: avx512f
    return std::nullopt;
  }
};

constexpr const char *kAmx[] = {"amx_tile", "amx_bf16", "amx_int8"};

void expectTiles(FakeMachine &machine, bool wanted) {
  for (const char *name : kAmx)
    EXPECT_EQ(cpuHas(name, machine.probe()), wanted) << name;
}

TEST(CpuFeaturesTest, tilesThatAreThereAndPermitted) {
  FakeMachine machine;
  expectTiles(machine, true);
  EXPECT_FALSE(tilesRefused(machine.probe()));
}

TEST(CpuFeaturesTest, tilesThatTheSystemRefuses) {
  FakeMachine machine;
  machine.permits = false;
  expectTiles(machine, false);
  EXPECT_TRUE(tilesRefused(machine.probe()));
  EXPECT_TRUE(cpuHas("avx512f", machine.probe())); // the rest stays
}

// Where there are none, or the system does not save them, it is not asked.
TEST(CpuFeaturesTest, tilesThatAreNotThere) {
  FakeMachine without, unsaved, halfSaved, old;
  without.hasTiles = false;
  unsaved.states = kAvx512States;
  halfSaved.states = kAvx512States | 0x40000; // their data, not their configuration
  old.osxsave = false;
  for (FakeMachine *machine : {&without, &unsaved, &halfSaved, &old}) {
    expectTiles(*machine, false);
    EXPECT_FALSE(tilesRefused(machine->probe()));
    EXPECT_EQ(machine->asked, 0);
  }
  EXPECT_TRUE(cpuHas("avx512f", unsaved.probe()));
  EXPECT_FALSE(cpuHas("avx512f", old.probe()));
}

TEST(CpuFeaturesTest, otherFeaturesAskForNoTiles) {
  FakeMachine machine;
  EXPECT_TRUE(cpuHas("avx512f", machine.probe()));
  EXPECT_FALSE(cpuHas("avx_vnni", machine.probe())); // a leaf that this machine does not have
  EXPECT_FALSE(cpuHas("no_such_feature", machine.probe()));
  EXPECT_EQ(machine.asked, 0);
}

// This machine: what was asked for is what the levels of a model see.
TEST(CpuFeaturesTest, missingOnesAreNamedInOrder) {
  EXPECT_EQ(missingCpuFeatures("sse2 no_such_feature pni amx_nothing"), (std::vector<std::string>{"no_such_feature", "amx_nothing"}));
  EXPECT_EQ(missingCpuFeatures("amx_tile").empty(), cpuHas("amx_tile"));
  EXPECT_FALSE(cpuHas("amx_tile") && tilesRefused());
}

} // namespace
} // namespace llmc

#endif
