#include "compiler/interpreter/Interpreter.h"

#include "compiler/interpreter/Evaluate.h"
#include "compiler/support/StatusBridge.h"

#include <map>

using namespace mlir;
using namespace llmc;

class Interpreter::Impl {
public:
  Impl(ModuleOp module, WeightSource &weights) : module(module), evaluator(module, weights) {}

  // `lengths` filled in; refuses what does not go on where its slot stands.
  llvm::Expected<Batch> checked(const Batch &batch) const;
  void commit(const Batch &batch) {
    for (auto [slot, position] : llvm::zip_equal(batch.slots, batch.positions))
      slotLengths[slot] = position + 1;
  }

  int64_t lengthOf(int32_t slot) const {
    auto at = slotLengths.find(slot);
    return at == slotLengths.end() ? 0 : at->second;
  }

  ModuleOp module;
  interpreter::Evaluator evaluator;
  std::map<int32_t, int64_t> slotLengths;
};

static llvm::Error refuse(const Twine &what) { return makeError(ErrorCode::InvalidInput, "batch: " + what); }

llvm::Expected<Batch> Interpreter::Impl::checked(const Batch &batch) const {
  size_t count = batch.tokens.size();
  if (batch.positions.size() != count || batch.slots.size() != count ||
      (!batch.lengths.empty() && batch.lengths.size() != count))
    return refuse("want one position, slot and length per token");
  std::map<int32_t, int64_t> ends;
  for (auto [slot, position] : llvm::zip_equal(batch.slots, batch.positions)) {
    if (slot < 0)
      return refuse("slot " + Twine(slot) + " is negative");
    int64_t &end = ends.try_emplace(slot, lengthOf(slot)).first->second;
    if (position != end)
      return refuse("slot " + Twine(slot) + " goes on at position " + Twine(end) + ", got " + Twine(position));
    ++end;
  }
  for (int32_t row : batch.rows)
    if (row < 0 || row >= static_cast<int64_t>(count))
      return refuse("row " + Twine(row) + " is not one of " + Twine(count) + " tokens");
  Batch result = batch;
  if (result.lengths.empty())
    for (int32_t slot : batch.slots)
      result.lengths.push_back(ends.at(slot));
  return result;
}

Interpreter::Interpreter(std::unique_ptr<Impl> impl) : impl(std::move(impl)) {}
Interpreter::~Interpreter() = default;

llvm::Expected<std::unique_ptr<Interpreter>> Interpreter::create(ModuleOp module, WeightSource &weights) {
  return std::unique_ptr<Interpreter>(new Interpreter(std::make_unique<Impl>(module, weights)));
}

static bool fits(Type type, const Interpreter::Value &value) {
  auto *matrix = std::get_if<std::shared_ptr<const Matrix>>(&value);
  auto tensor = dyn_cast<RankedTensorType>(type);
  if (isa<llm::BatchType>(type))
    return std::holds_alternative<Interpreter::BatchToken>(value);
  if (type.isIndex())
    return std::holds_alternative<int64_t>(value);
  return matrix && tensor && tensor.getRank() == 2 && tensor.isDynamicDim(0) &&
         tensor.getDimSize(1) == (*matrix)->columns;
}

llvm::Expected<std::vector<Matrix>> Interpreter::call(StringRef name, ArrayRef<Value> arguments, const Batch &batch) {
  auto function = impl->module.lookupSymbol<func::FuncOp>(name);
  if (!function)
    return makeError(ErrorCode::InvalidInput, "the module has no function @" + name);
  FunctionType type = function.getFunctionType();
  if (type.getNumInputs() != arguments.size() || !llvm::all_of_zip(type.getInputs(), arguments, fits))
    return makeError(ErrorCode::InvalidInput, "@" + name + ": the arguments do not fit its type");
  llvm::Expected<Batch> stepBatch = impl->checked(batch);
  if (!stepBatch)
    return stepBatch.takeError();
  auto values = impl->evaluator.run(function, arguments, *stepBatch);
  if (!values)
    return values.takeError();
  std::vector<Matrix> results;
  for (const Value &value : *values) {
    auto *matrix = std::get_if<std::shared_ptr<const Matrix>>(&value);
    if (!matrix)
      return makeError(ErrorCode::Unsupported, "@" + name + ": want tensors as results");
    results.push_back(**matrix);
  }
  impl->commit(*stepBatch);
  return results;
}

llvm::Expected<StepResult> Interpreter::step(const Batch &batch) {
  auto results = call("step", {BatchToken{}}, batch);
  if (!results)
    return results.takeError();
  if (results->size() != 2)
    return makeError(ErrorCode::InvalidInput, "@step: want two results, the logits and the hidden states");
  return StepResult{std::move((*results)[0]), std::move((*results)[1])};
}

void Interpreter::truncate(int32_t slot, int64_t length) {
  auto at = impl->slotLengths.find(slot);
  if (at != impl->slotLengths.end())
    at->second = std::clamp<int64_t>(length, 0, at->second);
}

int64_t Interpreter::slotLength(int32_t slot) const { return impl->lengthOf(slot); }

void Interpreter::setObserver(std::function<void(const Observation &)> observer) {
  impl->evaluator.observer = std::move(observer);
}
