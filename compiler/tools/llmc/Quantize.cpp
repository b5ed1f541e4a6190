// llmc quantize: a source in fewer bits, as a library or as a model file.
#include "compiler/tools/llmc/OpenModel.h"
#include "compiler/tools/llmc/Progress.h"
#include "compiler/tools/llmc/Service.h"
#include "compiler/tools/llmc/Verbs.h"

using namespace llmc;
using namespace llmc::tools;

namespace {

struct Options {
  ModelOptions model;
  std::string output;
};

absl::Status writeFile(const Options &options, const CompileOptions &compile) {
  LLMC_ASSIGN(service, toStatus(loadService()));
  Progress progress;
  CompileOptions own = compile;
  own.progress = [&](const std::string &what, double fraction) { progress.update(what, fraction); };
  own.note = [&](const std::string &what) { progress.note(what); };
  return toStatus(service->quantizeFile(options.model.model, own, options.output));
}

absl::Status quantize(const Options &options) {
  bool toLibrary = options.output.ends_with(".so"), toFile = options.output.ends_with(".gguf");
  if (!toLibrary && !toFile)
    return invalidArgument("-o " + options.output + ": want a library (model.so) or, of a GGUF file, a model file (model.gguf)");
  LLMC_RETURN_IF_ERROR(checkSource(options.model.model));
  LLMC_RETURN_IF_ERROR(checkQuantize(options.model));
  LLMC_ASSIGN(calibration, calibrated(options.model));
  CompileOptions compile = compileOptions(options.model, options.output);
  compile.calibration = calibration.path;
  return toLibrary ? compileSource(options.model.model, compile) : writeFile(options, compile);
}

} // namespace

void tools::addQuantize(CLI::App &program, Action &chosen) {
  auto options = std::make_shared<Options>();
  CLI::App *verb = program.add_subcommand("quantize", "Write a model in fewer bits: a library, or of a GGUF file another");
  verb->add_option("SRC", options->model.model, "A Hugging Face directory, a .gguf or a .mlir")->required();
  verb->add_option("-o,--output", options->output, "A .so, or a .gguf that other programs read too")->required();
  verb->add_option("--scheme", options->model.quantize, "q8, q6, q5, q4 (symmetric) or q4a (asymmetric)")->required()->check(CLI::IsMember({"q8", "q6", "q5", "q4", "q4a"}));
  addQuantizeOptions(*verb, options->model);
  verb->add_flag("--allow-outside", options->model.allowOutside, "A .mlir may name files outside of its directory")->group("Compiling");
  addFamilyPlugins(*verb, options->model.familyPlugins);
  verb->footer("Examples:\n"
               "  llmc quantize f32.gguf -o q4.gguf --scheme q4 --calibrate text.txt\n"
               "  llmc quantize checkpoint/ -o model.so --scheme q4a");
  verb->callback([=, &chosen] { chosen = [=] { return quantize(*options); }; });
}
