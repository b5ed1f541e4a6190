// The verbs of the command line. Each adds its sub-command to the program and, when it is the one that was named, leaves in
// `chosen` what to do.
#pragma once

#include "compiler/support/ToolStatus.h"

#include <CLI/CLI.hpp>

#include <functional>

namespace llmc::tools {

using Action = std::function<absl::Status()>;

void addImport(CLI::App &program, Action &chosen);
void addCompile(CLI::App &program, Action &chosen);
void addRun(CLI::App &program, Action &chosen);
void addChat(CLI::App &program, Action &chosen);
void addBench(CLI::App &program, Action &chosen);
void addEval(CLI::App &program, Action &chosen);
void addEvalPerplexity(CLI::App &eval, Action &chosen);
void addEvalKld(CLI::App &eval, Action &chosen);
void addEvalChoice(CLI::App &eval, Action &chosen);
void addEvalEmbed(CLI::App &eval, Action &chosen);
void addTokenize(CLI::App &program, Action &chosen);
void addInspect(CLI::App &program, Action &chosen);
void addVerify(CLI::App &program, Action &chosen);
void addBisect(CLI::App &program, Action &chosen);
void addQuantize(CLI::App &program, Action &chosen);

} // namespace llmc::tools
