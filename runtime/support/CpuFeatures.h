// What this CPU and operating system let a program use, by the names of /proc/cpuinfo.
//
//   if (!missingCpuFeatures("avx2 fma f16c").empty()) …
//
// Features decide, never the CPU's name: virtual machines report a wrong one. A feature whose registers the system does
// not save (XCR0) counts as absent, and so do tiles that it does not permit. Thread-safe.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace llmc {

// Asking for a feature of tiles ("amx_…") that the CPU has also asks the system, once a process, to let it use their registers.
bool cpuHas(std::string_view feature);

// Those of a space-separated list that are absent, in their order. An unknown name is absent.
std::vector<std::string> missingCpuFeatures(std::string_view features);

// Whether there are tiles that the system keeps from this process: an old kernel, or a sandbox that filters system calls.
bool tilesRefused();

#if defined(__x86_64__)
// What detection asks; tests answer themselves.
using CpuidWords = std::array<uint32_t, 4>; // eax, ebx, ecx, edx
struct CpuProbe {
  std::function<std::optional<CpuidWords>(uint32_t leaf, uint32_t subleaf)> cpuid; // nullopt: no such leaf
  std::function<uint64_t()> xcr0;     // asked only where CPUID says that it may be
  std::function<bool()> permitTiles;  // asked only where there are tiles
};
bool cpuHas(std::string_view feature, const CpuProbe &probe);
bool tilesRefused(const CpuProbe &probe);
#endif

} // namespace llmc
