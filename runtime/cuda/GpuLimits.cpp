#include "runtime/cuda/GpuLimits.h"

namespace llmc {
namespace {

// Operations of a multiprocessor in a cycle. Source: the table of arithmetic instructions in the CUDA C++ Programming Guide; for matrices the
// architectures' white papers (A100, GA102, AD102, H100).
struct Rates {
  int64_t compute;
  double f32, bf16, int8;
};
constexpr Rates known[] = {{80, 128, 2048, 4096}, {86, 256, 1024, 2048}, {87, 256, 1024, 2048}, {89, 256, 1024, 2048}, {90, 256, 4096, 8192}};

} // namespace

GpuLimits gpuLimits(const GpuFacts &facts) {
  GpuLimits limits;
  limits.readBytesPerSecond = 2 * double(facts.memoryClockKhz) * 1e3 * double(facts.memoryBusBits) / 8; // two transfers a cycle
  double cycles = double(facts.clockKhz) * 1e3 * double(facts.processors);
  for (const Rates &rates : known)
    if (rates.compute == facts.compute)
      limits.operationsPerSecond = {{"f32", rates.f32 * cycles}, {"bf16", rates.bf16 * cycles}, {"int8", rates.int8 * cycles}};
  return limits;
}

} // namespace llmc
