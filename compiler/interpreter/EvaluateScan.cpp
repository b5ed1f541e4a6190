// The ops of LLMScanOps.td: plain loops over tokens.
#include "compiler/interpreter/Evaluate.h"
#include "compiler/interpreter/Failures.h"
#include "compiler/interpreter/Kernels.h"
#include "compiler/interpreter/Recurrences.h"

using namespace mlir;
using namespace llmc;
using namespace llmc::interpreter;

//===----------------------------------------------------------------------===//
// Small ops
//===----------------------------------------------------------------------===//

llvm::Error Evaluator::mul(llm::MulOp op, Scope &scope) {
  Matrix y = matrix(op.getX(), scope);
  const Matrix &factor = matrix(op.getFactor(), scope);
  if (llvm::Error error = sameRows(op, {y.rows, factor.rows}))
    return error;
  int64_t group = y.columns / factor.columns;
  for (int64_t t = 0; t < y.rows; ++t)
    for (int64_t c = 0; c < y.columns; ++c)
      y.row(t)[c] *= factor.row(t)[c / group];
  set(op.getY(), std::move(y), scope);
  return llvm::Error::success();
}

llvm::Error Evaluator::scaleChannels(llm::ScaleChannelsOp op, Scope &scope) {
  Matrix y = matrix(op.getX(), scope);
  std::vector<float> weight = vector(op.getWeight(), scope);
  int64_t group = y.columns / weight.size();
  for (int64_t t = 0; t < y.rows; ++t)
    for (int64_t c = 0; c < y.columns; ++c)
      y.row(t)[c] *= weight[c / group];
  set(op.getY(), std::move(y), scope);
  return llvm::Error::success();
}

llvm::Error Evaluator::addBias(llm::AddBiasOp op, Scope &scope) {
  Matrix y = matrix(op.getX(), scope);
  std::vector<float> bias = vector(op.getBias(), scope);
  for (int64_t t = 0; t < y.rows; ++t)
    for (int64_t c = 0; c < y.columns; ++c)
      y.row(t)[c] += bias[c];
  set(op.getY(), std::move(y), scope);
  return llvm::Error::success();
}

llvm::Error Evaluator::mix(llm::MixOp op, Scope &scope) {
  Matrix y = matrix(op.getX(), scope);
  const Matrix &other = matrix(op.getOther(), scope);
  std::vector<float> weight = vector(op.getWeight(), scope);
  if (llvm::Error error = sameRows(op, {y.rows, other.rows}))
    return error;
  for (int64_t t = 0; t < y.rows; ++t)
    for (int64_t c = 0; c < y.columns; ++c)
      y.row(t)[c] = y.row(t)[c] * weight[c] + other.row(t)[c] * (1.0f - weight[c]);
  set(op.getY(), std::move(y), scope);
  return llvm::Error::success();
}

llvm::Error Evaluator::columns(llm::ColumnsOp op, Scope &scope) {
  const Matrix &x = matrix(op.getX(), scope);
  Matrix y(x.rows, llvm::cast<RankedTensorType>(op.getY().getType()).getDimSize(1));
  for (int64_t t = 0; t < y.rows; ++t)
    std::copy_n(x.row(t) + op.getBegin(), y.columns, y.row(t));
  set(op.getY(), std::move(y), scope);
  return llvm::Error::success();
}

llvm::Error Evaluator::concat(llm::ConcatOp op, Scope &scope) {
  int64_t rows = matrix(op.getParts()[0], scope).rows, begin = 0;
  Matrix y(rows, llvm::cast<RankedTensorType>(op.getY().getType()).getDimSize(1));
  for (mlir::Value part : op.getParts()) {
    const Matrix &x = matrix(part, scope);
    if (llvm::Error error = sameRows(op, {rows, x.rows}))
      return error;
    for (int64_t t = 0; t < rows; ++t)
      std::copy_n(x.row(t), x.columns, y.row(t) + begin);
    begin += x.columns;
  }
  set(op.getY(), std::move(y), scope);
  return llvm::Error::success();
}

llvm::Error Evaluator::unitNorm(llm::UnitNormOp op, Scope &scope) {
  Matrix y = matrix(op.getX(), scope);
  kernels::rmsNorm(y, std::vector<float>(op.getGroup(), 1.0f), toFloat(op.getEps()), 0.0f);
  set(op.getY(), std::move(y), scope);
  return llvm::Error::success();
}

//===----------------------------------------------------------------------===//
// Recurrences
//===----------------------------------------------------------------------===//

llvm::Expected<std::map<int32_t, std::vector<float>> *> Evaluator::fixedOf(llm::StatefulOpInterface op, Scope &scope) {
  StringAttr name = op.getStateSymbol().getAttr();
  auto state = module.lookupSymbol<llm::StateOp>(name);
  int64_t layer = index(op.getStateLayer(), scope), entry = layer < 0 ? -1 : state.indexOfLayer(layer);
  if (entry < 0)
    return fail(op, ErrorCode::InvalidInput, "@" + name.getValue() + " has no layer " + Twine(layer));
  auto &layers = fixed[name.getValue()];
  layers.resize(llvm::cast<llm::StateTypeInterface>(state.getType()).getStateLayers());
  return &layers[entry];
}

