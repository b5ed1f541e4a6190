// One test of `llmc bench`: some sequences, each after `depth` tokens, read a prompt or generate together.
#pragma once

#include "compiler/tools/llmc/Model.h"

#include <string>

namespace llmc::tools {

struct BenchTest {
  int64_t promptTokens = 0, generatedTokens = 0; // of each sequence
  int64_t depth = 0;                             // tokens that each sequence holds before the clock starts
  int64_t sequences = 1;
  int32_t threads = 0;
  std::string sample = "none"; // how each token is drawn: "greedy", "top-k"; "none": not at all, as llama-bench measures

  bool draws() const { return generatedTokens && sample != "none"; }
  int64_t measuredTokens() const { return (promptTokens + generatedTokens) * sequences; }
  int64_t context() const { return depth + promptTokens + generatedTokens + draws(); }
  std::string name() const; // "pp512", "tg128 @ d4096", "tg32 x 16"
};

class BenchRun {
public:
  // Also reads the `depth` tokens, once. `context`: positions of each sequence, if more than the test needs.
  static absl::StatusOr<BenchRun> create(const Model &model, const BenchTest &test, int64_t context);

  Context &context() { return *sequences; }
  absl::StatusOr<double> run(); // seconds

private:
  BenchRun(const BenchTest &test, std::unique_ptr<Context> context, int64_t vocab);
  absl::Status rewind();
  absl::Status eval(int64_t first, int64_t count);
  absl::StatusOr<double> generate();

  BenchTest test;
  std::unique_ptr<Context> sequences;
  std::vector<int32_t> tokens, slots;
};

} // namespace llmc::tools
