// What this machine can do at most: what a loop's time, and a benchmark's, is held against. The one source of these figures.
#pragma once

#include "runtime/support/Json.h"

#include <cstdint>
#include <map>
#include <string>

namespace llmc::tools {

// By so many threads together; a multiply-add counts two. What this machine has no pages or no instruction for is not there.
struct Limits {
  int32_t threads = 0;
  std::map<std::string, double> readBytesPerSecond;   // by pages: small (4 KiB), huge
  std::map<std::string, double> operationsPerSecond;  // by instruction: Peaks.h

  double fastestRead() const;
  // Of the fastest instruction for each kind of arithmetic, as kernels name them (dialects/tile/KernelWork.h): f32, bf16, int8.
  std::map<std::string, double> byArithmetic() const;
  // {"threads", "read_bytes_per_second": {…}, "operations_per_second": {…}}
  Json toJson() const;
};

// Which figures: all, those that a profile needs (reads from the pages that weights lie in, and the instructions), or only such reads.
enum class Measure { All, Profile, Reads };

// Reads memory as kernels read weights, and multiplies out of registers; the best of several tries. All take about 1 s.
//
// Reads go through 1 GiB (less where memory is short), each byte once a try: through 128 MiB they gave anything from 42 to 76 GB/s on
// one machine, as caches kept more or less of it. What memory gives also changes from minute to minute where others use it, so
// whoever compares takes a reading beside each pair.
Limits measureLimits(int32_t threads, Measure measure);

} // namespace llmc::tools
