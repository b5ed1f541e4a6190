// llmc-equivalence: does a pipeline of passes keep what random graphs compute? The reference interpreter runs each before and after.
#include "compiler/Registration.h"
#include "compiler/interpreter/Interpreter.h"
#include "compiler/support/StatusBridge.h"
#include "compiler/tools/llmc-equivalence/RandomGraph.h"

#include "mlir/IR/MLIRContext.h"
#include "mlir/IR/OperationSupport.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Pass/PassRegistry.h"
#include "mlir/Tools/Plugins/PassPlugin.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/InitLLVM.h"

#include <cmath>

namespace cl = llvm::cl;
using namespace mlir;
using namespace llmc;

static cl::opt<std::string> pipeline("pipeline", cl::Required, cl::desc("Passes, as llmc-opt's --pass-pipeline has them: builtin.module(func.func(llm-fuse-glu))"));
static cl::opt<uint64_t> graphs("graphs", cl::init(1000), cl::desc("How many graphs (1000)"));
static cl::opt<uint64_t> firstSeed("seed", cl::init(1), cl::desc("Of the first graph; the others follow (1)"));
static cl::opt<double> tolerance("tolerance", cl::init(1e-5), cl::desc("Largest difference, as a part of the output's largest number (1e-5)"));
static cl::opt<uint64_t> leastChanged("least-changed", cl::init(1), cl::desc("Fewer graphs that the pipeline changed are an error: nothing was tested (1)"));
static cl::opt<bool> print("print", cl::desc("Print the graphs and run nothing"));
static cl::list<std::string> plugins("load-pass-plugin", cl::desc("A shared library of passes"));

namespace {

// Two runs: the tokens at once, and in steps. Values that are no numbers, or huge, say nothing about a rewrite.
llvm::Expected<std::vector<Matrix>> outputs(ModuleOp module, WeightSource &weights, bool inSteps) {
  auto interpreter = Interpreter::create(module, weights);
  if (!interpreter)
    return interpreter.takeError();
  const std::vector<int32_t> tokens{1, 5, 0, 2, 4};
  size_t step = inSteps ? 2 : tokens.size();
  std::vector<Matrix> all;
  for (size_t first = 0; first < tokens.size(); first += step) {
    Batch batch;
    for (size_t i = first; i < std::min(first + step, tokens.size()); ++i) {
      batch.tokens.push_back(tokens[i]);
      batch.positions.push_back(static_cast<int32_t>(i));
      batch.slots.push_back(0);
      batch.rows.push_back(static_cast<int32_t>(i - first));
    }
    auto results = (*interpreter)->call("step", {Interpreter::BatchToken{}}, batch);
    if (!results)
      return results.takeError();
    for (Matrix &result : *results)
      all.push_back(std::move(result));
  }
  return all;
}

bool isTame(const std::vector<Matrix> &values) {
  constexpr float kHuge = 1e6f;
  return llvm::all_of(values, [&](const Matrix &matrix) { return llvm::all_of(matrix.data, [&](float x) { return std::fabs(x) < kHuge; }); });
}

double difference(const std::vector<Matrix> &want, const std::vector<Matrix> &got) {
  double worst = 0;
  for (auto [a, b] : llvm::zip_equal(want, got)) {
    double scale = 1e-3, most = 0; // below that, rounding is all that is seen
    for (auto [x, y] : llvm::zip_equal(a.data, b.data)) {
      scale = std::max(scale, std::fabs(double(x)));
      double by = std::fabs(double(x) - double(y));
      most = by <= most ? most : by; // NaN, too
    }
    worst = most / scale <= worst ? worst : most / scale;
  }
  return worst;
}

// No module of ours names a file.
class NoWeights : public WeightSource {
public:
  llvm::Expected<std::shared_ptr<const WeightRows>> load(llm::WeightOp weight, int64_t) override {
    return makeError(ErrorCode::InvalidInput, "@" + weight.getSymName() + ": random graphs have no weights in files");
  }
};

struct Tally {
  uint64_t run = 0, changed = 0, differ = 0;
};

class Checker {
public:
  explicit Checker(MLIRContext &context) : context(context), manager(&context, ModuleOp::getOperationName()) {}

  llvm::Error preparePipeline() {
    std::string said;
    llvm::raw_string_ostream out(said);
    llvm::StringRef inside = llvm::StringRef(pipeline).trim();
    if (!(inside.consume_front("builtin.module(") && inside.consume_back(")")))
      inside = pipeline;
    if (failed(parsePassPipeline(inside, manager, out)))
      return makeError(ErrorCode::InvalidInput, "--pipeline: " + llvm::StringRef(said).split('\n').first);
    return llvm::Error::success();
  }

