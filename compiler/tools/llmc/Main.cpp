// llmc: the command line. Parses arguments, runs the verb, reports an error in one line, exits with its status.
#include "compiler/tools/llmc/Interrupt.h"
#include "compiler/tools/llmc/Suggest.h"
#include "compiler/tools/llmc/Verbs.h"

#include <cstdio>
#include <unistd.h>

using namespace llmc;
using namespace llmc::tools;

extern const char *const llmcBuiltCommit; // cmake/Commit.cmake; "+changes" if the tree had some

namespace {

// Verbs of the plan that no build has yet.
void addRefused(CLI::App &program, Action &chosen, const char *name) {
  CLI::App *verb = program.add_subcommand(name, "(not supported yet)")->group("");
  verb->prefix_command();
  verb->callback([=, &chosen] {
    chosen = [=] { return notSupported(std::string("llmc ") + name + " is not supported yet; see llmc --help for what is"); };
  });
}

void addVerbs(CLI::App &program, Action &chosen) {
  for (auto add : {addImport, addCompile, addRun, addChat, addBench, addEval, addTokenize, addInspect, addVerify, addBisect, addQuantize})
    add(program, chosen);
  addRefused(program, chosen, "serve");
  program.require_subcommand(1);
  program.set_version_flag("--version", std::string("llmc " LLMC_VERSION ", commit ") + llmcBuiltCommit);
  program.footer("SRC is a Hugging Face directory, a .gguf or a .mlir; MODEL is a SRC (compiled just in time, cached) or a compiled .so.\n"
                 "\n"
                 "Examples:\n"
                 "  llmc run model.gguf -p 'The capital of France is' -n 32\n"
                 "  llmc compile model.gguf -o model.so --embed-weights\n"
                 "  llmc run model.so -p 'Once upon a time' --temp 0\n"
                 "  llmc bench model.so -p 512 -n 128\n"
                 "\n"
                 "Exit status: 0 done, 1 a mistake in the arguments or files, 2 a failure of ours, 3 not supported.");
}

int reportMistake(const CLI::App &program, const CLI::ParseError &error) {
  std::string hint = suggestion(program);
  fprintf(stderr, "llmc: %s%s\n", error.what(), hint.empty() ? "; see --help" : ("; did you mean " + hint + "?").c_str());
  return 1;
}

int report(const absl::Status &status) {
  bool flushed = fflush(stdout) == 0;
  if (!status.ok())
    fprintf(stderr, "llmc: %s\n", std::string(status.message()).c_str());
  else if (!flushed)
    perror("llmc: standard output");
  return status.ok() && !flushed ? 1 : exitStatus(status);
}

} // namespace

int main(int argc, char **argv) {
  installInterrupts();
  CLI::App program("llmc compiles language models to native code and runs them", "llmc");
  Action chosen;
  addVerbs(program, chosen);
  try {
    program.parse(argc, argv);
  } catch (const CLI::Success &help) { // --help, --version
    return program.exit(help);
  } catch (const CLI::ParseError &error) {
    return reportMistake(program, error);
  }
  return report(chosen());
}
