#include "compiler/driver/ComparePhases.h"

#include "compiler/driver/Compile.h"
#include "compiler/support/StatusBridge.h"

#include "llvm/Support/FormatVariadic.h"

#include <cmath>
#include <map>
#include <numeric>

using namespace mlir;

namespace llmc {
namespace {

// Tokens that the one-token version is fed: each costs a pass over all weights.
constexpr size_t kSingleTokens = 3;

//===--- names ---===//

void nameEveryOp(ModuleOp module) {
  for (auto function : module.getOps<func::FuncOp>()) {
    int64_t count = 0;
    function.walk([&](Operation *op) {
      std::string name = llvm::formatv("@{0} {1} {2}", function.getName(), op->getName().getStringRef(), count++);
      op->setLoc(NameLoc::get(StringAttr::get(op->getContext(), name)));
    });
  }
}

// The name under which a result's value is known, with the number of the result among those of that name; empty if it has none.
std::string nameOf(Operation *op, unsigned result) {
  Location location = op->getLoc();
  unsigned before = result;
  if (auto fused = dyn_cast<FusedLoc>(location)) {
    if (fused.getMetadata() != StringAttr::get(op->getContext(), "results") || result >= fused.getLocations().size())
      return "";
    location = fused.getLocations()[result];
    before = llvm::count(fused.getLocations().take_front(result), location);
  }
  auto name = dyn_cast<NameLoc>(location);
  if (!name)
    return "";
  return name.getName().str() + (before ? " result " + std::to_string(before) : "");
}

//===--- runs ---===//

using ValueKey = std::pair<std::string, int64_t>; // name, layer
using Values = std::map<ValueKey, Matrix>;

Batch batchOf(const std::vector<int32_t> &tokens, size_t first, size_t count) {
  Batch batch;
  batch.tokens.assign(tokens.begin() + ptrdiff_t(first), tokens.begin() + ptrdiff_t(first + count));
  batch.slots.assign(count, 0);
  batch.positions.resize(count);
  std::iota(batch.positions.begin(), batch.positions.end(), int32_t(first));
  batch.lengths.assign(count, int32_t(tokens.size())); // as of one prompt, whatever the steps
  batch.rows.resize(count);
  std::iota(batch.rows.begin(), batch.rows.end(), 0);
  return batch;
}

class Comparer {
public:
  Comparer(WeightSource &weights, const std::vector<int32_t> &tokens, double tolerance)
      : weights(weights), tokens(tokens), tolerance(tolerance) {}

  // Keeps every value of `@step`; returns its logits.
  llvm::Expected<Matrix> remember(ModuleOp module) {
    auto results = run(module, "step", tokens.size(), tokens.size(), [&](const Observation &seen, size_t) {
      if (std::string name = nameOf(seen.op, seen.result); !name.empty())
        known[{name, seen.layer}] = seen.value;
    });
    if (!results)
      return results.takeError();
    return std::move((*results)[0]);
  }

  // Compares the values of `function`, fed `count` tokens, `atOnce` in a step.
  llvm::Expected<PhaseComparison> compare(ModuleOp module, const std::string &phase, StringRef function, size_t count, size_t atOnce) {
    PhaseComparison result{.phase = phase};
    auto done = run(module, function, count, atOnce, [&](const Observation &seen, size_t first) { compareOne(seen, first, result); });
    if (!done)
      return done.takeError();
    return result;
  }

private:
  using Observer = std::function<void(const Observation &, size_t firstToken)>;

  // Results of the last step.
  llvm::Expected<std::vector<Matrix>> run(ModuleOp module, StringRef function, size_t count, size_t atOnce, const Observer &observer) {
    auto interpreter = Interpreter::create(module, weights);
    if (!interpreter)
      return interpreter.takeError();
    size_t first = 0;
    (*interpreter)->setObserver([&](const Observation &seen) { observer(seen, first); });
    std::vector<Matrix> last;
    for (; first < count; first += atOnce) {
      auto results = (*interpreter)->call(function, {Interpreter::BatchToken{}}, batchOf(tokens, first, std::min(atOnce, count - first)));
      if (!results)
        return results.takeError();
      if (results->empty())
        return makeError(ErrorCode::InvalidInput, "@" + function + ": want results");
      last = std::move(*results);
    }
    return last;
  }

