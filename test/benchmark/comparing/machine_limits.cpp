// What this machine can do at most: bytes read per second and operations per second of each dot product, for a number of threads.
//
//   machine_limits THREADS [MEGABYTES] [reads]        prints one JSON object; `reads`: of huge pages, nothing else
//
// Instruction sets are chosen at run time (CPUID, XCR0, and the kernel's leave for AMX), so one binary serves every x86-64. Each
// figure is the best of several runs: a limit, not an average.
#include <algorithm>
#include <barrier>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <thread>
#include <vector>

#include <sched.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#define TARGET(features) __attribute__((target(features), noinline))
#else
#error "machine_limits knows x86-64 only"
#endif

namespace {

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// ---- What the processor has -----------------------------------------------------------------------------------------

struct Features {
  bool avx2 = false, avx512 = false, avx512Bf16 = false, avx512Vnni = false, avxVnni = false, amxBf16 = false, amxInt8 = false;
};

TARGET("xsave") uint64_t enabledStates() { return _xgetbv(0); }

// AMX registers must be asked for once a process.
bool kernelGrantsAmx() {
  constexpr long requestPermission = 0x1023, tileData = 18;
  return syscall(SYS_arch_prctl, requestPermission, tileData) == 0;
}

Features detect() {
  Features f;
  unsigned a, b, c, d;
  if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & (1u << 27)))
    return f;
  bool fma = c & (1u << 12);
  uint64_t states = enabledStates();
  bool ymm = (states & 0x6) == 0x6, zmm = (states & 0xE6) == 0xE6, tiles = (states & 0x60000) == 0x60000;
  if (!__get_cpuid_count(7, 0, &a, &b, &c, &d))
    return f;
  unsigned subleaves = a;
  f.avx2 = ymm && fma && (b & (1u << 5));
  f.avx512 = zmm && (b & (1u << 16)) && (b & (1u << 30));
  f.avx512Vnni = f.avx512 && (c & (1u << 11));
  bool amx = tiles && (d & (1u << 24)) && kernelGrantsAmx();
  f.amxBf16 = amx && (d & (1u << 22));
  f.amxInt8 = amx && (d & (1u << 25));
  if (subleaves >= 1 && __get_cpuid_count(7, 1, &a, &b, &c, &d)) {
    f.avxVnni = f.avx2 && (a & (1u << 4));
    f.avx512Bf16 = f.avx512 && (a & (1u << 5));
  }
  return f;
}

// ---- Threads --------------------------------------------------------------------------------------------------------

// Seconds that `work(thread)` takes on all threads at once, the best of `runs`.
double bestSeconds(int threads, int runs, const std::function<void(int)> &work) {
  std::barrier line(threads + 1);
  std::vector<std::thread> workers;
  for (int t = 0; t < threads; ++t)
    workers.emplace_back([&, t] {
      for (int run = 0; run < runs; ++run) {
        line.arrive_and_wait();
        work(t);
        line.arrive_and_wait();
      }
    });
  double best = 1e30;
  for (int run = 0; run < runs; ++run) {
    double begin = now();
    line.arrive_and_wait();
    line.arrive_and_wait();
    best = std::min(best, now() - begin);
  }
  for (std::thread &worker : workers)
    worker.join();
  return best;
}

// ---- Reading --------------------------------------------------------------------------------------------------------

constexpr size_t lineBytes = 64, aheadBytes = 4096;

TARGET("avx512f") uint64_t read512(const char *p, size_t bytes, bool prefetch) {
  __m512i s[4] = {};
  for (size_t i = 0; i + 256 <= bytes; i += 256) {
    for (int k = 0; k < 4; ++k) {
      if (prefetch)
        _mm_prefetch(p + i + k * lineBytes + aheadBytes, _MM_HINT_T0);
      s[k] = _mm512_xor_si512(s[k], _mm512_load_si512(p + i + k * lineBytes));
    }
  }
  __m512i sum = _mm512_xor_si512(_mm512_xor_si512(s[0], s[1]), _mm512_xor_si512(s[2], s[3]));
  return uint64_t(_mm512_reduce_add_epi64(sum));
}

TARGET("avx2") uint64_t read256(const char *p, size_t bytes, bool prefetch) {
  __m256i s[4] = {};
  for (size_t i = 0; i + 128 <= bytes; i += 128) {
    if (prefetch) {
      _mm_prefetch(p + i + aheadBytes, _MM_HINT_T0);
      _mm_prefetch(p + i + lineBytes + aheadBytes, _MM_HINT_T0);
    }
    for (int k = 0; k < 4; ++k)
      s[k] = _mm256_xor_si256(s[k], _mm256_load_si256(reinterpret_cast<const __m256i *>(p + i + k * 32)));
  }
  __m256i sum = _mm256_xor_si256(_mm256_xor_si256(s[0], s[1]), _mm256_xor_si256(s[2], s[3]));
  return uint64_t(_mm256_extract_epi64(sum, 0) ^ _mm256_extract_epi64(sum, 3));
}

