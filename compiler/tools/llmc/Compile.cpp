// llmc compile: a source becomes a library, or any stage on the way.
#include "compiler/tools/llmc/CompareModels.h"
#include "compiler/tools/llmc/Service.h"
#include "compiler/tools/llmc/Verbs.h"

#include <cstdio>
#include <map>
#include <unistd.h>

using namespace llmc;
using namespace llmc::tools;

namespace {

struct Options {
  ModelOptions model;
  CompileOptions compile;
  std::string emit = "so";
  std::string evaluate; // text
  bool printPipeline = false;
  std::unique_ptr<Unsupported> refused;
};

const std::map<std::string, Emit> emitNames = {{"llm", Emit::Llm}, {"tiles", Emit::Tiles}, {"llvm", Emit::Llvm},
                                               {"asm", Emit::Asm}, {"obj", Emit::Object},  {"ptx", Emit::Ptx},
                                               {"so", Emit::SharedLibrary}};

absl::Status checkOutput(const CompileOptions &compile) {
  bool isLibrary = compile.emit == Emit::SharedLibrary && compile.compileTo.empty();
  if (compile.output.empty())
    return invalidArgument("-o: want the file to write");
  if (isLibrary && compile.output == "-")
    return invalidArgument("-o -: a library can't be written to standard output");
  if (compile.emit == Emit::Object && compile.output == "-" && isatty(STDOUT_FILENO))
    return invalidArgument("-o -: an object file does not belong on a terminal");
  return absl::OkStatus();
}

// How far the quantised model, or one with other caches, is from its source in exact mode, as JSON.
absl::StatusOr<std::string> evaluate(const Options &options) {
  ModelOptions source = options.model;
  source.quantize.clear(), source.quantizeKeep.clear(), source.calibrate.clear(), source.cacheType.clear();
  source.exact = true;
  LLMC_ASSIGN(text, readInput(options.evaluate));
  LLMC_ASSIGN(reference, openModel(source));
  LLMC_ASSIGN(model, openModel(options.model));
  LLMC_ASSIGN(result, compareModels(*model, *reference, text, 0, 0));
  return Json{{"mean_kld", result.mean},           {"p99_kld", result.p99},
              {"top1_agreement", result.agreement}, {"tokens", result.tokens},
              {"perplexity", result.perplexity},    {"source_perplexity", result.referencePerplexity}}
      .dump();
}

absl::Status checkEvaluate(const Options &options) {
  if (options.evaluate.empty())
    return absl::OkStatus();
  if (options.model.quantize.empty() && options.model.cacheType.empty())
    return invalidArgument("--evaluate: compares a quantised model with its source; want --quantize or --cache-type too");
  if (options.compile.emit != Emit::SharedLibrary || !options.compile.compileTo.empty() || !options.compile.compileFrom.empty())
    return invalidArgument("--evaluate: its figures are kept in a library; leave --emit, --compile-to and --compile-from out");
  if (options.evaluate == "-")
    return invalidArgument("--evaluate -: want a file");
  return absl::OkStatus();
}

absl::Status compile(Options &options) {
  LLMC_RETURN_IF_ERROR(options.refused->check());
  options.compile.emit = emitNames.at(options.emit);
  LLMC_RETURN_IF_ERROR(checkTargets(options.model.targets));
  if (options.printPipeline) {
    LLMC_ASSIGN(service, toStatus(loadService()));
    fputs(service->describePipeline(options.model.exact, options.model.kernels).c_str(), stdout);
    return absl::OkStatus();
  }
  if (options.model.model.empty())
    return invalidArgument("want a source: a Hugging Face directory, a .gguf or a .mlir");
  LLMC_RETURN_IF_ERROR(checkOutput(options.compile));
  LLMC_RETURN_IF_ERROR(checkSource(options.model.model));
  LLMC_RETURN_IF_ERROR(checkQuantize(options.model));
  LLMC_RETURN_IF_ERROR(checkCacheType(options.model));
  LLMC_RETURN_IF_ERROR(checkEvaluate(options));
  LLMC_ASSIGN(calibration, calibrated(options.model));
  CompileOptions request = options.compile;
  if (!options.evaluate.empty()) {
    LLMC_ASSIGN(accuracy, evaluate(options));
    request.accuracy = accuracy;
  }
  request.targets = options.model.targets;
  request.exact = options.model.exact;
  request.quantize = options.model.quantize;
  request.quantizeKeep = options.model.quantizeKeep;
  request.cacheType = options.model.cacheType;
  request.calibration = calibration.path;
  request.allowOutside = options.model.allowOutside;
  request.kernels = options.model.kernels;
  request.profile = options.model.profile;
  request.pipeline = options.model.pipeline;
  request.disabledPasses = options.model.disabledPasses;
  request.passPlugins = options.model.passPlugins;
  request.familyPlugins = options.model.familyPlugins;
  request.optimize = options.compile.optimize;
  return compileSource(options.model.model, request);
}

void addInspection(CLI::App &verb, Options &options) {
  const char *group = "Looking inside";
  CompileOptions &compile = options.compile;
  verb.add_option("--emit", options.emit, "What to write: a module (llm, tiles, llvm), code (asm, obj; of a GPU: ptx) or the library (so)")
      ->check(CLI::IsMember({"llm", "tiles", "llvm", "asm", "obj", "ptx", "so"}).description("{llm,tiles,llvm,asm,obj,ptx,so}"))
      ->group(group);
  verb.add_option("--compile-to", compile.compileTo, "Stop after this phase and write the module")->group(group);
  verb.add_option("--compile-from", compile.compileFrom, "Start at this phase: SRC is a .mlir that --compile-to wrote")->group(group);
  verb.add_flag("--print-pipeline", options.printPipeline, "Print the phases and their passes, and stop")->group(group);
  verb.add_option("--print-ir-after", compile.printAfter, "Print the module after this pass")->group(group);
  verb.add_flag("--print-ir-after-all", compile.printAfterAll, "Print the module after every pass")->group(group);
  verb.add_flag("--print-ir-after-change", compile.printAfterChange, "Print the module after every pass that changed it")->group(group);
  verb.add_flag("--mlir-timing", compile.timing, "Print how long each pass took")->group(group);
  verb.add_flag("--mlir-pass-statistics", compile.statistics, "Print what each pass counted")->group(group);
  verb.add_option("--mlir-pass-pipeline-crash-reproducer", compile.reproducer, "Write a reproducer here when a pass fails")->group(group);
  verb.add_flag("--profile", options.model.profile, "The library can tell where its time goes: llmc bench model.so --profile")->group(group);
  verb.add_option("--step-tokens", compile.stepTokens, "The largest number of tokens of each version of the step: 1,512")
      ->delimiter(',')
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
      ->check(CLI::Range(1, 65536))
      ->group(group);
}

} // namespace

