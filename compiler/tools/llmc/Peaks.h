// The instructions that products are made of, and loops of nothing else.
#pragma once

#include <cstdint>
#include <vector>

namespace llmc::tools {

struct Peak {
  const char *instruction; // "int8_vnni_avx512": arithmetic, and what it is done with
  const char *arithmetic;  // that it serves: f32, bf16, int8
  const char *features;    // that it needs (runtime/support/CpuFeatures.h)
  double operationsOfRound;
  void (*run)(int64_t rounds);
};

// All that there are, whatever this machine has.
const std::vector<Peak> &knownPeaks();
// Those that this process may run.
std::vector<Peak> peaksOfMachine();

} // namespace llmc::tools
