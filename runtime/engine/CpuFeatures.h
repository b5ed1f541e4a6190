// What this CPU and operating system let a program use, by the names of /proc/cpuinfo.
//
//   if (!missingCpuFeatures("avx2 fma f16c").empty()) …
//
// Features decide, never the CPU's name: virtual machines report a wrong one. A feature whose registers the system does
// not save (XCR0) counts as absent. Thread-safe.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace llmc {

// Asking for "amx_tile" for the first time also asks the kernel to let this process use the tile registers.
bool cpuHas(std::string_view feature);

// Those of a space-separated list that are absent, in their order. An unknown name is absent.
std::vector<std::string> missingCpuFeatures(std::string_view features);

} // namespace llmc
