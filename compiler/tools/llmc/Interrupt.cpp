#include "compiler/tools/llmc/Interrupt.h"

#include "compiler/driver/JitCache.h"

#include <atomic>
#include <csignal>
#include <unistd.h>

using namespace llmc::tools;

static std::atomic<llmc_context *> running = nullptr;
static std::atomic<decltype(llmc_api::set_cancel)> cancel = nullptr;
static std::atomic<bool> interrupted = false;

static void onSignal(int signal) {
  llmc_context *context = running;
  if (context && !interrupted.exchange(true)) {
    cancel.load()(context, 1);
    return;
  }
  llmc::removeUnfinishedEntry();
  _exit(128 + signal);
}

void llmc::tools::installInterrupts() {
  struct sigaction action = {};
  action.sa_handler = onSignal;
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

CancelScope::CancelScope(const llmc_api &api, llmc_context *context) {
  cancel = api.set_cancel;
  running = context;
}

CancelScope::~CancelScope() { running = nullptr; }

bool llmc::tools::isInterrupted() { return interrupted; }
void llmc::tools::forgetInterrupt() { interrupted = false; }
