// What this machine can do at most: what a loop's time is held against.
#pragma once

#include <cstdint>
#include <map>
#include <string>

namespace llmc::tools {

// By so many threads together. Kinds of arithmetic as kernels name them (dialects/tile/KernelWork.h): f32, bf16, int8; those that this
// machine has no instruction for are not there. A multiply-add counts two.
struct Limits {
  int32_t threads = 0;
  double readBytesPerSecond = 0;
  std::map<std::string, double> operationsPerSecond;
};

// Reads memory that no cache holds, in huge pages where the system gives them, and runs the widest dot product of each kind out of
// registers. The best of several tries; about 0.2 s.
Limits measureLimits(int32_t threads);

} // namespace llmc::tools