// The tail takes in `row`, and its oldest goes.
static void pushRow(const float *row, int64_t columns, std::vector<float> &tail) {
  std::copy(tail.begin() + columns, tail.end(), tail.begin());
  std::copy_n(row, columns, tail.end() - columns);
}

static Matrix decoded(const WeightRows &weight) {
  Matrix result(weight.rows(), weight.columns());
  for (int64_t row = 0; row < result.rows; ++row)
    weight.decode(row, {result.row(row), static_cast<size_t>(result.columns)});
  return result;
}

llvm::Error Evaluator::shift(llm::ShiftOp op, Scope &scope) {
  auto slots = fixedOf(llvm::cast<llm::StatefulOpInterface>(op.getOperation()), scope);
  if (!slots)
    return slots.takeError();
  const Matrix &x = matrix(op.getX(), scope);
  if (llvm::Error error = sameRows(op, {static_cast<int64_t>(batch->tokens.size()), x.rows}))
    return error;
  Matrix y(x.rows, x.columns);
  for (int64_t t = 0; t < x.rows; ++t) {
    std::vector<float> &last = (**slots)[batch->slots[t]];
    if (batch->positions[t] == 0)
      last.assign(x.columns, 0.0f);
    llvm::copy(last, y.row(t));
    pushRow(x.row(t), x.columns, last);
  }
  set(op.getY(), std::move(y), scope);
  return llvm::Error::success();
}

llvm::Error Evaluator::causalConv(llm::CausalConvOp op, Scope &scope) {
  auto slots = fixedOf(llvm::cast<llm::StatefulOpInterface>(op.getOperation()), scope);
  if (!slots)
    return slots.takeError();
  const Matrix &x = matrix(op.getX(), scope);
  if (llvm::Error error = sameRows(op, {static_cast<int64_t>(batch->tokens.size()), x.rows}))
    return error;
  std::vector<float> bias = vector(op.getBias(), scope);
  Matrix weight = decoded(*this->weight(op.getWeight(), scope));
  int64_t taps = weight.columns - 1;
  Matrix y(x.rows, x.columns);
  for (int64_t t = 0; t < x.rows; ++t) {
    std::vector<float> &tail = (**slots)[batch->slots[t]];
    if (batch->positions[t] == 0)
      tail.assign(taps * x.columns, 0.0f);
    for (int64_t c = 0; c < x.columns; ++c) {
      float sum = bias.empty() ? 0.0f : bias[c];
      for (int64_t k = 0; k < taps; ++k)
        sum += weight.row(c)[k] * tail[k * x.columns + c];
      y.row(t)[c] = sum + weight.row(c)[taps] * x.row(t)[c];
    }
    pushRow(x.row(t), x.columns, tail);
  }
  if (op.getActivation())
    kernels::activate(*op.getActivation(), y);
  set(op.getY(), std::move(y), scope);
  return llvm::Error::success();
}

llvm::Error Evaluator::scan(llm::ScanOp op, Scope &scope) {
  auto slots = fixedOf(llvm::cast<llm::StatefulOpInterface>(op.getOperation()), scope);
  if (!slots)
    return slots.takeError();
  int64_t tokens = batch->tokens.size();
  recurrences::Operands operands;
  auto take = [&](mlir::Value value) {
    return value ? std::get<std::shared_ptr<const Matrix>>(scope.frame.at(value)) : std::shared_ptr<const Matrix>();
  };
  operands.x = take(op.getX()), operands.input = take(op.getInput()), operands.output = take(op.getOutput());
  operands.beta = take(op.getBeta());
  operands.skip = vector(op.getSkip(), scope);
  for (const auto &value : {operands.x, operands.input, operands.output, operands.beta, take(op.getStep())})
    if (llvm::Error error = value ? sameRows(op, {tokens, value->rows}) : llvm::Error::success())
      return error;
  if (op.getStep()) {
    operands.step = matrix(op.getStep(), scope);
    if (auto limit = op.getStepLimit())
      for (float &step : operands.step.data)
        step = std::clamp(step, static_cast<float>((*limit)[0]), static_cast<float>((*limit)[1]));
  }
  operands.rate = decoded(*weight(op.getA(), scope));
  recurrences::makeRates(op.getForm(), operands.rate);
  Matrix y(tokens, operands.x->columns);
  SmallVector<int64_t> shape = op.getStateShape();
  for (int64_t t = 0; t < tokens; ++t)
    recurrences::update(op.getKind(), operands, shape, t, batch->positions[t] == 0, (**slots)[batch->slots[t]], y.row(t));
  set(op.getY(), std::move(y), scope);
  return llvm::Error::success();
}
