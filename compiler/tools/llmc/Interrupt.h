// Ctrl-C: the first stops the work in hand and lets the program end in good order; the second ends it at once.
#pragma once

#include "llmc/loader.h"

namespace llmc::tools {

// Handles SIGINT and SIGTERM from now on: outside of a CancelScope they remove what is half written and end the program.
void installInterrupts();

// While it lives, an interrupt cancels the context's work instead.
class CancelScope {
public:
  CancelScope(const llmc_api &api, llmc_context *context);
  ~CancelScope();
};

bool isInterrupted();
// The next Ctrl-C counts as the first again.
void forgetInterrupt();

} // namespace llmc::tools