  // Whether the graph was tame enough to say anything.
  llvm::Expected<bool> check(uint64_t seed) {
    std::string text = randomGraph(seed);
    OwningOpRef<ModuleOp> before = parseSourceString<ModuleOp>(text, ParserConfig(&context));
    if (!before)
      return makeError(ErrorCode::Internal, "seed " + llvm::Twine(seed) + ": the graph is not well formed:\n" + text);
    OwningOpRef<ModuleOp> after = before->clone();
    std::vector<Matrix> wanted[2];
    for (bool inSteps : {false, true}) {
      auto results = outputs(*before, weights, inSteps);
      if (!results)
        return results.takeError();
      wanted[inSteps] = std::move(*results);
      if (!isTame(wanted[inSteps]))
        return false;
    }
    OperationFingerPrint unchanged(*after);
    if (failed(manager.run(*after)))
      return makeError(ErrorCode::Internal, "seed " + llvm::Twine(seed) + ": the pipeline failed on\n" + text);
    ++tally.run;
    tally.changed += OperationFingerPrint(*after) != unchanged;
    for (bool inSteps : {false, true}) {
      auto results = outputs(*after, weights, inSteps);
      if (!results)
        return results.takeError();
      double by = difference(wanted[inSteps], *results);
      if (by <= tolerance)
        continue;
      report(seed, by, inSteps, text, *after);
      break;
    }
    return true;
  }

  const Tally &counts() const { return tally; }

private:
  void report(uint64_t seed, double by, bool inSteps, const std::string &before, ModuleOp after) {
    if (tally.differ++) // one is enough to look at
      return;
    llvm::outs() << "seed " << seed << (inSteps ? ", in steps" : "") << ": the outputs differ by " << llvm::format("%.3g", by)
                 << " of their largest number\n// before\n" << before << "// after\n";
    after.print(llvm::outs());
    llvm::outs() << '\n';
  }

  MLIRContext &context;
  PassManager manager;
  NoWeights weights;
  Tally tally;
};

llvm::Error run(MLIRContext &context) {
  for (const std::string &path : plugins) {
    llvm::Expected<PassPlugin> plugin = PassPlugin::load(path);
    if (!plugin)
      return makeError(ErrorCode::InvalidInput, path + ": " + llvm::toString(plugin.takeError()));
    plugin->registerPassRegistryCallbacks();
  }
  Checker checker(context);
  if (llvm::Error error = checker.preparePipeline())
    return error;
  constexpr uint64_t kMostWild = 10; // seeds for a graph
  uint64_t seed = firstSeed;
  while (checker.counts().run < graphs && seed < firstSeed + kMostWild * graphs)
    if (auto tame = checker.check(seed++); !tame)
      return tame.takeError();
  const Tally &tally = checker.counts();
  llvm::outs() << tally.run << " graphs, " << tally.changed << " changed by the pipeline, " << tally.differ << " differ\n";
  if (tally.differ)
    return makeError(ErrorCode::Internal, "the pipeline changes what graphs compute");
  if (tally.changed < leastChanged)
    return makeError(ErrorCode::InvalidInput, "the pipeline changed " + llvm::Twine(tally.changed) + " graphs, want " + llvm::Twine(leastChanged) +
                                                  " at least (--least-changed): the graphs have nothing that it looks for");
  return llvm::Error::success();
}

} // namespace

int main(int argc, char **argv) {
  llvm::InitLLVM init(argc, argv);
  cl::ParseCommandLineOptions(argc, argv, "llmc-equivalence: passes against the reference interpreter, on random graphs\n");
  if (print) {
    for (uint64_t seed = firstSeed; seed < firstSeed + graphs; ++seed)
      llvm::outs() << "// seed " << seed << '\n' << randomGraph(seed) << '\n';
    return 0;
  }
  registerAllPasses();
  DialectRegistry registry;
  registerAllDialects(registry);
  MLIRContext context(registry, MLIRContext::Threading::DISABLED);
  Error error{ErrorCode::Ok, ""};
  if (llvm::Error failure = run(context))
    error = fromLlvm(std::move(failure));
  if (error.code != ErrorCode::Ok)
    llvm::errs() << "llmc-equivalence: " << error.message << '\n';
  return static_cast<int>(error.code);
}