void tools::addCompile(CLI::App &program, Action &chosen) {
  auto options = std::make_shared<Options>();
  CLI::App *verb = program.add_subcommand("compile", "Compile a source to one shared library");
  verb->add_option("SRC", options->model.model, "A Hugging Face directory, a .gguf or a .mlir");
  verb->add_option("-o,--output", options->compile.output, "The file to write; the weights go beside it, as .weights");
  verb->add_flag("--embed-weights", options->compile.embedWeights, "Append the weights to the library: one file");
  addCompilerOptions(*verb, options->model);
  verb->add_option("--evaluate", options->evaluate, "With --quantize or --cache-type: compare with the source on this text; llmc inspect shows the figures")
      ->group("Compiling");
  verb->add_option("-O", options->compile.optimize, "LLVM's optimisation level: -O0 … -O3 (default)")->check(CLI::Range(0, 3))->group("Compiling");
  addInspection(*verb, *options);
  options->refused = std::make_unique<Unsupported>(
      *verb, std::initializer_list<Unsupported::Option>{{"--lora", "adapters are"}});
  verb->footer("Examples:\n"
               "  llmc compile model.gguf -o model.so\n"
               "  llmc compile model.mlir -o model.so --embed-weights --target cpu:x86-64-v3,cpu:x86-64-v4\n"
               "  llmc compile model.gguf -o model.so --target cuda:sm_90\n"
               "  llmc compile model.gguf --emit tiles -o -\n"
               "  llmc compile model.gguf --compile-to fuse -o fused.mlir && llmc compile fused.mlir --compile-from specialize -o model.so");
  verb->callback([=, &chosen] { chosen = [=] { return compile(*options); }; });
}
