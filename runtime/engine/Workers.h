// The threads that run steps together: one parallel region a step, barriers inside it, nothing else.
//
//   LLMC_TRY(workers, Workers::create(2));
//   workers->run([](void *data, int64_t worker) { … }, &data);
//
// The calling thread is worker 0. A waiting worker spins for some microseconds, fewer while other programs want its CPU, then sleeps
// in the kernel, so that idle models cost nothing and machines that are shared stay fast. Thread-compatible: one region at a time.
#pragma once

#include "runtime/artifact/Artifact.h"
#include "runtime/support/Error.h"

#include <atomic>
#include <cstdint>
#include <memory>
#include <thread>
#include <vector>

namespace llmc {

// An event count: waiters see a number, wait until it changes. Spins, then parks.
class EventCount {
public:
  uint32_t current() const { return count.load(std::memory_order_acquire); }
  // Whether spinning was enough.
  bool waitWhile(uint32_t seen, int64_t spinNs);
  void advance();

private:
  bool spin(uint32_t seen, int64_t spinNs) const;
  alignas(64) std::atomic<uint32_t> count{0};
  std::atomic<uint32_t> sleepers{0};
};

// How long to spin before parking, learnt from how the last waits went. Alone on its CPUs, a team meets within microseconds, and parking
// would cost more than the loops. Beside other programs a missing worker has lost its CPU for milliseconds: who spins meanwhile uses
// up the time that the system would owe it, and is the next to go; who sleeps is run again at once. Thread-safe.
class SpinBudget {
public:
  explicit SpinBudget(int64_t mostNs) : mostNs(mostNs), budgetNs(mostNs) {}
  int64_t ns() const { return budgetNs.load(std::memory_order_relaxed); }
  // Twice as long after a wait that spinning was enough for, half as long after one that it was not.
  void learn(bool wasEnough);

private:
  const int64_t mostNs; // 0: never spins
  std::atomic<int64_t> budgetNs;
};

class Workers {
public:
  using Body = void (*)(void *data, int64_t worker);

  // `count`: workers in all, the caller among them. Errors: InvalidInput if the system gives no more threads.
  static Expected<std::unique_ptr<Workers>> create(int count);
  ~Workers();
  Workers(const Workers &) = delete;
  Workers &operator=(const Workers &) = delete;

  int count() const { return workerCount; }
  // Runs body(data, w) for each worker w at once; returns when all have returned. Every worker runs with the default
  // floating-point environment (round to nearest, no flush to zero), which the caller has back afterwards.
  void run(Body body, void *data);
  // What compiled code gets. Its barrier may be called inside a region, by all workers equally often.
  llmc_team *team() { return &shared; }

private:
  explicit Workers(int count);
  static void barrierThunk(llmc_team *team);
  void barrier();
  void work(int64_t worker);

  llmc_team shared;
  const int workerCount;
  Body body = nullptr;
  void *data = nullptr;
  bool stopping = false;
  SpinBudget spinning;
  alignas(64) std::atomic<int> arrived{0};
  EventCount phases;  // barriers passed
  EventCount regions; // regions begun
  std::vector<std::thread> threads;
};

} // namespace llmc
