#include "passes/support/Statistic.h"

#include "mlir/Pass/Pass.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/raw_ostream.h"

#include <map>
#include <mutex>
#include <string>

namespace {

struct Counter {
  std::atomic<uint64_t> value = 0;
  const char *description = "";
};

// A map keeps its nodes in place, so that statistics can point into it.
struct Registry {
  std::mutex mutex;
  std::map<std::string, std::map<std::string, Counter>> passes;
};

Registry &registry() {
  static Registry *all = new Registry; // never destroyed: passes may outlive static storage
  return *all;
}

} // namespace

llmc::Statistic::Statistic(mlir::Pass *owner, const char *name, const char *description) {
  std::string pass = owner->getArgument().empty() ? owner->getName().str() : owner->getArgument().str();
  std::lock_guard lock(registry().mutex);
  Counter &counter = registry().passes[pass][name];
  counter.description = description;
  value = &counter.value;
}

void llmc::printStatistics(llvm::raw_ostream &os) {
  std::lock_guard lock(registry().mutex);
  for (auto &[pass, counters] : registry().passes) {
    bool named = false;
    for (auto &[name, counter] : counters) {
      if (counter.value == 0)
        continue;
      if (!std::exchange(named, true))
        os << pass << '\n';
      os << "  (S) " << counter.value << ' ' << name << " - " << counter.description << '\n';
    }
  }
}

// MLIR's own option can't be asked: MlirOptMain destroys the options before it returns.
void llmc::reportStatistics(int count, const char *const *arguments) {
  for (int i = 1; i < count; ++i)
    if (llvm::StringRef(arguments[i]).ltrim('-') == "mlir-pass-statistics")
      return printStatistics(llvm::errs());
}
