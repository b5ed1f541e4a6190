// Mixtures of experts, products by groups of channels, and latent attention in the reference interpreter.
#include "compiler/interpreter/Evaluate.h"
#include "compiler/interpreter/Kernels.h"
#include "compiler/support/StatusBridge.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

using namespace mlir;
using namespace llmc;
using namespace llmc::interpreter;

static float toFloat(const APFloat &value) { return static_cast<float>(value.convertToDouble()); }

//===----------------------------------------------------------------------===//
// Routing
//===----------------------------------------------------------------------===//

static void softmax(MutableArrayRef<float> values) {
  float greatest = *llvm::max_element(values), total = 0;
  for (float &value : values)
    total += value = std::exp(value - greatest);
  for (float &value : values)
    value /= total;
}

static std::vector<float> routerScores(llm::RouterScores kind, ArrayRef<float> logits) {
  std::vector<float> scores(logits);
  if (kind == llm::RouterScores::softmax)
    softmax(scores);
  if (kind == llm::RouterScores::sigmoid)
    for (float &score : scores)
      score = 1.0f / (1.0f + std::exp(-score));
  return scores;
}

// Indices of the `count` greatest values, greatest first, equals in ascending order; NaN is least.
static std::vector<int64_t> greatest(ArrayRef<float> values, int64_t count) {
  std::vector<int64_t> order(values.size());
  std::iota(order.begin(), order.end(), 0);
  auto key = [&](int64_t i) { return std::isnan(values[i]) ? -std::numeric_limits<float>::infinity() : values[i]; };
  llvm::stable_sort(order, [&](int64_t a, int64_t b) { return key(a) > key(b); });
  order.resize(count);
  return order;
}

static float groupScore(llm::GroupScore kind, ArrayRef<float> members) {
  std::vector<int64_t> best = greatest(members, kind == llm::GroupScore::max ? 1 : 2);
  return best.size() == 1 ? members[best[0]] : members[best[0]] + members[best[1]];
}

// The experts that may be chosen: those of the best groups, ascending.
static std::vector<int64_t> eligible(llm::RouteOp op, ArrayRef<float> choice) {
  int64_t size = choice.size() / op.getGroups();
  std::vector<float> scores;
  for (int64_t group = 0; group < static_cast<int64_t>(op.getGroups()); ++group)
    scores.push_back(groupScore(op.getGroupScore(), choice.slice(group * size, size)));
  std::vector<int64_t> groups = greatest(scores, op.getTopGroups()), experts;
  llvm::sort(groups);
  for (int64_t group : groups)
    for (int64_t expert = group * size; expert < (group + 1) * size; ++expert)
      experts.push_back(expert);
  return experts;
}

static void normalize(llm::RouteOp op, MutableArrayRef<float> weights) {
  if (op.getNormalize() == llm::RouterNormalize::softmax)
    softmax(weights);
  if (op.getNormalize() == llm::RouterNormalize::sum) {
    float sum = std::accumulate(weights.begin(), weights.end(), 0.0f) + toFloat(op.getEpsilon());
    for (float &weight : weights)
      weight /= sum;
  }
  for (float &weight : weights)
    weight *= toFloat(op.getScale());
}

llvm::Error Evaluator::route(llm::RouteOp op, Scope &scope) {
  const Matrix &logits = matrix(op.getLogits(), scope);
  std::vector<float> bias = vector(op.getBias(), scope);
  int64_t top = op.getTop();
  Matrix experts(logits.rows, top), weights(logits.rows, top);
  for (int64_t t = 0; t < logits.rows; ++t) {
    std::vector<float> scores = routerScores(op.getScores(), {logits.row(t), static_cast<size_t>(logits.columns)});
    std::vector<float> choice = scores, left;
    for (size_t e = 0; e < bias.size(); ++e)
      choice[e] += bias[e];
    std::vector<int64_t> candidates = eligible(op, choice);
    for (int64_t expert : candidates)
      left.push_back(choice[expert]);
    for (auto [k, place] : llvm::enumerate(greatest(left, top))) {
      experts.row(t)[k] = static_cast<float>(candidates[place]); // exact: an expert's number is small
      weights.row(t)[k] = scores[candidates[place]];
    }
    normalize(op, {weights.row(t), static_cast<size_t>(top)});
  }
  set(op.getExperts(), std::move(experts), scope);
  set(op.getWeights(), std::move(weights), scope);
  return llvm::Error::success();
}

//===----------------------------------------------------------------------===//
// Products
//===----------------------------------------------------------------------===//

