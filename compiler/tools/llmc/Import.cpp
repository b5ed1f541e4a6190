// llmc import: a checkpoint becomes a model.mlir.
#include "compiler/tools/llmc/Options.h"
#include "compiler/tools/llmc/Service.h"
#include "compiler/tools/llmc/Verbs.h"

using namespace llmc;
using namespace llmc::tools;

void tools::addImport(CLI::App &program, Action &chosen) {
  struct Options {
    ImportRequest request;
    bool noCopy = false;
  };
  auto options = std::make_shared<Options>();
  CLI::App *verb = program.add_subcommand("import", "Write a checkpoint as a module of the llm dialect");
  verb->add_option("SRC", options->request.source, "A Hugging Face directory or a .gguf")->required();
  verb->add_option("-o,--output", options->request.output, "The .mlir to write ('-': standard output); its files go into a directory beside it")
      ->required();
  verb->add_flag("--no-copy", options->noCopy, "Name the files where they lie; compiling then needs --allow-outside");
  addFamilyPlugins(*verb, options->request.familyPlugins);
  verb->footer("Example:\n  llmc import Llama-3.2-1B -o model.mlir   # writes model.mlir and model.files/");
  verb->callback([=, &chosen] {
    chosen = [=]() -> absl::Status {
      LLMC_ASSIGN(service, toStatus(loadService()));
      options->request.copyFiles = !options->noCopy;
      return toStatus(service->import(options->request));
    };
  });
}
