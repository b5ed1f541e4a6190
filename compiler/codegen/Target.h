// Targets of code generation on CPUs: levels of the x86-64 psABI, by features, never by a CPU's name.
#pragma once

#include "dialects/tile/Tile.h"

#include "llvm/Support/Error.h"

#include <string>
#include <vector>

namespace llmc::codegen {

struct Target {
  std::string name;      // "x86-64-v3"
  std::string cpu;       // LLVM's name of the level
  std::string features;  // LLVM's feature string beyond the level
  std::string required;  // what the CPU must have, as the loader spells it (runtime/artifact/Artifact.h)
  int64_t vectorBits;    // registers that float loops use
  tile::Dot dot;
  bool bf16;             // dot products of pairs of bf16
  tile::Tiles tiles;     // registers that hold matrices
  int rank;              // higher is better
  int64_t threads = 0;   // of a block, on a GPU
};

// Every level that we have, best first.
llvm::ArrayRef<Target> knownTargets();

// "cpu" and "cpu:LEVEL" for each of those, for messages.
std::string targetNames();

// "cpu": the best level that this machine has; "cpu:x86-64-v4-amx", "cpu:x86-64-v4-bf16", "cpu:x86-64-v4", "cpu:x86-64-v3", "cpu:generic":
// that level. Several levels may be given in one string, separated by commas; the result is sorted best first without repeats. For tests
// there is "cpu:x86-64-v4-amx-emulated", which runs what has x86-64-v4-bf16.
// Errors: InvalidInput on an unknown name; Unsupported for "cuda:…".
llvm::Expected<std::vector<Target>> parseTargets(llvm::ArrayRef<std::string> names);

} // namespace llmc::codegen
