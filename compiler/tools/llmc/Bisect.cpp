// llmc bisect: which pass first changes what a model computes.
#include "compiler/tools/llmc/OpenModel.h"
#include "compiler/tools/llmc/Service.h"
#include "compiler/tools/llmc/Verbs.h"

#include <cstdio>

using namespace llmc;
using namespace llmc::tools;

namespace {

struct Options {
  ModelOptions model;
  TokenOptions tokens;
  double tolerance = 1e-3;
};

absl::Status bisect(const Options &options) {
  if (isLibrary(options.model.model))
    return invalidArgument(options.model.model + ": want the source that it was compiled from; a library holds no passes");
  LLMC_RETURN_IF_ERROR(checkQuantize(options.model));
  std::vector<int32_t> tokens{1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 3, 1};
  if (options.tokens.given()) {
    LLMC_ASSIGN(given, readTokens(options.tokens));
    tokens = std::move(given);
  }
  LLMC_ASSIGN(service, toStatus(loadService()));
  LLMC_ASSIGN(found, toStatus(service->bisect(options.model.model, tokens, options.tolerance, compileOptions(options.model, ""))));
  for (const PassCheck &step : found.steps)
    printf("%-10s %-32s %-16s %.2g\n", step.phase.c_str(), step.pass.c_str(), step.on.c_str(), step.difference);
  if (!found.differs) {
    printf("no pass changes the outputs by more than %g of their largest number\n", options.tolerance);
    return absl::OkStatus();
  }
  const PassCheck &last = found.steps.back();
  std::string what = found.broken.empty() ? "changes the outputs by " + std::to_string(last.difference) + " of their largest number"
                                          : "leaves a module that can't run: " + found.broken;
  return absl::InternalError(last.pass + " (phase " + last.phase + (last.on.empty() ? "" : ", on " + last.on) + ") is the first pass that " + what);
}

} // namespace

void tools::addBisect(CLI::App &program, Action &chosen) {
  auto options = std::make_shared<Options>();
  CLI::App *verb = program.add_subcommand("bisect", "Which pass first changes what a model computes, by the reference interpreter");
  verb->add_option("SRC", options->model.model, "A Hugging Face directory, .gguf or .mlir")->required();
  addCompilerOptions(*verb, options->model);
  addTokenOptions(*verb, options->tokens);
  verb->add_option("--tolerance", options->tolerance, "Largest difference of an output, as a part of its largest number (0.001)")->check(CLI::PositiveNumber);
  verb->footer("Prints the passes that changed the module, in order, and how far the outputs then are from the imported module's; ends at the first that\n"
               "is beyond the tolerance, with exit status 2. Passes behind the specialize phase are compared by `llmc verify`.\n\n"
               "Example:\n  llmc bisect model --pass-plugin MyPass.so --pipeline 'builtin.module(my-pass)'");
  verb->callback([=, &chosen] { chosen = [=] { return bisect(*options); }; });
}
