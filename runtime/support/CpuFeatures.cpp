#include "runtime/support/CpuFeatures.h"

#include <algorithm>
#include <fstream>
#include <sstream>

#if defined(__x86_64__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace llmc {
namespace {

#if defined(__x86_64__)

enum Register { Eax, Ebx, Ecx, Edx };

// XCR0 bits of the register files that a feature needs.
constexpr uint64_t sse = 0, avx = 0x6, avx512 = 0xe6, amx = 0x60000;

struct Feature {
  const char *name;
  uint32_t leaf, subleaf;
  Register word;
  int bit;
  uint64_t state;
};

// Intel SDM volume 2A, CPUID; AMD APM volume 3, appendix E.
constexpr Feature table[] = {
    {"sse2", 1, 0, Edx, 26, sse},
    {"pni", 1, 0, Ecx, 0, sse},
    {"pclmulqdq", 1, 0, Ecx, 1, sse},
    {"ssse3", 1, 0, Ecx, 9, sse},
    {"fma", 1, 0, Ecx, 12, avx},
    {"cx16", 1, 0, Ecx, 13, sse},
    {"sse4_1", 1, 0, Ecx, 19, sse},
    {"sse4_2", 1, 0, Ecx, 20, sse},
    {"movbe", 1, 0, Ecx, 22, sse},
    {"popcnt", 1, 0, Ecx, 23, sse},
    {"avx", 1, 0, Ecx, 28, avx},
    {"f16c", 1, 0, Ecx, 29, avx},
    {"bmi1", 7, 0, Ebx, 3, sse},
    {"avx2", 7, 0, Ebx, 5, avx},
    {"bmi2", 7, 0, Ebx, 8, sse},
    {"avx512f", 7, 0, Ebx, 16, avx512},
    {"avx512dq", 7, 0, Ebx, 17, avx512},
    {"avx512ifma", 7, 0, Ebx, 21, avx512},
    {"avx512cd", 7, 0, Ebx, 28, avx512},
    {"avx512bw", 7, 0, Ebx, 30, avx512},
    {"avx512vl", 7, 0, Ebx, 31, avx512},
    {"avx512vbmi", 7, 0, Ecx, 1, avx512},
    {"avx512_vbmi2", 7, 0, Ecx, 6, avx512},
    {"gfni", 7, 0, Ecx, 8, sse},
    {"avx512_vnni", 7, 0, Ecx, 11, avx512},
    {"avx512_bitalg", 7, 0, Ecx, 12, avx512},
    {"avx512_vpopcntdq", 7, 0, Ecx, 14, avx512},
    {"amx_bf16", 7, 0, Edx, 22, amx},
    {"avx512_fp16", 7, 0, Edx, 23, avx512},
    {"amx_tile", 7, 0, Edx, 24, amx},
    {"amx_int8", 7, 0, Edx, 25, amx},
    {"avx_vnni", 7, 1, Eax, 4, avx},
    {"avx512_bf16", 7, 1, Eax, 5, avx512},
    {"amx_fp16", 7, 1, Eax, 21, amx},
    {"abm", 0x80000001, 0, Ecx, 5, sse},
    {"lahf_lm", 0x80000001, 0, Ecx, 0, sse},
};

std::optional<CpuidWords> cpuid(uint32_t leaf, uint32_t subleaf) {
  CpuidWords words{};
  if (!__get_cpuid_count(leaf, subleaf, &words[Eax], &words[Ebx], &words[Ecx], &words[Edx]))
    return std::nullopt;
  return words;
}

uint64_t readXcr0() {
  uint32_t low, high;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return uint64_t(high) << 32 | low;
}

// Linux hands out the 8 KiB of tile registers only to processes that ask.
bool tilesPermitted() {
  constexpr long requestPermission = 0x1023, tileData = 18; // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA
  static const bool permitted = ::syscall(SYS_arch_prctl, requestPermission, tileData) == 0;
  return permitted;
}

uint64_t savedStates(const CpuProbe &probe) {
  auto words = probe.cpuid(1, 0);
  bool osxsave = words && ((*words)[Ecx] >> 27 & 1);
  return osxsave ? probe.xcr0() : 0;
}

// Whether the processor has it and the system saves its registers.
bool isThere(const Feature &feature, const CpuProbe &probe) {
  auto words = probe.cpuid(feature.leaf, feature.subleaf);
  return words && ((*words)[feature.word] >> feature.bit & 1) && (savedStates(probe) & feature.state) == feature.state;
}

const Feature *find(std::string_view name) {
  auto *feature = std::find_if(std::begin(table), std::end(table), [&](const Feature &f) { return f.name == name; });
  return feature == std::end(table) ? nullptr : feature;
}

bool detect(std::string_view name) { return cpuHas(name, {cpuid, readXcr0, tilesPermitted}); }

#else

// Elsewhere the kernel's own list tells.
bool detect(std::string_view name) {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    if (line.rfind("Features", 0) != 0 && line.rfind("isa", 0) != 0)
      continue;
    std::istringstream words(line.substr(std::min(line.size(), line.find(':') + 1)));
    for (std::string word; words >> word;)
      if (word == name)
        return true;
  }
  return false;
}

#endif

} // namespace

#if defined(__x86_64__)
bool cpuHas(std::string_view feature, const CpuProbe &probe) {
  const Feature *known = find(feature);
  return known && isThere(*known, probe) && (known->state != amx || probe.permitTiles());
}

bool tilesRefused(const CpuProbe &probe) { return isThere(*find("amx_tile"), probe) && !probe.permitTiles(); }
bool tilesRefused() { return tilesRefused({cpuid, readXcr0, tilesPermitted}); }
#else
bool tilesRefused() { return false; }
#endif

bool cpuHas(std::string_view feature) { return detect(feature); }

std::vector<std::string> missingCpuFeatures(std::string_view features) {
  std::vector<std::string> missing;
  std::istringstream words{std::string(features)};
  for (std::string word; words >> word;)
    if (!cpuHas(word))
      missing.push_back(word);
  return missing;
}

} // namespace llmc
