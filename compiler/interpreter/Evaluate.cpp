#include "compiler/interpreter/Evaluate.h"
#include "compiler/interpreter/Failures.h"

#include "compiler/interpreter/Kernels.h"
#include "compiler/support/StatusBridge.h"
#include "dialects/llm/CacheLayout.h"
#include "runtime/support/CheckedMath.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "llvm/ADT/ScopeExit.h"
#include "llvm/ADT/TypeSwitch.h"
#include "llvm/Support/Parallel.h"
#include "llvm/Support/raw_ostream.h"

#include <cmath>

using namespace mlir;
using namespace llmc;
using namespace llmc::interpreter;

namespace {

// Calls nest this deep at most: a hostile module may call itself.
constexpr int maxDepth = 32;
// A constant is a test's literal, never a weight.
constexpr int64_t maxConstantElements = 1 << 24;

// A constant read as a weight.
class MatrixRows : public WeightRows {
public:
  explicit MatrixRows(std::shared_ptr<const Matrix> matrix) : matrix(std::move(matrix)) {}
  int64_t rows() const override { return matrix->rows; }
  int64_t columns() const override { return matrix->columns; }
  void decode(int64_t row, MutableArrayRef<float> out) const override {
    llvm::copy(ArrayRef(matrix->row(row), out.size()), out.begin());
  }

private:
  std::shared_ptr<const Matrix> matrix;
};

} // namespace

//===----------------------------------------------------------------------===//
// Operands and results
//===----------------------------------------------------------------------===//

const Matrix &Evaluator::matrix(mlir::Value value, const Scope &scope) {
  return *std::get<std::shared_ptr<const Matrix>>(scope.frame.at(value));
}

int64_t Evaluator::index(mlir::Value value, const Scope &scope) { return std::get<int64_t>(scope.frame.at(value)); }

std::shared_ptr<const WeightRows> Evaluator::weight(mlir::Value value, const Scope &scope) {
  const interpreter::Value &held = scope.frame.at(value);
  if (auto *matrix = std::get_if<std::shared_ptr<const Matrix>>(&held))
    return std::make_shared<MatrixRows>(*matrix);
  return std::get<std::shared_ptr<const WeightRows>>(held);
}

std::vector<float> Evaluator::vector(mlir::Value value, const Scope &scope) {
  if (!value)
    return {};
  std::shared_ptr<const WeightRows> rows = weight(value, scope);
  std::vector<float> result(rows->columns());
  rows->decode(0, result);
  return result;
}

void Evaluator::set(mlir::Value result, Matrix value, Scope &scope) {
  scope.frame[result] = std::make_shared<const Matrix>(std::move(value));
}

void Evaluator::observe(Operation *op, const Scope &scope) const {
  if (!observer)
    return;
  for (OpResult result : op->getResults())
    if (auto *value = std::get_if<std::shared_ptr<const Matrix>>(&scope.frame.at(result)))
      observer({op, result.getResultNumber(), scope.layer, **value});
}

//===----------------------------------------------------------------------===//
// Control
//===----------------------------------------------------------------------===//

llvm::Expected<std::vector<interpreter::Value>>
Evaluator::run(func::FuncOp function, ArrayRef<interpreter::Value> arguments, const Batch &stepBatch) {
  batch = &stepBatch;
  depth = 0;
  auto before = fixed; // what a token overwrites is gone: a step that fails gives it back
  auto results = runBody(function, arguments, /*layer=*/-1);
  if (!results)
    fixed = std::move(before);
  return results;
}

llvm::Expected<std::vector<interpreter::Value>>
Evaluator::runBody(func::FuncOp function, ArrayRef<interpreter::Value> arguments, int64_t layer) {
  if (!function.getBody().hasOneBlock())
    return fail(function, ErrorCode::Unsupported, "want a body of one block");
  if (depth == maxDepth)
    return fail(function, ErrorCode::InvalidInput, "functions call each other more than " + Twine(maxDepth) + " deep");
  ++depth;
  llvm::scope_exit leave([this] { --depth; });
  Scope scope;
  scope.layer = layer;
  Block &body = function.getBody().front();
  for (auto [formal, actual] : llvm::zip_equal(body.getArguments(), arguments))
    scope.frame[formal] = actual;
  for (Operation &op : body.without_terminator()) {
    if (llvm::Error error = evaluate(&op, scope))
      return std::move(error);
    observe(&op, scope);
  }
  std::vector<interpreter::Value> results;
  for (mlir::Value value : body.getTerminator()->getOperands())
    results.push_back(scope.frame.at(value));
  return results;
}

