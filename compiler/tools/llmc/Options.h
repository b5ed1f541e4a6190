// Options that several verbs share.
#pragma once

#include "compiler/support/ToolStatus.h"

#include <CLI/CLI.hpp>

#include <cstdint>
#include <string>
#include <vector>

namespace llmc::tools {

// Which model, and how it is compiled if it is a source.
struct ModelOptions {
  std::string model;
  bool exact = false, noCache = false, allowOutside = false;
  std::string cacheType; // of attention caches; empty: as the mode says
  std::string quantize; // a scheme; empty: weights as they are
  std::vector<std::string> quantizeKeep, calibrate; // with it: patterns of tensors; texts
  std::string kernels = "mlir";
  bool profile = false; // see CompileOptions
  std::vector<std::string> targets, passPlugins, familyPlugins, disabledPasses;
  std::string pipeline;
  int32_t hugePages = 0; // enum llmc_huge_pages
  std::string device;    // llmc_open_options.device
};
void addModelOptions(CLI::App &verb, ModelOptions &options);
void addFamilyPlugins(CLI::App &verb, std::vector<std::string> &plugins);
// Those of them that are about compiling.
void addCompilerOptions(CLI::App &verb, ModelOptions &options);
// --calibrate and --quantize-keep, which they include.
void addQuantizeOptions(CLI::App &verb, ModelOptions &options);
// Errors: exit 1 if those are given without --quantize, or a text is missing.
absl::Status checkQuantize(const ModelOptions &options);
// Errors: exit 1 if --exact and --cache-type contradict each other.
absl::Status checkCacheType(const ModelOptions &options);
// Errors: exit 1 on a target that is none, 3 on one that is not supported.
absl::Status checkTargets(const std::vector<std::string> &targets);

// How a context is made.
struct ContextOptions {
  int32_t threads = 0; // 0: the CPUs of this process
  int64_t context = 0; // 0: as llmc_context_options says
};
void addContextOptions(CLI::App &verb, ContextOptions &options);

// Token ids given as such: nothing is added to them.
struct TokenOptions {
  std::vector<int64_t> list;
  std::string file;
  bool given() const { return !list.empty() || !file.empty(); }
};
void addTokenOptions(CLI::App &verb, TokenOptions &options);
// At least one id. Errors: exit 1, naming the option.
absl::StatusOr<std::vector<int32_t>> readTokens(const TokenOptions &options);
// Ids as users write them: separated by commas or blanks, in brackets or not.
absl::StatusOr<std::vector<int32_t>> parseTokens(std::string_view text, std::string_view what);

// Declares options that exist in the plan and in no build yet; naming one ends with exit status 3.
//   Unsupported refused(verb, {{"--grammar", "grammars"}});
class Unsupported {
public:
  struct Option {
    const char *name, *what;
    bool isFlag = false;
  };
  Unsupported(CLI::App &verb, std::initializer_list<Option> options);
  absl::Status check() const;

private:
  std::vector<std::pair<CLI::Option *, std::string>> options;
};

// Text from a file, fit for one line: as it is if it is plain UTF-8, else escaped and cut.
std::string readableText(std::string_view text);
// "1.2 GB", "640 kB": for people.
std::string bytesText(int64_t bytes);
// A file's or standard input's ("-") text.
absl::StatusOr<std::string> readInput(const std::string &path);
std::string joinIds(const std::vector<int32_t> &ids, const char *separator);

} // namespace llmc::tools
