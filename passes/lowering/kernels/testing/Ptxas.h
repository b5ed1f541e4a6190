// Assembles PTX as the CUDA driver would, and says what it makes of each function.
#pragma once

#include <cstdint>
#include <map>
#include <string>

namespace llmc::kernels::testing {

struct Assembled {
  std::string errors;                           // empty: it assembles
  std::map<std::string, int64_t> spilledBytes;  // by function
};
Assembled assemble(const std::string &ptxas, const std::string &ptx, const std::string &cpu);

} // namespace llmc::kernels::testing
