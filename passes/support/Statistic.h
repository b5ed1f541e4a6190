// Counts of what passes rewrote, which also work in release builds.
//
// MLIR's own Pass::Statistic counts nothing in a release build, and has another layout in a debug build than in the
// packaged libMLIR (LLVM_ENABLE_STATS follows NDEBUG). So Passes.h.inc of every phase is written with this class in its
// place: `Statistic<…>` in Passes.td makes one. A pass without tablegen declares a member:
//
//   llmc::Statistic numFolded{this, "folded-scales", "scales folded into an embedding"};
//   ++numFolded;
//
// Tools print the counts under `--mlir-pass-statistics`. Thread-safe.
#pragma once

#include <atomic>
#include <cstdint>

namespace mlir {
class Pass;
} // namespace mlir
namespace llvm {
class raw_ostream;
} // namespace llvm

namespace llmc {

class Statistic {
public:
  // One counter per pass argument and `name`: all instances and copies of a pass share it. The strings must outlive the
  // process.
  Statistic(mlir::Pass *owner, const char *name, const char *description);

  Statistic &operator++() { return *this += 1; }
  Statistic &operator+=(uint64_t count) {
    value->fetch_add(count, std::memory_order_relaxed);
    return *this;
  }
  uint64_t getValue() const { return value->load(std::memory_order_relaxed); }

private:
  std::atomic<uint64_t> *value;
};

// Prints all counts that are not zero, by pass in alphabetical order:
//
//   llm-fuse-glu
//     (S) 1 fused-glus - GLUs folded into a linear
void printStatistics(llvm::raw_ostream &os);

// printStatistics to stderr, if `arguments` (a tool's argv) has `--mlir-pass-statistics`. Tools call it last.
void reportStatistics(int count, const char *const *arguments);

} // namespace llmc