  void compareOne(const Observation &seen, size_t firstToken, PhaseComparison &result) {
    std::string name = nameOf(seen.op, seen.result);
    auto at = known.find({name, seen.layer});
    if (at == known.end())
      return;
    const Matrix &want = at->second, &got = seen.value;
    ++result.compared;
    std::string where = name + (seen.layer < 0 ? "" : ", layer " + std::to_string(seen.layer));
    // Every value of a step has a row per token, or none of its rows belongs to one (a constant).
    if (got.columns != want.columns || got.rows + int64_t(firstToken) > want.rows) {
      if (result.firstWrong.empty())
        result.firstWrong = llvm::formatv("{0}: {1} x {2}, want {3} x {4}", where, got.rows, got.columns, want.rows, want.columns);
      return;
    }
    double scale = 1e-30;
    for (float value : want.data)
      scale = std::max(scale, std::fabs(double(value)));
    for (int64_t r = 0; r < got.rows; ++r)
      for (int64_t c = 0; c < got.columns; ++c)
        compareNumbers(got.row(r)[c], want.row(r + int64_t(firstToken))[c], scale, where, r + int64_t(firstToken), c, result);
  }

  void compareNumbers(double got, double want, double scale, const std::string &where, int64_t token, int64_t channel, PhaseComparison &result) {
    bool alike = got == want || (std::isnan(got) && std::isnan(want));
    double difference = alike ? 0 : std::fabs(got - want) / scale;
    bool wrong = !(difference <= tolerance); // NaN, too
    if (!(difference > result.worst) && !(wrong && result.firstWrong.empty()))
      return;
    std::string place = llvm::formatv("{0}, token {1}, channel {2}", where, token, channel);
    if (difference > result.worst)
      result.worst = difference, result.worstAt = place;
    if (wrong && result.firstWrong.empty())
      result.firstWrong = llvm::formatv("{0}: got {1}, want {2} (numbers there are up to {3})", place, got, want, scale);
  }

  WeightSource &weights;
  const std::vector<int32_t> &tokens;
  double tolerance;
  Values known;
};

// The versions of the step: {name, largest number of tokens}.
std::vector<std::pair<std::string, size_t>> versions(ModuleOp module) {
  std::vector<std::pair<std::string, size_t>> result;
  for (auto function : module.getOps<func::FuncOp>())
    if (auto most = function->getAttrOfType<IntegerAttr>("llm.max_tokens"))
      result.emplace_back(function.getName().str(), size_t(most.getInt()));
  return result;
}

} // namespace

llvm::Expected<Comparison> comparePhases(ModuleOp module, WeightSource &weights, const std::vector<int32_t> &tokens, double tolerance,
                                         const CompileOptions &options) {
  nameEveryOp(module);
  Comparer comparer(weights, tokens, tolerance);
  Comparison comparison;
  auto logits = comparer.remember(module);
  if (!logits)
    return logits.takeError();
  comparison.logits = std::move(*logits);
  auto add = [&](const std::string &phase, StringRef function, size_t count, size_t atOnce) -> llvm::Error {
    auto result = comparer.compare(module, phase, function, count, atOnce);
    if (!result)
      return result.takeError();
    comparison.phases.push_back(std::move(*result));
    return llvm::Error::success();
  };
  auto differs = [&] { return !comparison.phases.empty() && !comparison.phases.back().firstWrong.empty(); };
  for (const char *phase : {"simplify", "fuse", "specialize"}) {
    if (llvm::Error error = runPhase(module, phase, options))
      return std::move(error);
    bool specialized = llvm::StringRef(phase) == "specialize";
    if (!specialized)
      if (llvm::Error error = add(phase, "step", tokens.size(), tokens.size()))
        return std::move(error);
    for (const auto &[name, most] : specialized ? versions(module) : std::vector<std::pair<std::string, size_t>>())
      if (llvm::Error error = add(most == 1 ? "one token" : name, name, most == 1 ? std::min(tokens.size(), kSingleTokens) : tokens.size(), most))
        return std::move(error);
    if (differs())
      break;
  }
  return comparison;
}

} // namespace llmc
