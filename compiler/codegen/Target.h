// Targets of code generation: on CPUs, levels of the x86-64 psABI, by features, never by a CPU's name; on GPUs, compute capabilities.
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
  int64_t compute = 0;   // 90 for sm_90, on a GPU

  bool isDevice() const { return threads != 0; }
  std::string fullName() const { return (isDevice() ? "cuda:" : "cpu:") + name; }
};

// Every level of CPUs that we have, best first.
llvm::ArrayRef<Target> knownTargets();
// Those of GPUs, the newest first. Code for one runs on all newer ones.
llvm::ArrayRef<Target> knownDevices();

// "cpu" and "cpu:LEVEL" for each of those, then those of GPUs, for messages.
std::string targetNames();

// "cpu": the best level that this machine has; "cpu:x86-64-v4-amx", "cpu:x86-64-v4-bf16", "cpu:x86-64-v4", "cpu:x86-64-v3", "cpu:generic":
// that level. "cuda:sm_90" and others: NVIDIA GPUs of that compute capability and later ones; "cuda": the least that we have. Several may be
// given in one string, separated by commas; the result is sorted, CPUs first, each kind best first, without repeats, and holds a CPU: without
// one among the names, this machine's. For tests there is "cpu:x86-64-v4-amx-emulated", which runs what has x86-64-v4-bf16.
// Errors: InvalidInput on an unknown name; Unsupported for GPUs before sm_80, and for sm_90a and other sets of one GPU's own instructions.
llvm::Expected<std::vector<Target>> parseTargets(llvm::ArrayRef<std::string> names);
// One name of those.
llvm::Expected<Target> parseTarget(llvm::StringRef name);

} // namespace llmc::codegen
