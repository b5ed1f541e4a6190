// What can be asked of a compilation. Plain C++, so that the tools need no header of MLIR to fill it in.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace llmc {

// What is written: the module after a phase, code of one target (of a GPU, if there is one), or the whole artifact.
enum class Emit { Llm, Tiles, Llvm, Asm, Object, Ptx, SharedLibrary };

struct CompileOptions {
  std::string output;                   // path of the artifact or text; "-" is stdout for text
  Emit emit = Emit::SharedLibrary;
  std::vector<std::string> targets;     // "cpu" (this machine, the default), "cpu:x86-64-v3", "cuda:sm_90", … (compiler/codegen/Target.h)
  bool exact = false;                   // float32 throughout
  std::string quantize;                 // q8, q6, q5, q4, q4a (passes/quantization/Schemes.h); empty: weights keep their formats
  std::vector<std::string> quantizeKeep; // patterns (* ? [a-z]) of tensors, named as in the source, that keep their formats
  std::string calibration;              // with `quantize`: the file that calibrate() wrote (compiler/driver/Calibrate.h)
  std::string cacheType;                // of attention caches: f32, f16, q8_0; empty: as the mode says (docs/architecture/numerics.md)
  std::string accuracy;                 // JSON for the metadata: how far the quantised model is from its source
  bool embedWeights = false;            // appended to the library; else a file beside it, `output` with .weights for .so
  bool allowOutside = false;            // assets may lie outside the module's directory
  bool sourceIsModule = false;          // a .mlir that people may have written: what a pass refuses is theirs to mend
  std::string kernels = "mlir";         // mlir | halide: those that it has | auto: those that were faster (docs/howto/AddAHalideKernel.md)
  std::string compileFrom;              // start at this phase: the source is a module that compileTo wrote before
  std::string compileTo;                // stop after this phase (compiler/pipeline/Pipeline.h) and write the module
  std::string pipeline;                 // replaces the pass pipeline up to the schedule phase, textual
  std::vector<std::string> disabledPasses; // passes, or decisions PASS.OPTION, to leave out (compiler/pipeline/DisablePasses.h)
  std::vector<std::string> familyPlugins; // shared libraries that register model families, loaded before the import
  std::vector<std::string> passPlugins; // shared libraries of passes, run where `pipeline` names them
  std::vector<int64_t> stepTokens;      // largest T of each version of the step; empty: 1, 512
  bool profile = false;                 // steps tell where their time goes (llmc bench --profile)
  int optimize = 3;                     // LLVM's level, 0 … 3
  bool timing = false, printAfterAll = false, printAfterChange = false, statistics = false;
  std::string printAfter;               // a pass's name
  std::string reproducer;               // write a crash reproducer here
  // Called with a line such as "packing weights" and a fraction done, from the calling thread. May be empty.
  std::function<void(const std::string &what, double fraction)> progress;
  // Told what the user should know though nothing is wrong, one line each. May be empty.
  std::function<void(const std::string &what)> note;
};

} // namespace llmc
