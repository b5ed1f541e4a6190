// llmc verify: each phase of the compiler, then the compiled code, against the reference interpreter on the imported module.
#include "compiler/tools/llmc/OpenModel.h"
#include "compiler/tools/llmc/Service.h"
#include "compiler/tools/llmc/Softmax.h"
#include "compiler/tools/llmc/Verbs.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

using namespace llmc;
using namespace llmc::tools;

namespace {

struct Options {
  ModelOptions model;
  ContextOptions context;
  TokenOptions tokens;
  double tolerance = 1e-3;
};

struct Difference {
  double worst = 0;           // largest absolute difference
  double scale = 0;           // largest absolute value of the reference
  double meanDivergence = 0;  // KL, nats
  int64_t agreed = 0, rows = 0, worstRow = 0;
};

Difference compare(const Verification &reference, const std::vector<float> &got) {
  Difference result;
  int64_t vocab = reference.vocab;
  result.rows = int64_t(reference.logits.size()) / vocab;
  for (int64_t row = 0; row < result.rows; ++row) {
    const float *want = reference.logits.data() + row * vocab, *have = got.data() + row * vocab;
    for (int64_t i = 0; i < vocab; ++i) {
      result.scale = std::max(result.scale, std::fabs(double(want[i])));
      if (double difference = std::fabs(double(want[i]) - have[i]); difference > result.worst)
        result.worst = difference, result.worstRow = row;
    }
    result.meanDivergence += divergence(want, have, vocab) / double(result.rows);
    result.agreed += argmax(want, vocab) == argmax(have, vocab);
  }
  return result;
}

absl::Status reportPhases(const Verification &reference) {
  for (const PhaseCheck &phase : reference.phases) {
    printf("%-10s %lld values, largest difference %.2g of its value's largest number%s%s\n", phase.phase.c_str(),
           static_cast<long long>(phase.values), phase.worst, phase.worstAt.empty() ? "" : ", at ", phase.worstAt.c_str());
    if (!phase.firstWrong.empty())
      return absl::InternalError("after " + phase.phase + " the first value that differs is " + phase.firstWrong);
  }
  return absl::OkStatus();
}

void print(const char *mode, const Difference &difference) {
  printf("%-10s largest difference %.3g (logits up to %.3g, after token %lld), mean KL %.3g, top-1 %lld of %lld\n", mode,
         difference.worst, difference.scale, static_cast<long long>(difference.worstRow), difference.meanDivergence,
         static_cast<long long>(difference.agreed), static_cast<long long>(difference.rows));
}

absl::StatusOr<Difference> runMode(const Options &options, bool exact, bool portable, const std::vector<int32_t> &tokens,
                                   const Verification &reference) {
  ModelOptions own = options.model;
  own.exact = exact;
  if (exact)
    own.cacheType.clear();
  if (portable)
    own.targets = {"cpu:generic"};
  LLMC_ASSIGN(model, openModel(own));
  LLMC_ASSIGN(context, Context::create(*model, int64_t(tokens.size()), options.context.threads));
  std::vector<float> logits(reference.logits.size());
  LLMC_RETURN_IF_ERROR(context->eval(tokens.data(), int64_t(tokens.size()), logits.data()));
  return compare(reference, logits);
}

absl::Status checkExact(const Options &options, const char *name, bool portable, const std::vector<int32_t> &tokens,
                        const Verification &reference) {
  LLMC_ASSIGN(exact, runMode(options, true, portable, tokens, reference));
  print(name, exact);
  if (!(exact.worst <= options.tolerance * std::max(exact.scale, 1.0)))
    return absl::InternalError(std::string("the ") + name + " code differs from the interpreter by " + std::to_string(exact.worst) +
                               ", more than --tolerance " + std::to_string(options.tolerance) + " of the largest logit");
  return absl::OkStatus();
}

absl::Status verify(const Options &options) {
  if (isLibrary(options.model.model))
    return notSupported(options.model.model + ": checking a compiled library is not supported yet; give the source it was compiled from");
  LLMC_ASSIGN(service, toStatus(loadService()));
  std::vector<int32_t> tokens{1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 3, 1};
  if (options.tokens.given()) {
    LLMC_ASSIGN(given, readTokens(options.tokens));
    tokens = std::move(given);
  }
  CompileOptions compile;
  compile.allowOutside = options.model.allowOutside;
  compile.pipeline = options.model.pipeline;
  compile.disabledPasses = options.model.disabledPasses;
  compile.passPlugins = options.model.passPlugins;
  LLMC_ASSIGN(reference, toStatus(service->verify(options.model.model, tokens, options.tolerance, compile)));
  LLMC_RETURN_IF_ERROR(reportPhases(reference));
  if (options.model.targets.empty())
    LLMC_RETURN_IF_ERROR(checkExact(options, "portable", true, tokens, reference));
  LLMC_RETURN_IF_ERROR(checkExact(options, "exact", false, tokens, reference));
  LLMC_ASSIGN(usual, runMode(options, false, false, tokens, reference));
  print("default", usual);
  return absl::OkStatus();
}

} // namespace

void tools::addVerify(CLI::App &program, Action &chosen) {
  auto options = std::make_shared<Options>();
  CLI::App *verb = program.add_subcommand("verify", "Compare each phase of the compiler, and its code, with the reference interpreter");
  addModelOptions(*verb, options->model);
  addTokenOptions(*verb, options->tokens);
  verb->add_option("--tolerance", options->tolerance, "Largest difference, as a part of the largest number of a value (0.001)")->check(CLI::PositiveNumber);
  addContextOptions(*verb, options->context);
  verb->footer("Example:\n  llmc verify model.gguf --tokens 2,651,9");
  verb->callback([=, &chosen] { chosen = [=] { return verify(*options); }; });
}
