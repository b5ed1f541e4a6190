// From what the user named to an open model: a library as it is, a source through the just-in-time cache.
#pragma once

#include "compiler/driver/CompileOptions.h"
#include "compiler/tools/llmc/Model.h"
#include "compiler/tools/llmc/Options.h"

namespace llmc::tools {

// Whether `path` is a compiled model: an ELF file.
bool isLibrary(const std::string &path);
// Errors: exit 1 if there is no such file, or if it is compiled already.
absl::Status checkSource(const std::string &path);

// Compiles with progress on stderr. `source` is not a library.
absl::Status compileSource(const std::string &source, CompileOptions options);

// What the options ask of a compilation that writes `output`; but for the calibration.
CompileOptions compileOptions(const ModelOptions &options, const std::string &output);

// What `options.calibrate` tells of the source, measured now or found in the cache.
struct Calibration {
  std::string path;                // of CompileOptions::calibration; empty if no text was named
  std::shared_ptr<void> keepAlive; // the file stays as long as this does
};
absl::StatusOr<Calibration> calibrated(const ModelOptions &options);

// Errors: exit 1 if there is no such file, or if the options contradict a library that is compiled already; those of the compiler.
absl::StatusOr<std::unique_ptr<Model>> openModel(const ModelOptions &options);

} // namespace llmc::tools
