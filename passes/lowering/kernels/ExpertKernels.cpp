// Routing: which experts a token goes to, which tokens an expert gets, and the sum of what the experts gave.
//
// Choices compare as integers: the bits of a float, turned so that they order as the numbers do. Above the least integer lies
// every number and NaN, so that a token has all its experts whatever its logits are, and their numbers are in range.
#include "passes/lowering/kernels/Emitters.h"
#include "passes/lowering/kernels/RowMath.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;

namespace llmc::kernels {
namespace {

constexpr int64_t kGone = INT32_MIN, kNaN = INT32_MIN + 2; // keys: chosen already or not eligible; not a number

Value maximumOf(KernelBuilder &b, Value pointer, int64_t count) {
  Value best = b.constant(b.getF32Type(), -3.0e38);
  Values found = b.loop(b.constant(0), b.constant(count), 1, ValueRange{best}, [&](Value index, ValueRange carried) {
    return Values{maximum(b, carried[0], b.load(b.getF32Type(), floatAt(b, pointer, index), 4))};
  });
  return found[0];
}

void softmax(KernelBuilder &b, Value pointer, int64_t count) {
  Value best = maximumOf(b, pointer, count);
  Value total = sumChannels(b, count, [&](Value index, VectorType type) {
    Value at = floatAt(b, pointer, index);
    Value weight = exponential(b, b.sub(b.load(type, at, 4), b.broadcast(best, type)));
    b.store(weight, at, 4);
    return weight;
  });
  forChannels(b, count, [&](Value index, VectorType type) {
    Value at = floatAt(b, pointer, index);
    b.store(div(b, b.load(type, at, 4), b.broadcast(total, type)), at, 4);
  });
}

class Route {
public:
  Route(KernelBuilder &b, tile::RouteAttr kernel)
      : b(b), kernel(kernel), bias(kernel.getBias() ? b.argument(1) : Value()), experts(b.argument(kernel.getBias() ? 2 : 1)),
        weights(b.argument(kernel.getBias() ? 3 : 2)), scores(array(kernel.getCount())), keys(array(kernel.getCount())),
        groupKeys(kernel.getGroups() > 1 ? array(kernel.getGroups()) : Value()) {}

  void emit() {
    score();
    makeKeys();
    if (kernel.getGroups() > 1)
      keepBestGroups();
    Value top = b.constant(kernel.getTop());
    b.loop(b.constant(0), top, 1, [&](Value k) {
      Value expert = takeGreatest(keys, kernel.getCount());
      b.store(b.truncate(expert, b.getI32Type()), floatAt(b, experts, k), 4);
      b.store(b.load(b.getF32Type(), floatAt(b, scores, expert), 4), floatAt(b, weights, k), 4);
    });
    normalize();
  }

private:
  Value array(int64_t count) { // of 32-bit numbers
    return LLVM::AllocaOp::create(b, LLVM::LLVMPointerType::get(b.getContext()), b.getI32Type(), b.constant(count), 64);
  }
  Value word(int64_t value) { return b.constant(b.getI32Type(), value); }
  Value loadKey(Value from, Value index) { return b.load(b.getI32Type(), floatAt(b, from, index), 4); }

  void score() {
    forChannels(b, kernel.getCount(), [&](Value index, VectorType type) {
      Value logit = b.load(type, floatAt(b, b.argument(0), index), 4);
      if (kernel.getScores() == llm::RouterScores::sigmoid)
        logit = activate(b, llm::Activation::sigmoid, logit);
      b.store(logit, floatAt(b, scores, index), 4);
    });
    if (kernel.getScores() == llm::RouterScores::softmax)
      softmax(b, scores, kernel.getCount());
  }

  Value keyOf(Value number) { return orderedKeys(b, number, kNaN); }

  void makeKeys() {
    forChannels(b, kernel.getCount(), [&](Value index, VectorType type) {
      Value choice = b.load(type, floatAt(b, scores, index), 4);
      if (bias)
        choice = b.add(choice, b.load(type, floatAt(b, bias, index), 4));
      b.store(keyOf(choice), floatAt(b, keys, index), 4);
    });
  }

  // The place of the greatest of `count` keys, the first of equals; it is marked as gone.
  Value takeGreatest(Value from, int64_t count) {
    Values best = b.loop(b.constant(0), b.constant(count), 1, ValueRange{word(kGone), b.constant(0)}, [&](Value index, ValueRange carried) {
      Value key = loadKey(from, index);
      Value isGreater = b.compare(arith::CmpIPredicate::sgt, key, carried[0]);
      return Values{b.select(isGreater, key, carried[0]), b.select(isGreater, index, carried[1])};
    });
    b.store(word(kGone), floatAt(b, from, best[1]), 4);
    return best[1];
  }

  int64_t groupSize() const { return kernel.getCount() / kernel.getGroups(); }

  Value groupKey(Value group) {
    Value first = b.mul(group, b.constant(groupSize()));
    Values best = b.loop(b.constant(0), b.constant(groupSize()), 1, ValueRange{word(kGone), word(kGone)}, [&](Value index, ValueRange carried) {
      Value key = loadKey(keys, b.add(first, index));
      Value lesser = b.minimum(carried[0], key);
      return Values{arith::MaxSIOp::create(b, carried[0], key), arith::MaxSIOp::create(b, carried[1], lesser)};
    });
    if (kernel.getGroupScore() == llm::GroupScore::max)
      return best[0];
    auto number = [&](Value key) { return b.bitcast(orderedBits(b, key), b.getF32Type()); };
    return keyOf(b.add(number(best[0]), number(best[1])));
  }