uint64_t readPlain(const char *p, size_t bytes, bool prefetch) {
  __m128i s[4] = {};
  for (size_t i = 0; i + 64 <= bytes; i += 64) {
    if (prefetch)
      _mm_prefetch(p + i + aheadBytes, _MM_HINT_T0);
    for (int k = 0; k < 4; ++k)
      s[k] = _mm_xor_si128(s[k], _mm_load_si128(reinterpret_cast<const __m128i *>(p + i + k * 16)));
  }
  return uint64_t(_mm_cvtsi128_si64(_mm_xor_si128(_mm_xor_si128(s[0], s[1]), _mm_xor_si128(s[2], s[3]))));
}

std::vector<uint64_t> sink(4096); // what the loops computed, so that none is left out

// A buffer of our own pages; `end` is a whole number of huge pages after `begin`.
struct Pages {
  static constexpr size_t huge = size_t(2) << 20;
  char *mapped, *begin;
  size_t bytes;

  Pages(size_t wanted, bool hugePages) : bytes(wanted / huge * huge) {
    mapped = static_cast<char *>(mmap(nullptr, bytes + 2 * huge, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    if (mapped == MAP_FAILED) {
      fprintf(stderr, "machine_limits: no %zu bytes of memory\n", bytes + 2 * huge);
      exit(1);
    }
    begin = reinterpret_cast<char *>((uintptr_t(mapped) + huge - 1) / huge * huge);
    madvise(mapped, bytes + 2 * huge, hugePages ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
    memset(begin, 1, bytes + huge - lineBytes); // prefetches run a little past the end
  }
  ~Pages() { munmap(mapped, bytes + 2 * huge); }
};

double readBytesPerSecond(const Features &f, const Pages &pages, int threads, bool prefetch) {
  auto read = f.avx512 ? read512 : f.avx2 ? read256 : readPlain;
  size_t share = pages.bytes / size_t(threads) / 4096 * 4096;
  double seconds = bestSeconds(threads, 7, [&](int t) {
    sink[size_t(t) % sink.size()] ^= read(pages.begin + size_t(t) * share, share, prefetch);
  });
  return double(share) * threads / seconds;
}

// ---- Arithmetic: independent chains of one instruction, enough of them to hide its latency --------------------------

constexpr int chains = 16;
using Loop = void (*)(int64_t rounds);

// One loop: `rounds` times, one instruction on each of the chains. The operands are hidden from the optimiser.
#define DOT_LOOP(name, features, type, zero, operand, apply)                                                                          \
  TARGET(features) void name(int64_t rounds) {                                                                                        \
    type acc[chains];                                                                                                                 \
    for (auto &a : acc)                                                                                                               \
      a = zero;                                                                                                                       \
    auto x = operand, y = operand;                                                                                                    \
    asm volatile("" : "+v"(x), "+v"(y));                                                                                              \
    for (int64_t r = 0; r < rounds; ++r) {                                                                                            \
      _Pragma("clang loop unroll(full)") for (int k = 0; k < chains; ++k) {                                                           \
        auto &a = acc[k];                                                                                                             \
        a = apply;                                                                                                                    \
        asm volatile("" : "+v"(a));                                                                                                   \
      }                                                                                                                               \
    }                                                                                                                                 \
  }

DOT_LOOP(fma512, "avx512f", __m512, _mm512_setzero_ps(), _mm512_set1_ps(0.5f), _mm512_fmadd_ps(x, y, a))
DOT_LOOP(bf16Dot512, "avx512f,avx512bf16", __m512, _mm512_setzero_ps(), __m512bh(_mm512_set1_epi16(0x3f00)), _mm512_dpbf16_ps(a, x, y))
DOT_LOOP(vnni512, "avx512f,avx512vnni", __m512i, _mm512_setzero_si512(), _mm512_set1_epi8(1), _mm512_dpbusd_epi32(a, x, y))
#undef DOT_LOOP

// 256 bits: 16 registers in all, so 12 chains.
constexpr int shortChains = 12;
#define DOT_LOOP(name, features, type, zero, operand, apply)                                                                          \
  TARGET(features) void name(int64_t rounds) {                                                                                        \
    type acc[shortChains];                                                                                                            \
    for (auto &a : acc)                                                                                                               \
      a = zero;                                                                                                                       \
    auto x = operand, y = operand;                                                                                                    \
    asm volatile("" : "+x"(x), "+x"(y));                                                                                              \
    for (int64_t r = 0; r < rounds; ++r) {                                                                                            \
      _Pragma("clang loop unroll(full)") for (int k = 0; k < shortChains; ++k) {                                                      \
        auto &a = acc[k];                                                                                                             \
        a = apply;                                                                                                                    \
        asm volatile("" : "+x"(a), "+x"(x));                                                                                                \
      }                                                                                                                               \
    }                                                                                                                                 \
  }

DOT_LOOP(fma256, "avx2,fma", __m256, _mm256_setzero_ps(), _mm256_set1_ps(0.5f), _mm256_fmadd_ps(x, y, a))
DOT_LOOP(vnni256, "avx2,avxvnni", __m256i, _mm256_setzero_si256(), _mm256_set1_epi8(1), _mm256_dpbusd_avx_epi32(a, x, y))
// Without VNNI a product of bytes takes three instructions: 8 to 16 bits, 16 to 32 bits, and the sum.
DOT_LOOP(bytes256, "avx2", __m256i, _mm256_setzero_si256(), _mm256_set1_epi8(1),
         _mm256_add_epi32(a, _mm256_madd_epi16(_mm256_maddubs_epi16(x, y), y)))
#undef DOT_LOOP

struct alignas(64) TileConfig {
  uint8_t palette = 1, startRow = 0, reserved[14] = {};
  uint16_t rowBytes[16] = {};
  uint8_t rows[16] = {};
};

// Tiles 0 to 3 sum, 4 to 7 are operands, as a 2 x 2 loop with its operands in registers has them.
#define AMX_LOOP(name, features, dot)                                                                                                 \
  TARGET(features) void name(int64_t rounds) {                                                                                        \
    TileConfig config;                                                                                                                \
    for (int i = 0; i < 8; ++i)                                                                                                       \
      config.rowBytes[i] = 64, config.rows[i] = 16;                                                                                   \
    asm volatile("" : : "r"(&config) : "memory");                                                                                     \
    _tile_loadconfig(&config);                                                                                                        \
    _tile_zero(0), _tile_zero(1), _tile_zero(2), _tile_zero(3);                                                                       \
    _tile_zero(4), _tile_zero(5), _tile_zero(6), _tile_zero(7);                                                                       \
    for (int64_t r = 0; r < rounds; ++r) {                                                                                            \
      dot(0, 4, 6);                                                                                                                   \
      dot(1, 4, 7);                                                                                                                   \
      dot(2, 5, 6);                                                                                                                   \
      dot(3, 5, 7);                                                                                                                   \
    }                                                                                                                                 \
    _tile_release();                                                                                                                  \
  }

AMX_LOOP(amxBf16, "amx-tile,amx-bf16", _tile_dpbf16ps)
AMX_LOOP(amxInt8, "amx-tile,amx-int8", _tile_dpbusd)
#undef AMX_LOOP

// Operations (a multiplication and an addition are two) per second.
double operationsPerSecond(Loop loop, double operationsPerRound, int threads) {
  int64_t rounds = 1000;
  for (double seconds = 0; seconds < 0.02; rounds *= 2) {
    double begin = now();
    loop(rounds);
    seconds = now() - begin;
  }
  double seconds = bestSeconds(threads, 5, [&](int) { loop(rounds); });
  return operationsPerRound * double(rounds) * threads / seconds;
}

struct Peak {
  const char *name;
  bool there;
  Loop loop;
  double operationsPerRound;
};

} // namespace

int main(int argc, char **argv) {
  int threads = argc > 1 ? atoi(argv[1]) : 0;
  size_t megabytes = argc > 2 ? size_t(atoll(argv[2])) : 1024;
  if (threads < 1 || threads > 4096 || megabytes < 64) {
    fprintf(stderr, "usage: machine_limits THREADS [MEGABYTES] [reads]   (want 1 to 4096 threads and at least 64 MB)\n");
    return 1;
  }
  bool readsOnly = argc > 3 && !strcmp(argv[3], "reads");
  Features f = detect();
  const Peak peaks[] = {
      {"f32_fma_avx2", f.avx2, fma256, 2.0 * 8 * shortChains},
      {"f32_fma_avx512", f.avx512, fma512, 2.0 * 16 * chains},
      {"bf16_dot_avx512", f.avx512Bf16, bf16Dot512, 2.0 * 32 * chains},
      {"int8_avx2", f.avx2, bytes256, 2.0 * 32 * shortChains},
      {"int8_vnni_avx2", f.avxVnni, vnni256, 2.0 * 32 * shortChains},
      {"int8_vnni_avx512", f.avx512Vnni, vnni512, 2.0 * 64 * chains},
      {"bf16_amx", f.amxBf16, amxBf16, 4 * 2.0 * 16 * 16 * 32},
      {"int8_amx", f.amxInt8, amxInt8, 4 * 2.0 * 16 * 16 * 64},
  };
  printf("{\"threads\": %d, \"megabytes\": %zu, \"read_bytes_per_second\": {", threads, megabytes);
  const char *comma = "";
  for (bool huge : {false, true}) {
    if (readsOnly && !huge)
      continue;
    Pages pages(megabytes << 20, huge);
    for (bool prefetch : {false, true}) {
      printf("%s\"%s%s\": %.0f", comma, huge ? "huge" : "small", prefetch ? "_prefetch" : "", readBytesPerSecond(f, pages, threads, prefetch));
      comma = ", ";
    }
  }
  printf("}, \"operations_per_second\": {");
  comma = "";
  for (const Peak &peak : peaks)
    if (peak.there && !readsOnly) {
      printf("%s\"%s\": %.0f", comma, peak.name, operationsPerSecond(peak.loop, peak.operationsPerRound, threads));
      comma = ", ";
    }
  printf("}}\n");
}
