// Runs a function of a module in the reference interpreter and prints what it returns: for tests and for looking.
//
//   llmc-interpret model.mlir --tokens 2,651,9 --rows 2            the logits after the third token
//   llmc-interpret op.mlir --function f --tokens 1,2,3 --chunks 2,1     f in two steps, on one state
//
// Prints, per step and result, a line `step S result R: ROWS x COLUMNS` and one line per row.
#include "compiler/Registration.h"
#include "compiler/interpreter/Interpreter.h"
#include "compiler/support/StatusBridge.h"

#include "mlir/IR/MLIRContext.h"
#include "mlir/Parser/Parser.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/InitLLVM.h"
#include "llvm/Support/Path.h"

#include <map>
#include <numeric>

using namespace mlir;
using namespace llmc;
namespace cl = llvm::cl;

static cl::opt<std::string> inputFile(cl::Positional, cl::Required, cl::desc("model.mlir"));
static cl::opt<std::string> functionName("function", cl::init("step"), cl::desc("Function to run"));
static cl::list<int> tokens("tokens", cl::CommaSeparated, cl::desc("Token ids"));
static cl::list<int> positions("positions", cl::CommaSeparated,
                               cl::desc("Default: each slot's tokens in order, from 0"));
static cl::list<int> slots("slots", cl::CommaSeparated, cl::desc("Default: 0"));
static cl::list<int> lengths("lengths", cl::CommaSeparated, cl::desc("Default: what the slot holds after the step"));
static cl::list<int> rows("rows", cl::CommaSeparated,
                          cl::desc("Tokens of each step whose logits are wanted; default: all"));
static cl::list<int> source("source", cl::CommaSeparated, cl::desc("Tokens that @encode reads into slot 0 before"));
static cl::list<int> chunks("chunks", cl::CommaSeparated, cl::desc("Tokens per step; default: all in one"));
static cl::opt<unsigned> digits("digits", cl::init(4), cl::desc("Significant digits printed"));
static cl::opt<bool> observe("observe", cl::desc("Print every op's results too"));
static cl::opt<bool> allowOutside("allow-outside", cl::desc("Let the module name files outside its directory"));

static void print(const Matrix &matrix) {
  std::string format = "%." + std::to_string(digits) + "g";
  for (int64_t r = 0; r < matrix.rows; ++r) {
    llvm::outs() << '[';
    for (int64_t c = 0; c < matrix.columns; ++c)
      llvm::outs() << (c ? ", " : "") << llvm::format(format.c_str(), matrix.row(r)[c] + 0.0f); // -0 reads 0
    llvm::outs() << "]\n";
  }
}

static void printObservation(const Observation &seen) {
  llvm::outs() << seen.op->getName() << '#' << seen.result << " layer " << seen.layer << ": " << seen.value.rows
               << " x " << seen.value.columns << '\n';
  print(seen.value);
}

static Batch wholeBatch() {
  Batch batch{.tokens = tokens, .positions = positions, .slots = slots, .lengths = lengths, .rows = {}};
  if (batch.slots.empty())
    batch.slots.assign(batch.tokens.size(), 0);
  std::map<int32_t, int32_t> next;
  if (batch.positions.empty())
    for (int32_t slot : batch.slots)
      batch.positions.push_back(next[slot]++);
  return batch;
}

static Batch sourceBatch() {
  Batch batch{.tokens = source};
  batch.slots.assign(source.size(), 0);
  batch.positions.resize(source.size());
  std::iota(batch.positions.begin(), batch.positions.end(), 0);
  return batch;
}

static std::vector<int32_t> part(const std::vector<int32_t> &all, size_t first, size_t count) {
  first = std::min(first, all.size());
  return {all.begin() + first, all.begin() + std::min(first + count, all.size())};
}

static Batch chunkOf(const Batch &all, size_t first, size_t count) {
  Batch batch{.tokens = part(all.tokens, first, count),
              .positions = part(all.positions, first, count),
              .slots = part(all.slots, first, count),
              .lengths = part(all.lengths, first, count),
              .rows = rows};
  if (batch.rows.empty())
    for (size_t t = 0; t < batch.tokens.size(); ++t)
      batch.rows.push_back(t);
  return batch;
}

static llvm::Error runSteps(Interpreter &interpreter, func::FuncOp function) {
  std::vector<Interpreter::Value> arguments(function.getNumArguments(), Interpreter::BatchToken{});
  Batch all = wholeBatch();
  std::vector<int> sizes = chunks.empty() ? std::vector<int>{static_cast<int>(all.tokens.size())} : chunks;
  size_t first = 0;
  for (auto [step, size] : llvm::enumerate(sizes)) {
    auto results = interpreter.call(functionName, arguments, chunkOf(all, first, std::max(size, 0)));
    if (!results)
      return results.takeError();
    for (auto [r, matrix] : llvm::enumerate(*results)) {
      llvm::outs() << "step " << step << " result " << r << ": " << matrix.rows << " x " << matrix.columns << '\n';
      print(matrix);
    }
    first += std::max(size, 0);
  }
  return llvm::Error::success();
}

static llvm::Error run(MLIRContext &context) {
  OwningOpRef<ModuleOp> module = parseSourceFile<ModuleOp>(inputFile, &context);
  if (!module)
    return makeError(ErrorCode::InvalidInput, inputFile + ": not a valid module");
  auto function = module->lookupSymbol<func::FuncOp>(functionName);
  if (!function)
    return makeError(ErrorCode::InvalidInput, inputFile + ": has no function @" + functionName);
  auto weights = FileWeightSource::open(*module, llvm::sys::path::parent_path(inputFile), allowOutside);
  if (!weights)
    return weights.takeError();
  auto interpreter = Interpreter::create(*module, **weights);
  if (!interpreter)
    return interpreter.takeError();
  if (observe)
    (*interpreter)->setObserver(printObservation);
  if (!source.empty())
    if (auto hidden = (*interpreter)->encode(sourceBatch()); !hidden)
      return hidden.takeError();
  return runSteps(**interpreter, function);
}

int main(int argc, char **argv) {
  llvm::InitLLVM init(argc, argv);
  cl::ParseCommandLineOptions(argc, argv, "llmc-interpret: the reference interpreter\n");
  DialectRegistry registry;
  registerAllDialects(registry);
  MLIRContext context(registry);
  Error error{ErrorCode::Ok, ""};
  if (llvm::Error failure = run(context))
    error = fromLlvm(std::move(failure));
  if (error.code != ErrorCode::Ok)
    llvm::errs() << "llmc-interpret: " << error.message << '\n';
  return static_cast<int>(error.code);
}