  // Experts of the groups that remain keep their keys, the others' are gone.
  void keepBestGroups() {
    Value count = b.constant(kernel.getGroups());
    b.loop(b.constant(0), count, 1, [&](Value group) { b.store(groupKey(group), floatAt(b, groupKeys, group), 4); });
    // What is taken is marked as gone: so the groups that remain are those that are.
    b.loop(b.constant(0), b.constant(kernel.getTopGroups()), 1, [&](Value) { takeGreatest(groupKeys, kernel.getGroups()); });
    b.loop(b.constant(0), count, 1, [&](Value group) {
      Value remains = b.compare(arith::CmpIPredicate::eq, loadKey(groupKeys, group), word(kGone));
      Value first = b.mul(group, b.constant(groupSize()));
      b.loop(b.constant(0), b.constant(groupSize()), 1, [&](Value index) {
        Value at = floatAt(b, keys, b.add(first, index));
        b.store(b.select(remains, b.load(b.getI32Type(), at, 4), word(kGone)), at, 4);
      });
    });
  }

  void normalize() {
    int64_t top = kernel.getTop();
    if (kernel.getNormalize() == llm::RouterNormalize::softmax)
      softmax(b, weights, top);
    double scale = kernel.getScale().value;
    bool divides = kernel.getNormalize() == llm::RouterNormalize::sum;
    if (!divides && scale == 1)
      return;
    Value total;
    if (divides) {
      total = sumChannels(b, top, [&](Value index, VectorType type) { return b.load(type, floatAt(b, weights, index), 4); });
      total = b.add(total, b.constant(b.getF32Type(), kernel.getEpsilon().value));
    }
    forChannels(b, top, [&](Value index, VectorType type) {
      Value at = floatAt(b, weights, index), weight = b.load(type, at, 4);
      if (divides)
        weight = div(b, weight, b.broadcast(total, type));
      b.store(scale == 1 ? weight : b.mul(weight, b.constant(type, scale)), at, 4);
    });
  }

  KernelBuilder &b;
  tile::RouteAttr kernel;
  Value bias, experts, weights;   // of the kernel
  Value scores, keys, groupKeys; // f32 and i32 [count], i32 [groups]
};

} // namespace

void emitRoute(KernelBuilder &b, tile::RouteAttr route) { Route(b, route).emit(); }

// Counting sort. starts counts, then says where each expert begins; while choices are placed, where its next one goes, which
// in the end is where the next expert begins.
void emitGroupTokens(KernelBuilder &b, tile::GroupTokensAttr kernel) {
  Value experts = b.argument(1), starts = b.argument(2), order = b.argument(3), places = b.argument(4);
  Value zero = b.constant(0), count = b.constant(kernel.getCount()), choices = b.mul(b.argument(0), b.constant(kernel.getTop()));
  Type i32 = b.getI32Type();
  auto load = [&](Value array, Value index) { return b.load(i32, floatAt(b, array, index), 4); };
  auto store = [&](Value value, Value array, Value index) { b.store(value, floatAt(b, array, index), 4); };
  auto expertOf = [&](Value choice) { return b.extendSigned(load(experts, choice), b.getI64Type()); };
  auto next = [&](Value index) { return b.add(index, b.constant(1)); };
  b.loop(zero, next(count), 1, [&](Value expert) { store(b.constant(i32, 0), starts, expert); });
  b.loop(zero, choices, 1, [&](Value choice) {
    Value expert = next(expertOf(choice));
    store(b.add(load(starts, expert), b.constant(i32, 1)), starts, expert);
  });
  b.loop(zero, count, 1, [&](Value expert) { store(b.add(load(starts, next(expert)), load(starts, expert)), starts, next(expert)); });
  b.loop(zero, choices, 1, [&](Value choice) {
    Value expert = expertOf(choice), place = load(starts, expert);
    store(b.add(place, b.constant(i32, 1)), starts, expert);
    store(b.truncate(choice, i32), order, b.extendSigned(place, b.getI64Type()));
    store(place, places, choice);
  });
  b.loop(zero, count, 1, [&](Value index) {
    Value expert = b.sub(count, index);
    store(load(starts, b.sub(expert, b.constant(1))), starts, expert);
  });
  store(b.constant(i32, 0), starts, zero);
}

// results: (choices, channels); places, weights: (top); out: (channels)
void emitCombine(KernelBuilder &b, tile::CombineAttr kernel) {
  Value results = b.argument(0), places = kernel.getPlaces() ? b.argument(1) : Value();
  Value weights = b.argument(places ? 2 : 1), out = b.argument(places ? 3 : 2);
  auto row = [&](Value k) {
    if (places)
      k = b.extendSigned(b.load(b.getI32Type(), floatAt(b, places, k), 4), b.getI64Type());
    return b.at(results, k, kernel.getChannels() * 4);
  };
  forChannels(b, kernel.getChannels(), [&](Value index, VectorType type) {
    Values sum = b.loop(b.constant(0), b.constant(kernel.getTop()), 1, ValueRange{b.constant(type, 0.0)}, [&](Value k, ValueRange carried) {
      Value weight = b.broadcast(b.load(b.getF32Type(), floatAt(b, weights, k), 4), type);
      return Values{b.fma(weight, b.load(type, floatAt(b, row(k), index), 4), carried[0])};
    });
    b.store(sum[0], floatAt(b, out, index), 4);
  });
}

} // namespace llmc::kernels