namespace {
// One matrix of a stack.
class MatrixOfStack : public WeightRows {
public:
  MatrixOfStack(const WeightRows &stack, int64_t index, int64_t rowCount)
      : stack(stack), first(index * rowCount), count(rowCount) {}
  int64_t rows() const override { return count; }
  int64_t columns() const override { return stack.columns(); }
  void decode(int64_t row, MutableArrayRef<float> out) const override { stack.decode(first + row, out); }
  void observe(ArrayRef<float> inputs, int64_t firstRow) const override { stack.observe(inputs, first + firstRow); }

private:
  const WeightRows &stack;
  int64_t first, count;
};

// Weights [count, N, K] and their bias [count, N, 1], if there is one.
struct Stack {
  std::shared_ptr<const WeightRows> weight, bias;
  int64_t rows;

  Matrix product(const Matrix &x, int64_t index) const {
    std::vector<float> added(bias ? rows : 0);
    for (size_t n = 0; n < added.size(); ++n)
      bias->decode(index * rows + n, {&added[n], 1});
    return kernels::product(x, MatrixOfStack(*weight, index, rows), added);
  }
};

int64_t rowsOf(mlir::Value stack) { return cast<RankedTensorType>(stack.getType()).getDimSize(1); }
} // namespace

// gate becomes activation(gate) * up, or the unit of `limits`.
static void gatedUnit(llm::ExpertsOp op, Matrix &gate, const Matrix &up) {
  std::optional<llm::GLULimitsAttr> limits = op.getLimits();
  for (auto [g, u] : llvm::zip_equal(gate.data, up.data)) {
    if (!limits) {
      g = kernels::activate(op.getActivation(), g) * u;
      continue;
    }
    float limit = static_cast<float>(limits->getLimit()), alpha = static_cast<float>(limits->getAlpha());
    float clamped = std::min(g, limit);
    g = clamped * kernels::activate(llm::Activation::sigmoid, alpha * clamped) *
        (std::clamp(u, -limit, limit) + static_cast<float>(limits->getOffset()));
  }
}

llvm::Error Evaluator::experts(llm::ExpertsOp op, Scope &scope) {
  const Matrix &x = matrix(op.getX(), scope), &chosen = matrix(op.getExperts(), scope);
  const Matrix &weights = matrix(op.getWeights(), scope);
  if (chosen.rows != x.rows || weights.rows != x.rows)
    return makeError(ErrorCode::InvalidInput, "llm.experts: operands have different numbers of rows");
  auto stack = [&](mlir::Value weight, mlir::Value bias) {
    return Stack{this->weight(weight, scope), bias ? this->weight(bias, scope) : nullptr, rowsOf(weight)};
  };
  std::optional<Stack> gate;
  if (op.getGate())
    gate = stack(op.getGate(), op.getGateBias());
  Stack up = stack(op.getUp(), op.getUpBias()), down = stack(op.getDown(), op.getDownBias());

  // What each choice gives, row t * K + k; tokens of one expert go through it together.
  Matrix results(chosen.rows * chosen.columns, down.rows);
  for (int64_t expert = 0; expert < op.getExpertCount(); ++expert) {
    std::vector<int64_t> places;
    for (size_t place = 0; place < chosen.data.size(); ++place)
      if (chosen.data[place] == static_cast<float>(expert))
        places.push_back(place);
    if (places.empty())
      continue;
    Matrix rows(places.size(), x.columns);
    for (auto [i, place] : llvm::enumerate(places))
      llvm::copy(ArrayRef(x.row(place / chosen.columns), x.columns), rows.row(i));
    Matrix hidden = up.product(rows, expert);
    if (gate) {
      Matrix gated = gate->product(rows, expert);
      gatedUnit(op, gated, hidden);
      hidden = std::move(gated);
    } else {
      kernels::activate(op.getActivation(), hidden);
    }
    Matrix out = down.product(hidden, expert);
    for (auto [i, place] : llvm::enumerate(places))
      llvm::copy(ArrayRef(out.row(i), out.columns), results.row(place));
  }
  Matrix y(x.rows, down.rows);
  for (int64_t place = 0; place < results.rows; ++place)
    for (int64_t c = 0; c < y.columns; ++c)
      y.row(place / chosen.columns)[c] += weights.data[place] * results.row(place)[c];
  set(op.getY(), std::move(y), scope);
  return llvm::Error::success();
}