llvm::Error Evaluator::evaluate(Operation *op, Scope &scope) {
  return llvm::TypeSwitch<Operation *, llvm::Error>(op)
      .Case([&](arith::ConstantOp o) { return constant(o, scope); })
      .Case([&](tensor::CastOp o) { return cast(o, scope); })
      .Case([&](func::CallOp o) { return call(o, scope); })
      .Case([&](llm::LayersOp o) { return layers(o, scope); })
      .Case([&](llm::WeightLoadOp o) { return loadWeight(o, scope); })
      .Case([&](llm::SelectRowsOp o) { return selectRows(o, scope); })
      .Case([&](llm::EmbeddingOp o) { return embedding(o, scope); })
      .Case([&](llm::RMSNormOp o) { return rmsNorm(o, scope); })
      .Case([&](llm::LayerNormOp o) { return layerNorm(o, scope); })
      .Case([&](llm::LinearOp o) { return linear(o, scope); })
      .Case([&](llm::ActivationOp o) { return activation(o, scope); })
      .Case([&](llm::GLUOp o) { return glu(o, scope); })
      .Case([&](llm::AddOp o) { return add(o, scope); })
      .Case([&](llm::ScaleOp o) { return scale(o, scope); })
      .Case([&](llm::SoftcapOp o) { return softcap(o, scope); })
      .Case([&](llm::MulOp o) { return mul(o, scope); })
      .Case([&](llm::ScaleChannelsOp o) { return scaleChannels(o, scope); })
      .Case([&](llm::AddBiasOp o) { return addBias(o, scope); })
      .Case([&](llm::MixOp o) { return mix(o, scope); })
      .Case([&](llm::ColumnsOp o) { return columns(o, scope); })
      .Case([&](llm::ConcatOp o) { return concat(o, scope); })
      .Case([&](llm::UnitNormOp o) { return unitNorm(o, scope); })
      .Case([&](llm::ShiftOp o) { return shift(o, scope); })
      .Case([&](llm::CausalConvOp o) { return causalConv(o, scope); })
      .Case([&](llm::ScanOp o) { return scan(o, scope); })
      .Case([&](llm::RopeTableOp o) { return ropeTable(o, scope); })
      .Case([&](llm::RopeOp o) { return rope(o, scope); })
      .Case([&](llm::AttentionOp o) { return attention(o, scope); })
      .Case([&](llm::AppendOp o) { return append(o, scope); })
      .Case([&](llm::CrossAttentionOp o) { return crossAttention(o, scope); })
      .Case([&](llm::RouteOp o) { return route(o, scope); })
      .Case([&](llm::ExpertsOp o) { return experts(o, scope); })
      .Case([&](llm::GroupedLinearOp o) { return groupedLinear(o, scope); })
      .Case([&](llm::ClampOp o) { return clamp(o, scope); })
      .Case([&](llm::LatentAttentionOp o) { return latentAttention(o, scope); })
      .Default([](Operation *o) {
        return fail(o, ErrorCode::Unsupported,
                    "the interpreter runs the llm dialect, func.call, arith.constant and tensor.cast");
      });
}

llvm::Error Evaluator::constant(arith::ConstantOp op, Scope &scope) {
  if (auto integer = dyn_cast<IntegerAttr>(op.getValue())) {
    scope.frame[op.getResult()] = integer.getInt();
    return llvm::Error::success();
  }
  auto dense = dyn_cast<DenseFPElementsAttr>(op.getValue());
  if (!dense || dense.getType().getRank() < 1 || dense.getType().getRank() > 3 ||
      dense.getNumElements() > maxConstantElements)
    return fail(op, ErrorCode::Unsupported, "want an index, or a small vector, matrix or stack of matrices of floats");
  ArrayRef<int64_t> shape = dense.getType().getShape();
  Matrix value(dense.getNumElements() / shape.back(), shape.back());
  for (auto [to, from] : llvm::zip_equal(value.data, dense.getValues<APFloat>()))
    to = toFloat(from);
  set(op.getResult(), std::move(value), scope);
  return llvm::Error::success();
}

