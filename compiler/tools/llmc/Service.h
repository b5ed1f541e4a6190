// The border between this program and the compile side: what needs MLIR stands behind it, in llmc-service.so, and is loaded when it
// is first asked for. A warm `llmc run` never pays for it (about 50 ms and 90 MB).
#pragma once

#include "compiler/driver/CompileOptions.h"
#include "runtime/support/Error.h"

#include <cstdint>
#include <string>
#include <vector>

namespace llmc::tools {

struct ImportRequest {
  std::string source;
  std::string output;        // path of the .mlir; "-": stdout
  bool copyFiles = true;     // put the files that the module names beside it, so that it stands alone
  std::vector<std::string> familyPlugins; // as CompileOptions has them
};

// One phase of the compiler against the imported module, both by the reference interpreter (compiler/driver/ComparePhases.h).
struct PhaseCheck {
  std::string phase;
  int64_t values = 0;
  double worst = 0;
  std::string worstAt, firstWrong;
};

struct Verification {
  std::vector<PhaseCheck> phases;
  std::vector<float> logits; // of the imported module, [tokens, vocab]
  int64_t vocab = 0;
};

// What `llmc bisect` prints of a pass (compiler/driver/Bisect.h).
struct PassCheck {
  std::string phase, pass, on;
  double difference = 0;
};

struct PassSearch {
  std::vector<PassCheck> steps;
  std::string broken; // why the module does not run after the last step; empty: it does
  bool differs = false;
};

class Service {
public:
  virtual ~Service() = default;

  // Imports a source and writes the module.
  virtual Expected<void> import(const ImportRequest &request) = 0;
  // Imports and compiles a source.
  virtual Expected<void> compile(const std::string &source, const CompileOptions &options) = 0;
  // Imports a source, lets it read the texts and writes what CompileOptions::calibration names (compiler/driver/Calibrate.h).
  virtual Expected<void> calibrate(const std::string &source, const std::vector<std::string> &texts, const CompileOptions &options,
                                   const std::string &output) = 0;
  // Imports a GGUF file and writes another, in fewer bits (compiler/driver/QuantizeFile.h).
  virtual Expected<void> quantizeFile(const std::string &source, const CompileOptions &options, const std::string &output) = 0;
  // The phases of the default pipeline and the passes of each, for people.
  virtual std::string describePipeline(bool exact, const std::string &kernels) = 0;
  // What the imported module says, as JSON: sizes, weights, states, assets (docs of `llmc inspect`).
  virtual Expected<std::string> describe(const std::string &source) = 0;
  // Real path of the tokenizer that a .mlir names; InvalidInput if it names none.
  virtual Expected<std::string> tokenizerOf(const std::string &module, bool allowOutside) = 0;
  // Likewise of its chat template; empty if it names none.
  virtual Expected<std::string> chatTemplateOf(const std::string &module, bool allowOutside) = 0;
  // Runs the reference interpreter over the tokens of one sequence: as imported, and after each phase that it can run.
  virtual Expected<Verification> verify(const std::string &source, const std::vector<int32_t> &tokens, double tolerance,
                                        const CompileOptions &options) = 0;
  // The same after each pass, up to the first that changes an output by more than `tolerance` of its largest number.
  virtual Expected<PassSearch> bisect(const std::string &source, const std::vector<int32_t> &tokens, double tolerance,
                                      const CompileOptions &options) = 0;
};

// The directory of our libraries, from where this program lies. Empty if unknown.
std::string libraryDirectory();

// Loads the service at the first call. Errors: Internal if it is not where it was installed.
Expected<Service *> loadService();

} // namespace llmc::tools

// The one symbol of llmc-service.so.
extern "C" llmc::tools::Service *llmc_tools_service();
