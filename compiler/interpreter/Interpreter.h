// The reference interpreter: runs a module of the `llm` dialect in float32 with plain loops. It is the oracle of every
// later step, so it is simple before it is fast: sums in ascending order, no reassociation, no fused multiply-add; weights
// decoded exactly; caches f32 whatever their declaration says. Outputs of a product and queries of attention go to several
// threads, which changes no bit.
//
//   auto weights = FileWeightSource::open(module, directory);
//   auto interpreter = Interpreter::create(module, **weights);
//   Batch batch{.tokens = {2, 651}, .positions = {0, 1}, .slots = {0, 0}, .rows = {1}};
//   auto result = (*interpreter)->step(batch);   // result->logits: [1, vocabulary]
//
// Thread-compatible: one thread at a time. The module and the weight source outlive the interpreter, unchanged.
#pragma once

#include "compiler/interpreter/WeightSource.h"

#include <functional>
#include <variant>

namespace llmc {

// Row-major [rows, columns] of float32. A vector has one row.
struct Matrix {
  int64_t rows = 0, columns = 0;
  std::vector<float> data;

  Matrix() = default;
  Matrix(int64_t rows, int64_t columns) : rows(rows), columns(columns), data(rows * columns) {}
  float *row(int64_t r) { return data.data() + r * columns; }
  const float *row(int64_t r) const { return data.data() + r * columns; }
};

// The tokens of one step: `tokens`, `positions` and `slots` have one entry per token. In each slot positions go on
// where the slot stands, one by one.
struct Batch {
  std::vector<int32_t> tokens, positions, slots;
  // Per token, the tokens that its sequence will have had after the prompt it belongs to: what dynamic and longrope
  // scaling look at. Empty: the sequence's tokens up to the end of this step.
  std::vector<int32_t> lengths;
  std::vector<int32_t> rows; // indices of the tokens whose logits are wanted
  // Per token, its segment. Empty: all 0.
  std::vector<int32_t> tokenTypes;
  // Per token, what position embeddings take for its position. Empty: `positions`.
  std::vector<int32_t> positionIds;
  // Per token of an encoder-decoder's decoder, how much `@encode` has put into its slot. Always filled in.
  std::vector<int32_t> sourceLengths;

  const std::vector<int32_t> &indices(llm::IndexSource source) const;
};

struct StepResult {
  Matrix logits; // [rows wanted, vocabulary]
  Matrix hidden; // [tokens, channels], or [rows wanted, channels]: as the module's @step returns it
};

// What an observer sees: each tensor result of each op, as soon as it is known.
struct Observation {
  mlir::Operation *op;
  unsigned result;
  int64_t layer; // of the model; -1 outside `llm.layers`
  const Matrix &value;
};

class Interpreter {
public:
  // A value while running: a tensor, a weight (decoded on demand), an index, or the batch.
  struct BatchToken {};
  using Value = std::variant<std::shared_ptr<const Matrix>, std::shared_ptr<const WeightRows>, int64_t, BatchToken>;

  static llvm::Expected<std::unique_ptr<Interpreter>> create(mlir::ModuleOp module, WeightSource &weights);
  ~Interpreter();

  // Runs `@step(%batch) -> (logits, hidden)`. On an error the slots stand where they stood.
  // Errors: InvalidInput (a batch or weight that does not fit), Unsupported (an op that is not of the `llm` dialect).
  llvm::Expected<StepResult> step(const Batch &batch);

  // Runs any function of the module; a `!llm.batch` argument is BatchToken and means `batch`. For tests of single ops.
  llvm::Expected<std::vector<Matrix>> call(llvm::StringRef function, llvm::ArrayRef<Value> arguments,
                                           const Batch &batch);

  // Runs `@encode(%batch) -> hidden` of an encoder-decoder over the whole source of each slot. Errors: as `step`.
  llvm::Expected<Matrix> encode(const Batch &batch);

  // Forgets what slot `slot` holds from position `length` on.
  void truncate(int32_t slot, int64_t length);
  int64_t slotLength(int32_t slot) const;

  void setObserver(std::function<void(const Observation &)> observer);

private:
  class Impl;
  explicit Interpreter(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl;
};

} // namespace llmc