llvm::Error Evaluator::cast(tensor::CastOp op, Scope &scope) {
  auto *source = std::get_if<std::shared_ptr<const Matrix>>(&scope.frame.at(op.getSource()));
  auto type = dyn_cast<RankedTensorType>(op.getType());
  if (!source || !type || type.getRank() < 1 || type.getRank() > 2)
    return fail(op, ErrorCode::Unsupported, "only constants and activations of rank 1 or 2 are cast");
  auto fits = [](int64_t want, int64_t got) { return want == ShapedType::kDynamic || want == got; };
  if (!fits(type.getShape().back(), (*source)->columns) ||
      !fits(type.getRank() == 2 ? type.getDimSize(0) : 1, (*source)->rows))
    return fail(op, ErrorCode::InvalidInput, "value is " + Twine((*source)->rows) + " x " + Twine((*source)->columns));
  scope.frame[op.getResult()] = std::shared_ptr(*source);
  return llvm::Error::success();
}

llvm::Error Evaluator::call(func::CallOp op, Scope &scope) {
  std::vector<interpreter::Value> arguments;
  for (mlir::Value operand : op.getOperands())
    arguments.push_back(scope.frame.at(operand));
  auto results = runBody(module.lookupSymbol<func::FuncOp>(op.getCallee()), arguments, scope.layer);
  if (!results)
    return results.takeError();
  for (auto [result, value] : llvm::zip_equal(op.getResults(), *results))
    scope.frame[result] = value;
  return llvm::Error::success();
}

llvm::Error Evaluator::layers(llm::LayersOp op, Scope &scope) {
  std::vector<interpreter::Value> arguments{scope.frame.at(op.getX()), int64_t(0), scope.frame.at(op.getBatch())};
  for (mlir::Value extra : op.getExtra())
    arguments.push_back(scope.frame.at(extra));
  for (auto [layer, kind] : llvm::enumerate(op.getOrder())) {
    arguments[1] = static_cast<int64_t>(layer);
    auto name = llvm::cast<FlatSymbolRefAttr>(op.getKinds()[kind]);
    auto results = runBody(module.lookupSymbol<func::FuncOp>(name.getAttr()), arguments, layer);
    if (!results)
      return results.takeError();
    arguments[0] = results->front();
  }
  scope.frame[op.getY()] = arguments[0];
  return llvm::Error::success();
}

//===----------------------------------------------------------------------===//
// Weights and rows
//===----------------------------------------------------------------------===//

llvm::Error Evaluator::loadWeight(llm::WeightLoadOp op, Scope &scope) {
  auto symbol = module.lookupSymbol<llm::WeightOp>(op.getWeightAttr().getAttr());
  int64_t layer = op.getLayer() ? index(op.getLayer(), scope) : 0;
  int64_t entry = op.getLayer() ? symbol.indexOfLayer(layer) : 0;
  if (entry < 0)
    return fail(op, ErrorCode::InvalidInput, "@" + op.getWeight() + " has no layer " + Twine(layer));
  auto rows = weights.load(symbol, entry);
  if (!rows)
    return rows.takeError();
  scope.frame[op.getValue()] = std::move(*rows);
  return llvm::Error::success();
}

llvm::Error Evaluator::selectRows(llm::SelectRowsOp op, Scope &scope) {
  const Matrix &x = matrix(op.getX(), scope);
  if (x.rows != static_cast<int64_t>(batch->tokens.size()))
    return fail(op, ErrorCode::InvalidInput, "want one row per token, got " + Twine(x.rows));
  Matrix y(batch->rows.size(), x.columns);
  for (auto [r, from] : llvm::enumerate(batch->rows))
    llvm::copy(ArrayRef(x.row(from), x.columns), y.row(r));
  set(op.getY(), std::move(y), scope);
  return llvm::Error::success();
}

