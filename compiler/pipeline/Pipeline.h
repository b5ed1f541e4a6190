// The default pipeline: one list of phases, each a few passes. `--compile-to` names them, `llmc compile --print-pipeline` prints them.
#pragma once

#include "mlir/Pass/PassManager.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"

#include <vector>

namespace llmc {

struct PipelineOptions {
  bool exact = false;
  std::string quantize;            // a scheme (passes/quantization/Schemes.h); empty: weights stay as they are
  std::vector<std::string> quantizeKeep; // patterns of tensors that stay all the same
  std::string cacheType;           // of attention caches: f32, f16, q8_0; empty: as the mode says
  std::vector<int64_t> stepTokens; // largest T of each version of the step; empty: 1, 512
  int64_t fewTokens = 0;           // then, for quantised weights: and so many
  bool fewOfHalves = false;        // for those of bf16 and f16, too
  std::string stepPrefix = "step_"; // of the names of lowered step functions
  std::string kernels = "mlir";    // mlir | halide | auto
  std::vector<std::string> disabled; // decisions of passes to leave out, PASS.OPTION; passes themselves: DisablePasses.h
  bool device = false;             // the target is a GPU: `tile.target` has blocks of threads
  bool profile = false;            // steps tell when each of their loops begins and ends
};

struct Phase {
  llvm::StringRef name;
  llvm::StringRef does;
  void (*build)(mlir::OpPassManager &pm, const PipelineOptions &options);
};

// simplify, fuse, quantize, specialize, schedule, lower: in this order. The first four do not depend on the target.
llvm::ArrayRef<Phase> phases();
const Phase *findPhase(llvm::StringRef name);

} // namespace llmc
