// What a GPU can do at most: what the time of a step's phases is held against.
#pragma once

#include "runtime/cuda/GpuDevice.h"

#include <map>
#include <string>

namespace llmc {

struct GpuLimits {
  double readBytesPerSecond = 0; // 0: not known
  // Of f32, bf16 and int8 (dense, in matrices), a multiply-add counting two. Empty for GPUs that the table does not know.
  std::map<std::string, double> operationsPerSecond;
};

// By the clocks that the driver names as the highest, which a GPU holds only while it is cool.
GpuLimits gpuLimits(const GpuFacts &facts);

} // namespace llmc
