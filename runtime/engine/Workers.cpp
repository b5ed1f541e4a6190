#include "runtime/engine/Workers.h"

#include "runtime/engine/Machine.h"
#include "runtime/engine/SignalsBlocked.h"

#include <algorithm>
#include <chrono>
#include <climits>
#include <linux/futex.h>
#include <string>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <system_error>
#include <unistd.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace llmc {
namespace {

void relax() {
#if defined(__x86_64__)
  _mm_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

int64_t nowNs() { return std::chrono::steady_clock::now().time_since_epoch() / std::chrono::nanoseconds(1); }

void futexWait(const std::atomic<uint32_t> *word, uint32_t value) {
  ::syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, nullptr, nullptr, 0);
}
void futexWakeAll(const std::atomic<uint32_t> *word) {
  ::syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT_MAX, nullptr, nullptr, 0);
}

// The caller's program may round or flush differently: results must not depend on it.
class DefaultFloatEnvironment {
public:
#if defined(__x86_64__)
  DefaultFloatEnvironment() : saved(_mm_getcsr()) { _mm_setcsr(0x1f80); }
  ~DefaultFloatEnvironment() { _mm_setcsr(saved); }

private:
  unsigned saved;
#else
  DefaultFloatEnvironment() {}
#endif
};

} // namespace

bool EventCount::spin(uint32_t seen, int64_t spinNs) const {
  if (spinNs <= 0)
    return current() != seen;
  for (int64_t end = nowNs() + spinNs; nowNs() < end;)
    for (int i = 0; i < 64; ++i) {
      if (current() != seen)
        return true;
      relax();
    }
  return false;
}

// Either advance() sees this sleeper and wakes it, or the kernel sees the new count and does not let it sleep: both
// sides write their own word before they read the other's, in one total order.
bool EventCount::waitWhile(uint32_t seen, int64_t spinNs) {
  if (spin(seen, spinNs))
    return true;
  sleepers.fetch_add(1, std::memory_order_seq_cst);
  while (count.load(std::memory_order_seq_cst) == seen)
    futexWait(&count, seen);
  sleepers.fetch_sub(1, std::memory_order_relaxed);
  return false;
}

void EventCount::advance() {
  count.fetch_add(1, std::memory_order_seq_cst);
  if (sleepers.load(std::memory_order_seq_cst) != 0)
    futexWakeAll(&count);
}

void SpinBudget::learn(bool wasEnough) {
  constexpr int64_t leastNs = 1'000;
  int64_t before = ns(), after = wasEnough ? std::min(before * 2, mostNs) : std::max(before / 2, std::min(leastNs, mostNs));
  if (after != before) // or the workers would take the line from each other at every barrier
    budgetNs.store(after, std::memory_order_relaxed);
}

// Spinning only helps while every worker has a CPU of its own.
Workers::Workers(int count)
    : shared{0, barrierThunk, this, count}, workerCount(count), spinning(count <= availableCpus() ? 50'000 : 0) {}

Expected<std::unique_ptr<Workers>> Workers::create(int count) {
  auto workers = std::unique_ptr<Workers>(new Workers(count));
  SignalsBlocked blocked;
  try {
    for (int worker = 1; worker < count; ++worker)
      workers->threads.emplace_back([self = workers.get(), worker] { self->work(worker); });
  } catch (const std::system_error &failure) {
    return invalidInput("threads: want " + std::to_string(count) + ", the system gave " +
                        std::to_string(workers->threads.size() + 1) + " (" + failure.what() + "); use fewer (-t)");
  }
  return workers;
}

Workers::~Workers() {
  stopping = true;
  regions.advance();
  for (std::thread &thread : threads)
    thread.join();
}

void Workers::work(int64_t worker) {
  ::prctl(PR_SET_NAME, ("llmc-" + std::to_string(worker)).c_str());
  DefaultFloatEnvironment environment;
  for (uint32_t seen = 0;; ++seen) {
    regions.waitWhile(seen, 2 * spinning.ns()); // what the caller does between steps takes longer than a loop
    if (stopping)
      return;
    body(data, worker);
    barrier();
  }
}

void Workers::run(Body newBody, void *newData) {
  DefaultFloatEnvironment environment;
  body = newBody;
  data = newData;
  std::atomic_ref(shared.next_tile).store(0, std::memory_order_relaxed);
  if (workerCount > 1)
    regions.advance();
  body(data, 0);
  barrier();
}

void Workers::barrierThunk(llmc_team *team) { static_cast<Workers *>(team->engine)->barrier(); }

void Workers::barrier() {
  uint32_t phase = phases.current();
  if (arrived.fetch_add(1, std::memory_order_acq_rel) + 1 != workerCount)
    return spinning.learn(phases.waitWhile(phase, spinning.ns()));
  arrived.store(0, std::memory_order_relaxed);
  std::atomic_ref(shared.next_tile).store(0, std::memory_order_relaxed);
  if (workerCount > 1)
    phases.advance();
}

} // namespace llmc