llvm::Error Evaluator::embedding(llm::EmbeddingOp op, Scope &scope) {
  std::shared_ptr<const WeightRows> table = weight(op.getTable(), scope);
  std::vector<int32_t> zeros(op.getIndex() == llm::IndexSource::first ? batch->tokens.size() : 0);
  const std::vector<int32_t> &indices = zeros.empty() ? batch->indices(op.getIndex()) : zeros;
  float factor = op.getScale().convertToFloat();
  Matrix y(indices.size(), table->columns());
  for (auto [t, index] : llvm::enumerate(indices)) {
    std::optional<int64_t> row = checkedAdd<int64_t>(index, op.getOffset());
    if (!row || index < 0 || *row >= table->rows())
      return fail(op, ErrorCode::InvalidInput,
                  "index " + Twine(index) + " is outside a table of " + Twine(table->rows()) + " rows");
    table->decode(*row, {y.row(t), static_cast<size_t>(y.columns)});
    if (factor != 1.0f)
      for (int64_t c = 0; c < y.columns; ++c)
        y.row(t)[c] *= factor;
  }
  set(op.getY(), std::move(y), scope);
  return llvm::Error::success();
}

//===----------------------------------------------------------------------===//
// Norms, products, pointwise ops
//===----------------------------------------------------------------------===//

llvm::Error Evaluator::rmsNorm(llm::RMSNormOp op, Scope &scope) {
  Matrix y = matrix(op.getX(), scope);
  kernels::rmsNorm(y, vector(op.getGain(), scope), toFloat(op.getEps()), toFloat(op.getOffset()));
  set(op.getY(), std::move(y), scope);
  return llvm::Error::success();
}

llvm::Error Evaluator::layerNorm(llm::LayerNormOp op, Scope &scope) {
  Matrix y = matrix(op.getX(), scope);
  kernels::layerNorm(y, vector(op.getGain(), scope), vector(op.getBias(), scope), toFloat(op.getEps()));
  set(op.getY(), std::move(y), scope);
  return llvm::Error::success();
}

static void fusedNorm(llm::LinearOp op, Matrix &x, ArrayRef<float> gain, ArrayRef<float> bias) {
  float eps = static_cast<float>(op.getNorm()->getEps()), offset = static_cast<float>(op.getNorm()->getOffset());
  if (op.getNorm()->getKind() == llm::NormKind::rms)
    return kernels::rmsNorm(x, gain, eps, offset);
  std::vector<float> shifted(gain);
  for (float &g : shifted)
    g += offset;
  kernels::layerNorm(x, shifted, bias, eps);
}

static void multiply(Matrix &a, const Matrix &b) {
  for (auto [x, y] : llvm::zip_equal(a.data, b.data))
    x *= y;
}

static void accumulate(Matrix &a, const Matrix &b) {
  for (auto [x, y] : llvm::zip_equal(a.data, b.data))
    x += y;
}

static void multiply(Matrix &y, float factor) {
  for (float &value : y.data)
    value *= factor;
}

static void cap(Matrix &y, float cap) {
  for (float &value : y.data)
    value = cap * std::tanh(value / cap);
}

// In the order of the op's description: norm, products and biases, activation, glu, scale, softcap, residual.
llvm::Error Evaluator::linear(llm::LinearOp op, Scope &scope) {
  const Matrix *x = &matrix(op.getX(), scope);
  Matrix normed;
  if (op.getNorm()) {
    normed = *x;
    fusedNorm(op, normed, vector(op.getNormGain(), scope), vector(op.getNormBias(), scope));
    x = &normed;
  }
  std::vector<Matrix> products;
  for (auto [i, value] : llvm::enumerate(op.getWeights()))
    products.push_back(kernels::product(
        *x, *weight(value, scope), op.getBiases().empty() ? std::vector<float>() : vector(op.getBiases()[i], scope)));
  if (op.getGlu()) {
    kernels::activate(*op.getActivation(), products[0]);
    multiply(products[0], products[1]);
  } else if (op.getActivation()) {
    for (Matrix &y : products)
      kernels::activate(*op.getActivation(), y);
  }
  if (op.getScale())
    multiply(products[0], toFloat(*op.getScale()));
  if (op.getSoftcap())
    cap(products[0], toFloat(*op.getSoftcap()));
  if (op.getResidual()) {
    const Matrix &residual = matrix(op.getResidual(), scope);
    if (llvm::Error error = sameRows(op, {products[0].rows, residual.rows}))
      return error;
    accumulate(products[0], residual);
  }
  for (auto [i, result] : llvm::enumerate(op.getResults()))
    set(result, std::move(products[i]), scope);
  return llvm::Error::success();
}