llvm::Error Evaluator::groupedLinear(llm::GroupedLinearOp op, Scope &scope) {
  const Matrix &x = matrix(op.getX(), scope);
  Stack stack{weight(op.getWeight(), scope), op.getBias() ? weight(op.getBias(), scope) : nullptr, rowsOf(op.getWeight())};
  int64_t groups = cast<RankedTensorType>(op.getWeight().getType()).getDimSize(0), size = x.columns / groups;
  Matrix y(x.rows, groups * stack.rows), part(x.rows, stack.weight->columns());
  for (int64_t group = 0; group < groups; ++group) {
    for (int64_t t = 0; t < x.rows; ++t)
      llvm::copy(ArrayRef(x.row(t) + group * size, part.columns), part.row(t));
    Matrix product = stack.product(part, group);
    for (int64_t t = 0; t < x.rows; ++t)
      llvm::copy(ArrayRef(product.row(t), product.columns), y.row(t) + group * stack.rows);
  }
  set(op.getY(), std::move(y), scope);
  return llvm::Error::success();
}

llvm::Error Evaluator::clamp(llm::ClampOp op, Scope &scope) {
  Matrix y = matrix(op.getX(), scope);
  float limit = toFloat(op.getLimit());
  for (float &value : y.data)
    value = std::min(std::max(value, -limit), limit);
  set(op.getY(), std::move(y), scope);
  return llvm::Error::success();
}

//===----------------------------------------------------------------------===//
// Latent attention
//===----------------------------------------------------------------------===//

// The last `count` channels of each of `heads` heads of `x`, side by side; and back.
static Matrix lastChannels(const Matrix &x, int64_t heads, int64_t count) {
  Matrix part(x.rows, heads * count);
  int64_t size = x.columns / heads;
  for (int64_t t = 0; t < x.rows; ++t)
    for (int64_t head = 0; head < heads; ++head)
      llvm::copy(ArrayRef(x.row(t) + (head + 1) * size - count, count), part.row(t) + head * count);
  return part;
}

// [T, heads * (a + b)]: of each head the channels of `first`, then those of `second`.
static Matrix joinedHeads(const Matrix &first, const Matrix &second, int64_t heads) {
  int64_t a = first.columns / heads, b = second.columns / heads;
  Matrix joined(first.rows, first.columns + second.columns);
  for (int64_t t = 0; t < joined.rows; ++t)
    for (int64_t head = 0; head < heads; ++head) {
      llvm::copy(ArrayRef(first.row(t) + head * a, a), joined.row(t) + head * (a + b));
      llvm::copy(ArrayRef(second.row(t) + head * b, b), joined.row(t) + head * (a + b) + a);
    }
  return joined;
}

llvm::Error Evaluator::latentAttention(llm::LatentAttentionOp op, Scope &scope) {
  auto slots = cacheOf(llvm::cast<llm::StatefulOpInterface>(op.getOperation()), index(op.getLayer(), scope));
  if (!slots)
    return slots.takeError();
  const Matrix &q = matrix(op.getQ(), scope), &qLatent = matrix(op.getQLatent(), scope), &kv = matrix(op.getKv(), scope);
  const Matrix &table = matrix(op.getTable(), scope);
  int64_t tokens = batch->tokens.size(), turned = table.columns, latentSize = kv.columns - turned;
  if (q.rows != tokens || qLatent.rows != tokens || kv.rows != tokens || table.rows != tokens)
    return makeError(ErrorCode::InvalidInput, "llm.latent_attention: want one row per token");
  int64_t heads = qLatent.columns / latentSize;
  Matrix queries = lastChannels(q, heads, turned), key = lastChannels(kv, 1, turned), latent(tokens, latentSize);
  for (int64_t t = 0; t < tokens; ++t)
    llvm::copy(ArrayRef(kv.row(t), latentSize), latent.row(t));
  kernels::rmsNorm(latent, vector(op.getGain(), scope), static_cast<float>(op.getNorm().getEps()), static_cast<float>(op.getNorm().getOffset()));
  kernels::rotate(queries, table, turned, op.getRotary());
  kernels::rotate(key, table, turned, op.getRotary());
  Matrix keys = joinedHeads(latent, key, 1);
  queries = joinedHeads(qLatent, queries, heads);
  append(keys, latent, **slots);
  Matrix y(tokens, qLatent.columns);
  for (int64_t t = 0; t < tokens; ++t) {
    const SlotCache &cache = (*slots)->at(batch->slots[t]);
    kernels::HeadScores how{toFloat(op.getScale()), 0, 0, batch->positions[t], keys.columns, keys.columns, latentSize};
    for (int64_t head = 0; head < heads; ++head)
      kernels::attend(queries.row(t) + head * keys.columns, cache.keys.data(), cache.keys.data(), how, y.row(t) + head * latentSize);
  }
  set(op.getY(), std::move(y), scope);
  return llvm::Error::success();
}
