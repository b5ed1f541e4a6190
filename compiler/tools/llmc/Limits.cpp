#include "compiler/tools/llmc/Limits.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <functional>
#include <sys/mman.h>
#include <thread>
#include <vector>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

using namespace llmc;

namespace {

constexpr int kTries = 4;

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

// ---- Memory -----------------------------------------------------------------------------------------------------------

typedef uint64_t Line __attribute__((vector_size(64)));
constexpr size_t kReadBytes = size_t(128) << 20; // more than a cache holds

uint64_t sum(const Line *lines, size_t count) {
  Line a{}, b{}, c{}, d{};
  for (size_t i = 0; i + 4 <= count; i += 4)
    a += lines[i], b += lines[i + 1], c += lines[i + 2], d += lines[i + 3];
  Line all = a + b + c + d;
  return all[0] + all[3];
}

double readBandwidth(int32_t threads) {
  void *memory = mmap(nullptr, kReadBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED)
    return 0;
  madvise(memory, kReadBytes, MADV_HUGEPAGE);
  Line *lines = static_cast<Line *>(memory);
  size_t part = kReadBytes / sizeof(Line) / size_t(threads);
  timeTogether(threads, [&](int32_t thread) { std::fill_n(lines + size_t(thread) * part, part, Line{1}); });
  std::atomic<uint64_t> kept{0};
  double best = 0;
  for (int i = 0; i < kTries; ++i) {
    double seconds = timeTogether(threads, [&](int32_t thread) { kept += sum(lines + size_t(thread) * part, part); });
    best = std::max(best, double(part) * double(threads) * sizeof(Line) / seconds);
  }
  munmap(memory, kReadBytes);
  return best;
}

// ---- Arithmetic -------------------------------------------------------------------------------------------------------

constexpr int64_t kRounds = 400000;
volatile float keptFloat; // results that nobody reads, so that they are computed
volatile int keptInt;

struct Peak {
  const char *kind;
  double operationsOfRound;
  void (*run)(int64_t rounds);
};

#if defined(__x86_64__)

// Ten sums that do not wait for each other: as many as two pipes of five cycles keep busy.
#define LLMC_TEN_SUMS(STEP)                                                                                                                 \
  for (int64_t i = 0; i < rounds; ++i) {                                                                                                  \
    STEP(s0) STEP(s1) STEP(s2) STEP(s3) STEP(s4) STEP(s5) STEP(s6) STEP(s7) STEP(s8) STEP(s9)                                              \
  }

__attribute__((target("avx512f"))) void f32By512(int64_t rounds) {
  __m512 x = _mm512_set1_ps(0.5f), s0 = x, s1 = x, s2 = x, s3 = x, s4 = x, s5 = x, s6 = x, s7 = x, s8 = x, s9 = x;
#define LLMC_STEP(s) s = _mm512_fmadd_ps(s, x, x);
  LLMC_TEN_SUMS(LLMC_STEP)
#undef LLMC_STEP
  keptFloat = _mm512_reduce_add_ps(s0 + s1 + s2 + s3 + s4 + s5 + s6 + s7 + s8 + s9);
}

__attribute__((target("avx2,fma"))) void f32By256(int64_t rounds) {
  __m256 x = _mm256_set1_ps(0.5f), s0 = x, s1 = x, s2 = x, s3 = x, s4 = x, s5 = x, s6 = x, s7 = x, s8 = x, s9 = x;
#define LLMC_STEP(s) s = _mm256_fmadd_ps(s, x, x);
  LLMC_TEN_SUMS(LLMC_STEP)
#undef LLMC_STEP
  s0 = s0 + s1 + s2 + s3 + s4 + s5 + s6 + s7 + s8 + s9;
  keptFloat = s0[0] + s0[5];
}

__attribute__((target("avx512f,avx512bf16"))) void bf16By512(int64_t rounds) {
  __m512 x = _mm512_set1_ps(0.5f), s0 = x, s1 = x, s2 = x, s3 = x, s4 = x, s5 = x, s6 = x, s7 = x, s8 = x, s9 = x;
  __m512bh pairs = _mm512_cvtne2ps_pbh(x, x);
#define LLMC_STEP(s) s = _mm512_dpbf16_ps(s, pairs, pairs);
  LLMC_TEN_SUMS(LLMC_STEP)
#undef LLMC_STEP
  keptFloat = _mm512_reduce_add_ps(s0 + s1 + s2 + s3 + s4 + s5 + s6 + s7 + s8 + s9);
}

__attribute__((target("avx512f,avx512vnni"))) void int8By512(int64_t rounds) {
  __m512i x = _mm512_set1_epi8(1), s0 = x, s1 = x, s2 = x, s3 = x, s4 = x, s5 = x, s6 = x, s7 = x, s8 = x, s9 = x;
#define LLMC_STEP(s) s = _mm512_dpbusd_epi32(s, x, x);
  LLMC_TEN_SUMS(LLMC_STEP)
#undef LLMC_STEP
  keptInt = _mm512_reduce_add_epi32(s0 ^ s1 ^ s2 ^ s3 ^ s4 ^ s5 ^ s6 ^ s7 ^ s8 ^ s9);
}

// Without a dot product of bytes: pairs to 16 bits, pairs of those to 32, a sum.
__attribute__((target("avx2"))) void int8By256(int64_t rounds) {
  __m256i one = _mm256_set1_epi16(1), s0 = one, s1 = one, s2 = one, s3 = one, s4 = one, s5 = one, s6 = one, s7 = one, s8 = one, s9 = one;
#define LLMC_STEP(s) s = _mm256_add_epi32(s, _mm256_madd_epi16(_mm256_maddubs_epi16(s, one), one));
  LLMC_TEN_SUMS(LLMC_STEP)
#undef LLMC_STEP
  s0 = s0 ^ s1 ^ s2 ^ s3 ^ s4 ^ s5 ^ s6 ^ s7 ^ s8 ^ s9;
  keptInt = _mm256_extract_epi32(s0, 0);
}

std::vector<Peak> peaksOfMachine() {
  std::vector<Peak> peaks;
  bool wide = __builtin_cpu_supports("avx512f"), narrow = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  if (wide)
    peaks.push_back({"f32", 10 * 16 * 2, f32By512});
  else if (narrow)
    peaks.push_back({"f32", 10 * 8 * 2, f32By256});
  if (wide && __builtin_cpu_supports("avx512bf16"))
    peaks.push_back({"bf16", 10 * 32 * 2, bf16By512});
  if (wide && __builtin_cpu_supports("avx512vnni"))
    peaks.push_back({"int8", 10 * 64 * 2, int8By512});
  else if (narrow)
    peaks.push_back({"int8", 10 * 32 * 2, int8By256});
  return peaks;
}

#else

std::vector<Peak> peaksOfMachine() { return {}; }

#endif

double peakOf(const Peak &peak, int32_t threads) {
  double best = 0;
  for (int i = 0; i < kTries; ++i) {
    double seconds = timeTogether(threads, [&](int32_t) { peak.run(kRounds); });
    best = std::max(best, peak.operationsOfRound * double(kRounds) * double(threads) / seconds);
  }
  return best;
}

} // namespace

tools::Limits tools::measureLimits(int32_t threads) {
  Limits limits{.threads = std::max(threads, 1)};
  limits.readBytesPerSecond = readBandwidth(limits.threads);
  for (const Peak &peak : peaksOfMachine())
    limits.operationsPerSecond[peak.kind] = peakOf(peak, limits.threads);
  return limits;
}
