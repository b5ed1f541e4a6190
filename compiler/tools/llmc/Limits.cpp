#include "compiler/tools/llmc/Limits.h"

#include "compiler/tools/llmc/Peaks.h"
#include "runtime/engine/Machine.h"
#include "runtime/support/CpuFeatures.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <functional>
#include <sys/mman.h>
#include <thread>
#include <vector>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

using namespace llmc;
using namespace llmc::tools;

namespace {

double secondsSince(std::chrono::steady_clock::time_point begin) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

// Runs `work(thread)` on all threads at once. Seconds from the first one's begin to the last one's end.
double timeTogether(int32_t threads, const std::function<void(int32_t)> &work) {
  std::atomic<int32_t> waiting{threads};
  std::vector<double> begins(size_t(threads), 0), ends(size_t(threads), 0);
  auto zero = std::chrono::steady_clock::now();
  auto run = [&](int32_t thread) {
    for (--waiting; waiting > 0;)
      std::this_thread::yield();
    begins[size_t(thread)] = secondsSince(zero);
    work(thread);
    ends[size_t(thread)] = secondsSince(zero);
  };
  std::vector<std::thread> others;
  for (int32_t thread = 1; thread < threads; ++thread)
    others.emplace_back(run, thread);
  run(0);
  for (std::thread &other : others)
    other.join();
  return *std::max_element(ends.begin(), ends.end()) - *std::min_element(begins.begin(), begins.end());
}

// ---- Memory ------------------------------------------------------------------------------------------------------------

constexpr int64_t kMostBytes = int64_t(1) << 30, kFewestBytes = int64_t(64) << 20;
constexpr size_t kHugePage = size_t(2) << 20;
// As products of one row read weights: workers claim tiles and ask for memory so far ahead. Smaller tiles cost 3 % of two workers: each
// also fetches the first lines of the tile that the other one reads.
constexpr size_t kTileBytes = 1 << 20, kAheadBytes = 4096;
constexpr int kReadTries = 7;

#if defined(__x86_64__)

__attribute__((target("avx512f"))) uint64_t readTileBy512(const char *tile) {
  __m512i sums[4] = {};
  for (size_t at = 0; at < kTileBytes; at += sizeof sums)
    for (size_t i = 0; i < 4; ++i) {
      const char *line = tile + at + i * 64;
      _mm_prefetch(line + kAheadBytes, _MM_HINT_T0);
      sums[i] = _mm512_xor_si512(sums[i], _mm512_load_si512(line));
    }
  return uint64_t(_mm512_reduce_add_epi64(sums[0] ^ sums[1] ^ sums[2] ^ sums[3]));
}

#endif

typedef uint64_t Line __attribute__((vector_size(64)));

uint64_t readTileByLines(const char *tile) {
  Line sums[4] = {};
  for (size_t at = 0; at < kTileBytes; at += sizeof sums)
    for (size_t i = 0; i < 4; ++i) {
      const char *line = tile + at + i * 64;
      __builtin_prefetch(line + kAheadBytes);
      sums[i] ^= *reinterpret_cast<const Line *>(line);
    }
  Line all = sums[0] ^ sums[1] ^ sums[2] ^ sums[3];
  return all[0] ^ all[7];
}

uint64_t (*fastestReader())(const char *) {
#if defined(__x86_64__)
  if (cpuHas("avx512f"))
    return readTileBy512;
#endif
  return readTileByLines;
}

// Anonymous memory in pages of one size, from a huge page's start on.
class Pages {
public:
  Pages(size_t bytes, bool huge) : mappedBytes(bytes + kHugePage) {
    mapped = mmap(nullptr, mappedBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapped == MAP_FAILED)
      return;
    char *first = reinterpret_cast<char *>((reinterpret_cast<uintptr_t>(mapped) + kHugePage - 1) / kHugePage * kHugePage);
    if (madvise(first, bytes, huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE) == 0 || !huge)
      begin = first;
  }
  ~Pages() {
    if (mapped != MAP_FAILED)
      munmap(mapped, mappedBytes);
  }
  Pages(const Pages &) = delete;
  Pages &operator=(const Pages &) = delete;

  char *begin = nullptr; // null: the system has none

private:
  size_t mappedBytes;
  void *mapped;
};

size_t bytesToRead() {
  int64_t bytes = std::clamp(availableMemoryBytes() / 4, kFewestBytes, kMostBytes);
  return size_t(bytes) / kHugePage * kHugePage;
}

// 0 where there are no such pages.
double readBandwidth(int32_t threads, bool huge) {
  size_t bytes = bytesToRead(), tiles = bytes / kTileBytes;
  Pages pages(bytes, huge);
  if (!pages.begin)
    return 0;
  auto read = fastestReader();
  std::atomic<uint64_t> kept{0}; // what the loops computed, so that none is left out
  auto eachTile = [&](auto body) {
    std::atomic<size_t> claimed{0};
    return timeTogether(threads, [&](int32_t) {
      for (size_t tile; (tile = claimed++) < tiles;)
        body(pages.begin + tile * kTileBytes);
    });
  };
  eachTile([](char *tile) { std::memset(tile, 1, kTileBytes); });
  double best = 0;
  for (int i = 0; i < kReadTries; ++i)
    best = std::max(best, double(bytes) / eachTile([&](char *tile) { kept += read(tile); }));
  return best;
}

void addRead(Limits &limits, const char *pages, bool huge) {
  if (double bytes = readBandwidth(limits.threads, huge); bytes > 0)
    limits.readBytesPerSecond[pages] = bytes;
}

// ---- Arithmetic --------------------------------------------------------------------------------------------------------

constexpr int kPeakTries = 5;
constexpr double kPeakSeconds = 0.006; // of a try

double peakOf(const Peak &peak, int32_t threads) {
  int64_t rounds = 1000;
  for (double seconds = 0; seconds < kPeakSeconds; rounds *= 2)
    seconds = timeTogether(1, [&](int32_t) { peak.run(rounds); });
  double best = 0;
  for (int i = 0; i < kPeakTries; ++i) {
    double seconds = timeTogether(threads, [&](int32_t) { peak.run(rounds); });
    best = std::max(best, peak.operationsOfRound * double(rounds) * double(threads) / seconds);
  }
  return best;
}

} // namespace

double Limits::fastestRead() const {
  double most = 0;
  for (const auto &[pages, bytes] : readBytesPerSecond)
    most = std::max(most, bytes);
  return most;
}

std::map<std::string, double> Limits::byArithmetic() const {
  std::map<std::string, double> peaks;
  for (const Peak &peak : knownPeaks())
    if (auto measured = operationsPerSecond.find(peak.instruction); measured != operationsPerSecond.end())
      peaks[peak.arithmetic] = std::max(peaks[peak.arithmetic], measured->second);
  return peaks;
}

Json Limits::toJson() const {
  return {{"threads", threads}, {"read_bytes_per_second", readBytesPerSecond}, {"operations_per_second", operationsPerSecond}};
}

Limits tools::measureLimits(int32_t threads, Measure measure) {
  Limits limits{.threads = std::max(threads, 1), .readBytesPerSecond = {}, .operationsPerSecond = {}};
  bool huge = hasHugePages();
  if (measure == Measure::All || !huge)
    addRead(limits, "small", false);
  if (huge)
    addRead(limits, "huge", true);
  if (measure != Measure::Reads)
    for (const Peak &peak : peaksOfMachine())
      limits.operationsPerSecond[peak.instruction] = peakOf(peak, limits.threads);
  return limits;
}
