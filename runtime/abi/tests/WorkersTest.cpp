#include "runtime/engine/Workers.h"

#include <chrono>
#include <gtest/gtest.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace llmc {
namespace {

// Each phase writes what the next one reads from another worker; tiles are claimed from a counter that must be 0 at
// first.
struct Relay {
  Workers *workers;
  int64_t phases;
  std::vector<int64_t> cells;
  std::atomic<int64_t> wrong{0}, tiles{0};

  void run(int64_t worker) {
    llmc_team *team = workers->team();
    int64_t count = workers->count();
    for (int64_t phase = 0; phase < phases; ++phase) {
      cells[size_t(worker)] = phase * count + worker;
      for (std::atomic_ref next(team->next_tile); next.fetch_add(1, std::memory_order_relaxed) < count;)
        tiles.fetch_add(1, std::memory_order_relaxed);
      team->barrier(team);
      int64_t neighbour = (worker + 1) % count;
      wrong += cells[size_t(neighbour)] != phase * count + neighbour;
      team->barrier(team);
    }
  }
};

void relay(int threads, int64_t regions, int64_t phases) {
  auto workers = Workers::create(threads);
  ASSERT_TRUE(workers) << workers.error().message;
  Relay state{workers->get(), phases, std::vector<int64_t>(size_t(threads))};
  for (int64_t i = 0; i < regions; ++i)
    (*workers)->run([](void *data, int64_t worker) { static_cast<Relay *>(data)->run(worker); }, &state);
  EXPECT_EQ(0, state.wrong);
  EXPECT_EQ(threads * phases * regions, state.tiles);
}

TEST(Workers, OneWorkerNeedsNoThreads) { relay(1, 10, 100); }
TEST(Workers, BarriersOrderTwoWorkers) { relay(2, 200, 50); }
TEST(Workers, BarriersHoldWithMoreWorkersThanCpus) { relay(9, 20, 20); }

TEST(Workers, SleepersAreWokenForTheNextRegion) {
  auto workers = Workers::create(2);
  ASSERT_TRUE(workers);
  std::atomic<int> ran{0};
  for (int i = 0; i < 5; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
    (*workers)->run([](void *data, int64_t) { ++*static_cast<std::atomic<int> *>(data); }, &ran);
  }
  EXPECT_EQ(10, ran);
}

// Loops of a few microseconds beside programs that want every CPU: no barrier is lost, and none waits for ever.
TEST(Workers, BarriersHoldBesideABusyMachine) {
  std::atomic<bool> over{false};
  std::vector<std::jthread> neighbours;
  for (int i = 0; i < 2; ++i)
    neighbours.emplace_back([&] {
      while (!over)
        ;
    });
  relay(2, 20, 50);
  over = true;
}

TEST(Workers, SpinsShorterAfterAWaitInVain) {
  SpinBudget spinning(8'000);
  spinning.learn(false);
  EXPECT_EQ(4'000, spinning.ns());
  for (int i = 0; i < 10; ++i)
    spinning.learn(false);
  EXPECT_EQ(1'000, spinning.ns());
  for (int i = 0; i < 10; ++i)
    spinning.learn(true);
  EXPECT_EQ(8'000, spinning.ns());
  SpinBudget never(0);
  never.learn(true);
  never.learn(false);
  EXPECT_EQ(0, never.ns());
}

TEST(Workers, ReportsTheCostOfABarrier) {
  auto workers = Workers::create(2);
  ASSERT_TRUE(workers);
  constexpr int64_t barriers = 5000;
  auto start = std::chrono::steady_clock::now();
  (*workers)->run(
      [](void *data, int64_t) {
        auto *team = static_cast<llmc_team *>(data);
        for (int64_t i = 0; i < barriers; ++i)
          team->barrier(team);
      },
      (*workers)->team());
  int64_t ns = (std::chrono::steady_clock::now() - start) / std::chrono::nanoseconds(1) / barriers;
  RecordProperty("barrier_ns", int(ns));
  std::printf("barrier: %ld ns with 2 workers\n", long(ns));
  EXPECT_LT(ns, 10'000'000); // loose: the machine may be shared
}

#if defined(__x86_64__)
TEST(Workers, FloatingPointEnvironmentIsTheDefaultInsideAndTheCallersOutside) {
  auto workers = Workers::create(2);
  ASSERT_TRUE(workers);
  unsigned before = _mm_getcsr();
  _mm_setcsr(before | 0x8040); // flush to zero, denormals are zero
  std::atomic<int> flushing{0};
  (*workers)->run([](void *data, int64_t) { *static_cast<std::atomic<int> *>(data) += (_mm_getcsr() & 0x8040) != 0; },
                  &flushing);
  EXPECT_EQ(0x8040u, _mm_getcsr() & 0x8040);
  _mm_setcsr(before);
  EXPECT_EQ(0, flushing);
}
#endif

} // namespace
} // namespace llmc