llvm::Error Evaluator::activation(llm::ActivationOp op, Scope &scope) {
  Matrix y = matrix(op.getX(), scope);
  kernels::activate(op.getKind(), y);
  set(op.getY(), std::move(y), scope);
  return llvm::Error::success();
}

llvm::Error Evaluator::glu(llm::GLUOp op, Scope &scope) {
  Matrix y = matrix(op.getGate(), scope);
  const Matrix &up = matrix(op.getUp(), scope);
  if (llvm::Error error = sameRows(op, {y.rows, up.rows}))
    return error;
  kernels::activate(op.getKind(), y);
  multiply(y, up);
  set(op.getY(), std::move(y), scope);
  return llvm::Error::success();
}

llvm::Error Evaluator::add(llm::AddOp op, Scope &scope) {
  Matrix y = matrix(op.getA(), scope);
  const Matrix &b = matrix(op.getB(), scope);
  if (llvm::Error error = sameRows(op, {y.rows, b.rows}))
    return error;
  accumulate(y, b);
  set(op.getY(), std::move(y), scope);
  return llvm::Error::success();
}

llvm::Error Evaluator::scale(llm::ScaleOp op, Scope &scope) {
  Matrix y = matrix(op.getX(), scope);
  multiply(y, toFloat(op.getFactor()));
  set(op.getY(), std::move(y), scope);
  return llvm::Error::success();
}

llvm::Error Evaluator::softcap(llm::SoftcapOp op, Scope &scope) {
  Matrix y = matrix(op.getX(), scope);
  cap(y, toFloat(op.getCap()));
  set(op.getY(), std::move(y), scope);
  return llvm::Error::success();
}

//===----------------------------------------------------------------------===//
// Positions
//===----------------------------------------------------------------------===//

// Angles are rounded to float32 before the cosine, as Hugging Face's are.
llvm::Error Evaluator::ropeTable(llm::RopeTableOp op, Scope &scope) {
  int64_t dim = llvm::cast<RankedTensorType>(op.getY().getType()).getDimSize(1), half = dim / 2;
  std::vector<float> factors = vector(op.getFactors(), scope);
  Matrix y(batch->tokens.size(), dim);
  llm::RopeFrequencies frequencies;
  int64_t knownLength = -1;
  for (int64_t t = 0; t < y.rows; ++t) {
    if (batch->lengths[t] != knownLength) {
      knownLength = batch->lengths[t];
      frequencies = llm::ropeFrequencies(dim, op.getTheta().convertToDouble(), op.getScalingAttr(), knownLength);
    }
    for (int64_t i = 0; i < half; ++i) {
      float frequency = factors.empty() ? frequencies.inverse[i] : frequencies.inverse[i] / factors[i];
      float angle = static_cast<float>(batch->positionIds[t]) * frequency;
      y.row(t)[i] = std::cos(angle) * frequencies.attentionFactor;
      y.row(t)[half + i] = std::sin(angle) * frequencies.attentionFactor;
    }
  }
  set(op.getY(), std::move(y), scope);
  return llvm::Error::success();
}

llvm::Error Evaluator::rope(llm::RopeOp op, Scope &scope) {
  Matrix y = matrix(op.getX(), scope);
  const Matrix &table = matrix(op.getTable(), scope);
  if (llvm::Error error = sameRows(op, {y.rows, table.rows}))
    return error;
  kernels::rotate(y, table, op.getHeadDim(), op.getRotary());
  set(op.getY(), std::move(y), scope);
  return llvm::Error::success();
}

//===----------------------------------------------------------------------===//
// Attention
//===----------------------------------------------------------------------===//

llvm::Expected<std::map<int32_t, SlotCache> *> Evaluator::cacheOf(llm::StatefulOpInterface op, int64_t layer) {
  StringRef name = op.getStateSymbol().getValue();
  auto state = module.lookupSymbol<llm::StateOp>(name);
  int64_t entry = layer < 0 ? -1 : state.indexOfLayer(layer);
  if (entry < 0)
    return fail(op, ErrorCode::InvalidInput, "@" + name + " has no layer " + Twine(layer));
  auto &layers = caches[name];
  layers.resize(llvm::cast<llm::KVCacheType>(state.getType()).getLayers());
  return &layers[entry];
}

