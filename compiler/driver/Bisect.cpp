#include "compiler/driver/Bisect.h"

#include "compiler/driver/Compile.h"
#include "compiler/support/StatusBridge.h"

#include "mlir/IR/OperationSupport.h"
#include "mlir/Pass/Pass.h"

#include <cmath>
#include <limits>
#include <numeric>

using namespace mlir;
using namespace llmc;

namespace {

Batch batchOf(const std::vector<int32_t> &tokens) {
  Batch batch;
  batch.tokens = tokens;
  batch.slots.assign(tokens.size(), 0);
  batch.positions.resize(tokens.size());
  std::iota(batch.positions.begin(), batch.positions.end(), 0);
  batch.rows = batch.positions;
  return batch;
}

// The function of that name, or the version of it that takes the most tokens.
std::string largestVersion(ModuleOp module, StringRef name) {
  std::string result;
  int64_t most = 0;
  for (auto function : module.getOps<func::FuncOp>()) {
    if (function.getName() == name)
      return name.str();
    auto limit = function->getAttrOfType<IntegerAttr>("llm.max_tokens");
    if (limit && limit.getInt() > most && function.getName().starts_with((name + "_").str()))
      most = limit.getInt(), result = function.getName().str();
  }
  return result;
}

// Everything that the module makes of the tokens.
llvm::Expected<std::vector<Matrix>> outputs(ModuleOp module, WeightSource &weights, const std::vector<int32_t> &tokens) {
  auto interpreter = Interpreter::create(module, weights);
  if (!interpreter)
    return interpreter.takeError();
  std::vector<Matrix> all;
  for (const char *name : {"encode", "step"}) {
    std::string function = largestVersion(module, name);
    if (function.empty())
      continue;
    auto results = (*interpreter)->call(function, {Interpreter::BatchToken{}}, batchOf(tokens));
    if (!results)
      return results.takeError();
    for (Matrix &result : *results)
      all.push_back(std::move(result));
  }
  return all;
}

double difference(const std::vector<Matrix> &want, const std::vector<Matrix> &got) {
  constexpr double none = std::numeric_limits<double>::infinity();
  if (want.size() != got.size())
    return none;
  double worst = 0;
  for (auto [a, b] : llvm::zip_equal(want, got)) {
    double scale = 1e-30, most = 0;
    if (a.rows != b.rows || a.columns != b.columns)
      return none;
    for (auto [x, y] : llvm::zip_equal(a.data, b.data)) {
      scale = std::max(scale, std::fabs(double(x)));
      most = std::max(most, std::fabs(double(x) - double(y)));
      if (std::isnan(x) != std::isnan(y))
        return none;
    }
    worst = std::max(worst, most / scale);
  }
  return worst;
}

class Bisector {
public:
  Bisector(ModuleOp module, WeightSource &weights, const std::vector<int32_t> &tokens, double tolerance)
      : module(module), weights(weights), tokens(tokens), tolerance(tolerance), seen(module) {}

  llvm::Error remember() {
    auto results = outputs(module, weights, tokens);
    if (!results)
      return results.takeError();
    wanted = std::move(*results);
    return llvm::Error::success();
  }

  void after(StringRef phase, Pass *pass, Operation *on) {
    if (isDone() || pass->getArgument().empty()) // adaptors, which hold passes on functions
      return;
    OperationFingerPrint now(module);
    if (now == seen)
      return;
    seen = now;
    auto function = dyn_cast<func::FuncOp>(on);
    BisectStep step{phase.str(), pass->getArgument().str(), function ? "@" + function.getName().str() : ""};
    auto results = outputs(module, weights, tokens);
    if (results)
      step.difference = difference(wanted, *results);
    else
      found.broken = llvm::toString(results.takeError());
    found.differs = found.broken || !(step.difference <= tolerance);
    found.steps.push_back(std::move(step));
  }

  bool isDone() const { return found.differs; }
  Bisection take() { return std::move(found); }

private:
  ModuleOp module;
  WeightSource &weights;
  const std::vector<int32_t> &tokens;
  double tolerance;
  OperationFingerPrint seen;
  std::vector<Matrix> wanted;
  Bisection found;
};

} // namespace

llvm::Expected<Bisection> llmc::bisect(ModuleOp module, WeightSource &weights, const std::vector<int32_t> &tokens, double tolerance,
                                       const CompileOptions &options) {
  module.getContext()->disableMultithreading(); // between two passes on functions, the module is looked at as a whole
  Bisector bisector(module, weights, tokens, tolerance);
  if (llvm::Error error = bisector.remember())
    return std::move(error);
  for (const char *phase : {"simplify", "fuse", "quantize", "specialize"}) {
    if (bisector.isDone() || (StringRef(phase) == "quantize" && options.quantize.empty()))
      continue;
    if (llvm::Error error = runPhase(module, phase, options, [&](Pass *pass, Operation *on) { bisector.after(phase, pass, on); }))
      return std::move(error);
  }
  return bisector.take();
}
