#include "compiler/interpreter/Interpreter.h"

#include "compiler/interpreter/Evaluate.h"
#include "compiler/support/StatusBridge.h"

#include <map>

using namespace mlir;
using namespace llmc;

class Interpreter::Impl {
public:
  Impl(ModuleOp module, WeightSource &weights) : module(module), evaluator(module, weights) {}

  // What is optional filled in; refuses what does not go on where its slot stands.
  using Lengths = std::map<int32_t, int64_t>;
  llvm::Expected<Batch> checked(const Batch &batch, const Lengths &before) const;
  static void commit(const Batch &batch, Lengths &lengths) {
    for (auto [slot, position] : llvm::zip_equal(batch.slots, batch.positions))
      lengths[slot] = position + 1;
  }

  static int64_t lengthOf(const Lengths &lengths, int32_t slot) {
    auto at = lengths.find(slot);
    return at == lengths.end() ? 0 : at->second;
  }

  ModuleOp module;
  interpreter::Evaluator evaluator;
  Lengths slotLengths, sourceLengths; // tokens of a slot; of its source, which an encoder reads
};

const std::vector<int32_t> &Batch::indices(llm::IndexSource source) const {
  switch (source) {
  case llm::IndexSource::tokens:
    return tokens;
  case llm::IndexSource::positions:
    return positionIds;
  case llm::IndexSource::token_types:
    return tokenTypes;
  case llm::IndexSource::first:
    break;
  }
  llvm_unreachable("first: no list has it");
}

static llvm::Error refuse(const Twine &what) { return makeError(ErrorCode::InvalidInput, "batch: " + what); }

llvm::Expected<Batch> Interpreter::Impl::checked(const Batch &batch, const Lengths &before) const {
  size_t count = batch.tokens.size();
  if (batch.positions.size() != count || batch.slots.size() != count ||
      (!batch.lengths.empty() && batch.lengths.size() != count))
    return refuse("want one position, slot and length per token");
  if ((!batch.tokenTypes.empty() && batch.tokenTypes.size() != count) || (!batch.positionIds.empty() && batch.positionIds.size() != count))
    return refuse("want one token type and position id per token, or none");
  std::map<int32_t, int64_t> ends;
  for (auto [slot, position] : llvm::zip_equal(batch.slots, batch.positions)) {
    if (slot < 0)
      return refuse("slot " + Twine(slot) + " is negative");
    int64_t &end = ends.try_emplace(slot, lengthOf(before, slot)).first->second;
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
  result.sourceLengths.clear();
  for (int32_t slot : batch.slots)
    result.sourceLengths.push_back(static_cast<int32_t>(lengthOf(sourceLengths, slot)));
  if (result.tokenTypes.empty())
    result.tokenTypes.assign(count, 0);
  if (result.positionIds.empty())
    result.positionIds = result.positions;
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
  bool isEncoder = name == "encode" || function->hasAttr(llm::kEncoderAttr);
  auto &lengths = isEncoder ? impl->sourceLengths : impl->slotLengths;
  llvm::Expected<Batch> stepBatch = impl->checked(batch, lengths);
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
  Impl::commit(*stepBatch, lengths);
  return results;
}

llvm::Expected<StepResult> Interpreter::step(const Batch &batch) {
  auto results = call("step", {BatchToken{}}, batch);
  if (!results)
    return results.takeError();
  if (results->size() == 1) // an encoder without a head
    return StepResult{Matrix(), std::move((*results)[0])};
  if (results->size() != 2)
    return makeError(ErrorCode::InvalidInput, "@step: want two results, the logits and the hidden states, or the latter alone");
  return StepResult{std::move((*results)[0]), std::move((*results)[1])};
}

llvm::Expected<Matrix> Interpreter::encode(const Batch &batch) {
  auto results = call("encode", {BatchToken{}}, batch);
  if (!results)
    return results.takeError();
  if (results->size() != 1)
    return makeError(ErrorCode::InvalidInput, "@encode: want one result, the hidden states");
  return std::move((*results)[0]);
}

void Interpreter::truncate(int32_t slot, int64_t length) {
  auto at = impl->slotLengths.find(slot);
  if (at != impl->slotLengths.end())
    at->second = std::clamp<int64_t>(length, 0, at->second);
}

int64_t Interpreter::slotLength(int32_t slot) const { return Impl::lengthOf(impl->slotLengths, slot); }

void Interpreter::setObserver(std::function<void(const Observation &)> observer) {
  impl->evaluator.observer = std::move(observer);
}