void Evaluator::append(const Matrix &k, const Matrix &v, std::map<int32_t, SlotCache> &slots) const {
  auto write = [](std::vector<float> &to, const Matrix &from, int64_t t, size_t position) {
    to.resize(std::max(to.size(), (position + 1) * from.columns));
    llvm::copy(ArrayRef(from.row(t), from.columns), to.begin() + position * from.columns);
  };
  for (int64_t t = 0; t < k.rows; ++t) {
    SlotCache &cache = slots[batch->slots[t]];
    write(cache.keys, k, t, batch->positions[t]);
    write(cache.values, v, t, batch->positions[t]);
  }
}

llvm::Error Evaluator::attention(llm::AttentionOp op, Scope &scope) {
  auto slots = cacheOf(op, index(op.getLayer(), scope));
  if (!slots)
    return slots.takeError();
  auto cacheType = llvm::cast<llm::KVCacheType>(module.lookupSymbol<llm::StateOp>(op.getStateAttr().getAttr()).getType());
  int64_t headDim = cacheType.getHeadDim();
  Matrix q = matrix(op.getQ(), scope), k = matrix(op.getK(), scope), v = matrix(op.getV(), scope);
  int64_t tokens = batch->tokens.size();
  if (llvm::Error error =
          sameRows(op, {tokens, q.rows, k.rows, v.rows, op.getTable() ? matrix(op.getTable(), scope).rows : tokens}))
    return error;
  if (op.getNorm()) {
    float eps = static_cast<float>(op.getNorm()->getEps()), offset = static_cast<float>(op.getNorm()->getOffset());
    kernels::rmsNorm(q, vector(op.getQGain(), scope), eps, offset);
    kernels::rmsNorm(k, vector(op.getKGain(), scope), eps, offset);
  }
  if (op.getRotary()) {
    kernels::rotate(q, matrix(op.getTable(), scope), headDim, op.getRotaryAttr());
    kernels::rotate(k, matrix(op.getTable(), scope), headDim, op.getRotaryAttr());
  }
  if (llm::isQ8Cache(cacheType.getElement()))
    kernels::roundToQ8(k, headDim), kernels::roundToQ8(v, headDim);
  append(k, v, **slots);
  Matrix y(q.rows, q.columns);
  int64_t heads = q.columns / headDim, kvHeads = k.columns / headDim, window = op.getWindow();
  std::vector<float> sinks = vector(op.getSinks(), scope), slopes = vector(op.getSlopes(), scope), biases;
  int64_t reach = op.getBias() ? op.getRelative()->getMaxDistance() : 0;
  if (op.getBias())
    biases = kernels::biasesByDistance(vector(op.getBias(), scope), heads, *op.getRelative());
  llvm::parallelFor(0, q.rows, [&](size_t t) {
    const SlotCache &cache = (*slots)->at(batch->slots[t]);
    int64_t position = batch->positions[t], end = batch->lengths[t];
    int64_t first = window > 0 ? std::max<int64_t>(0, position - window + 1) : 0, last = position;
    if (op.getMask() == llm::Mask::full)
      last = window > 0 ? std::min(end, position + window) - 1 : end - 1;
    kernels::HeadScores how{toFloat(op.getScale()), toFloat(op.getSoftcap()), first, last, headDim, k.columns};
    how.position = position, how.reach = reach;
    for (int64_t head = 0; head < heads; ++head) {
      int64_t kv = head * kvHeads / heads * headDim;
      how.sink = sinks.empty() ? nullptr : &sinks[head];
      how.slope = slopes.empty() ? 0 : slopes[head];
      how.bias = biases.empty() ? nullptr : &biases[(head * 2 + 1) * reach + head];
      kernels::attend(q.row(t) + head * headDim, cache.keys.data() + kv, cache.values.data() + kv, how,
                      y.row(t) + head * headDim);
    }
  });
  set(op.getY(), std::move(y), scope);
  return llvm::Error::success();
}
