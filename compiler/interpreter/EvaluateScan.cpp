// The ops of LLMScanOps.td: plain loops over tokens.
#include "compiler/interpreter/Evaluate.h"
#include "compiler/interpreter/Failures.h"
#include "compiler/interpreter/Kernels.h"

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

llvm::Error Evaluator::unitNorm(llm::UnitNormOp op, Scope &scope) {
  Matrix y = matrix(op.getX(), scope);
  kernels::rmsNorm(y, std::vector<float>(op.getGroup(), 1.0f), toFloat(op.getEps()), 0.0f);
  set(op.getY(), std::move(y), scope);
  return llvm::Error::success();
}
