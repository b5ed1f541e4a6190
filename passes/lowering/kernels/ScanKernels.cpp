// Recurrences token by token: a panel of 16 channels goes through all tokens of a run with its states in registers, some states at a
// time; what they give is summed up in y.
//
// x, y: (tokens, heads, width); state: (heads, panels, states, lanes)
#include "passes/lowering/kernels/Scan.h"

#include "passes/lowering/kernels/Emitters.h"
#include "passes/lowering/kernels/Kernels.h"
#include "passes/lowering/kernels/RowMath.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"

#include <numbers>

using namespace mlir;

namespace llmc::kernels {

// States in registers at once: beside them a decay for each (diagonal), or one for all.
constexpr int64_t kDiagonalBlock = 8, kScalarBlock = 16;

//===----------------------------------------------------------------------===//
// Operands
//===----------------------------------------------------------------------===//

Scan::Scan(KernelBuilder &b, tile::ScanAttr kernel) : b(b), kernel(kernel) {
  unsigned next = 4;
  auto take = [&](bool present) { return present ? b.argument(next++) : Value(); };
  x = take(true), a = take(true);
  step = take(kernel.getStepBytes()), input = take(kernel.getInputBytes()), output = take(kernel.getOutputBytes());
  beta = take(kernel.getBetaBytes()), skip = take(kernel.getSkip());
  Value first = take(true), second = take(true);
  tokens = {b.argument(1), b.argument(2), b.argument(3), first, second};
  y = take(true), scratch = take(true);
}

Value Scan::loadX(const Panel &panel, Value t) const {
  return b.load(panel.lanes, b.at(floatAt(b, x, panel.channel), t, kernel.getXBytes()), 4);
}

Value Scan::clamp(Value step) const {
  if (!kernel.getLimit())
    return step;
  Value low = b.constant(step.getType(), kernel.getLimit()[0]), high = b.constant(step.getType(), kernel.getLimit()[1]);
  return arith::MinNumFOp::create(b, maximum(b, step, low), high);
}

Value Scan::loadStep(const Panel &panel, Value t) const {
  return clamp(b.load(panel.lanes, b.at(floatAt(b, step, panel.channel), t, kernel.getStepBytes()), 4));
}

Value Scan::loadStepOfHead(const Panel &panel, Value t) const {
  return clamp(b.load(b.getF32Type(), b.at(floatAt(b, step, panel.head), t, kernel.getStepBytes()), 4));
}

Value Scan::group(const Panel &panel) const {
  if (kernel.getGroups() == 1)
    return b.constant(0);
  return arith::DivUIOp::create(b, panel.head, b.constant(kernel.getHeads() / kernel.getGroups()));
}

Value Scan::inputOf(const Panel &panel, Value t) const {
  return b.at(b.at(input, group(panel), kernel.getStates() * 4), t, kernel.getInputBytes());
}
Value Scan::outputOf(const Panel &panel, Value t) const {
  return b.at(b.at(output, group(panel), kernel.getStates() * 4), t, kernel.getOutputBytes());
}
Value Scan::yOf(const Panel &panel, Value t) const { return b.at(floatAt(b, y, panel.channel), t, kernel.getChannels() * 4); }

Value Scan::rate(Value stored, double factor) const {
  Type type = stored.getType();
  switch (kernel.getForm()) {
  case llm::DecayForm::rate:
    return b.mul(stored, b.constant(type, factor));
  case llm::DecayForm::neg_exp:
    return b.mul(exponential(b, stored), b.constant(type, -factor));
  case llm::DecayForm::softplus8:
    return b.mul(softplus(b, stored), b.constant(type, -8 * factor));
  }
  llvm_unreachable("every form is listed");
}

void Scan::beginSums(const Panel &panel, const Run &run) const {
  Value factor = skip ? b.load(panel.lanes, floatAt(b, skip, panel.channel), 4) : Value();
  b.loop(run.start, run.end, 1, [&](Value t) {
    b.store(factor ? b.mul(loadX(panel, t), factor) : b.constant(panel.lanes, 0.0), yOf(panel, t), 4);
  });
}

Value Scan::stateAt(const Run &run, const Panel &panel, Value n) const {
  // Panels before this one have 16 lanes each; heads have `width` in all.
  Value before = b.mul(panel.channel, b.constant(kernel.getStates()));
  return b.at(floatAt(b, run.state, before), n, panel.lanes.getNumElements() * 4);
}

//===----------------------------------------------------------------------===//
// Diagonal and scalar: many states a channel
//===----------------------------------------------------------------------===//

namespace {

// Calls `body(first, count)` for blocks of at most `size` of `all` states; `first` is i64.
void forBlocks(KernelBuilder &b, int64_t all, int64_t size, llvm::function_ref<void(Value, int64_t)> body) {
  int64_t whole = all / size * size;
  if (whole)
    b.loop(b.constant(0), b.constant(whole), size, [&](Value first) { body(first, size); });
  if (whole < all)
    body(b.constant(whole), all - whole);
}

// What one token does to the block's states: decay of each, and what x adds, to be multiplied by its input.
struct Change {
  llvm::function_ref<Value(int64_t)> decay;
  Value taken;
  Value sum; // address of what the states before this block gave
};

// Takes a block of states through the tokens of a run. `change` is asked once per token.
void passTokens(const Scan &scan, const Run &run, const Panel &panel, Value first, int64_t count,
                llvm::function_ref<void(Value t, llvm::function_ref<void(Change)>)> change) {
  KernelBuilder &b = scan.b;
  auto at = [&](int64_t i) { return scan.stateAt(run, panel, b.add(first, b.constant(i))); };
  auto loaded = [&] {
    Values states;
    for (int64_t i = 0; i < count; ++i)
      states.push_back(b.load(panel.lanes, at(i), 4));
    return states;
  };
  Values states = choose(b, run.fresh, [&] { return Values(size_t(count), b.constant(panel.lanes, 0.0)); }, loaded);
  states = b.loop(run.start, run.end, 1, states, [&](Value t, ValueRange before) {
    Values after;
    Value inputs = floatAt(b, scan.inputOf(panel, t), first), outputs = floatAt(b, scan.outputOf(panel, t), first);
    change(t, [&](Change how) {
      Value sum = b.load(panel.lanes, how.sum, 4);
      for (int64_t i = 0; i < count; ++i) {
        Value in = b.loadBroadcast(panel.lanes, b.getF32Type(), b.at(inputs, i * 4));
        Value out = b.loadBroadcast(panel.lanes, b.getF32Type(), b.at(outputs, i * 4));
        after.push_back(b.fma(how.taken, in, b.mul(how.decay(i), before[size_t(i)])));
        sum = b.fma(after.back(), out, sum);
      }
      b.store(sum, how.sum, 4);
    });
    return after;
  });
  for (int64_t i = 0; i < count; ++i)
    b.store(states[size_t(i)], at(i), 4);
}

// A panel's states and rates are a kilobyte each, too short for the processor to foresee the next: asks for those of a later panel.
constexpr int64_t kPanelsAhead = 4;

void prefetchPanel(KernelBuilder &b, Value panel, int64_t bytes) {
  b.loop(b.constant(0), b.constant(bytes), tile::kAlignment, [&](Value line) { b.prefetch(b.at(panel, line, 1, kPanelsAhead * bytes)); });
}

// Scratch: the panel's rates in units of log2(e), [states][16].
void emitDiagonal(const Scan &scan) {
  KernelBuilder &b = scan.b;
  tile::ScanAttr kernel = scan.kernel;
  int64_t states = kernel.getStates();
  forPanels(b, b.argument(0), kernel.getPanels(), 1, kernel.getWidth(), [&](const Panel &panel) {
    Value packed = panelAddress(b, kernel.getFormat(), scan.a, arith::DivUIOp::create(b, panel.channel, b.constant(kLanes)), states);
    prefetchPanel(b, packed, tile::panelBytes(kernel.getFormat(), states));
    b.loop(b.constant(0), b.constant(states), 1, [&](Value n) {
      Value rate = scan.rate(panelColumn(b, kernel.getFormat(), packed, n, panel.lanes), std::numbers::log2e);
      b.store(rate, b.at(scan.scratch, n, kLanes * 4), 4);
    });
    scan.tokens.forRuns(b, [&](const Run &run) {
      prefetchPanel(b, scan.stateAt(run, panel, b.constant(0)), states * kLanes * 4);
      scan.beginSums(panel, run);
      forBlocks(b, states, kDiagonalBlock, [&](Value first, int64_t count) {
        Value rates = b.at(scan.scratch, first, kLanes * 4);
        passTokens(scan, run, panel, first, count, [&](Value t, llvm::function_ref<void(Change)> apply) {
          Value step = scan.loadStep(panel, t);
          auto decay = [&](int64_t i) { return powerOfTwo(b, b.mul(step, b.load(panel.lanes, b.at(rates, i * kLanes * 4), 4))); };
          apply({decay, b.mul(step, scan.loadX(panel, t)), scan.yOf(panel, t)});
        });
      });
    });
  });
}

void emitScalar(const Scan &scan) {
  forPanels(scan.b, scan.b.argument(0), scan.kernel.getPanels(), scan.kernel.getHeads(), scan.kernel.getWidth(), [&](const Panel &panel) {
    scan.tokens.forRuns(scan.b, [&](const Run &run) { emitScalarRun(scan, panel, run); });
  });
}

} // namespace

// Scratch, side by side for each token: step x, the sum, and the decay. Rows of x and y are far apart, often by a power of two, where
// few of them fit the cache at once; blocks of states come back to them again and again.
constexpr int64_t kScalarToken = 3 * kLanes * 4;

void emitScalarRun(const Scan &scan, const Panel &panel, const Run &run) {
  KernelBuilder &b = scan.b;
  Type f32 = b.getF32Type();
  VectorType lanes = b.floats(kLanes); // for vectors there are polynomials; one lane counts
  Value rate = scan.rate(b.loadBroadcast(lanes, f32, floatAt(b, scan.a, panel.head)), std::numbers::log2e);
  Value skip = scan.skip ? b.loadBroadcast(panel.lanes, f32, floatAt(b, scan.skip, panel.head)) : Value();
  auto takenOf = [&](Value t) { return b.at(scan.scratch, t, kScalarToken); };
  auto sumOf = [&](Value t) { return b.at(takenOf(t), kLanes * 4); };
  auto decayOf = [&](Value t) { return b.at(takenOf(t), 2 * kLanes * 4); };
  b.loop(run.start, run.end, 1, [&](Value t) {
    Value step = scan.loadStepOfHead(panel, t), x = scan.loadX(panel, t);
    b.store(b.mul(b.broadcast(step, panel.lanes), x), takenOf(t), 4);
    b.store(skip ? b.mul(skip, x) : b.constant(panel.lanes, 0.0), sumOf(t), 4);
    Value decay = powerOfTwo(b, b.mul(b.broadcast(step, lanes), rate));
    b.store(vector::ExtractOp::create(b, decay, ArrayRef<int64_t>{0}), decayOf(t), 4);
  });
  forBlocks(b, scan.kernel.getStates(), kScalarBlock, [&](Value first, int64_t count) {
    passTokens(scan, run, panel, first, count, [&](Value t, llvm::function_ref<void(Change)> apply) {
      Value decay = b.loadBroadcast(panel.lanes, f32, decayOf(t));
      apply({[&](int64_t) { return decay; }, b.load(panel.lanes, takenOf(t), 4), sumOf(t)});
    });
  });
  b.loop(run.start, run.end, 1, [&](Value t) { b.store(b.load(panel.lanes, sumOf(t), 4), scan.yOf(panel, t), 4); });
}

namespace {

//===----------------------------------------------------------------------===//
// Gated and wkv: one or three numbers a channel
//===----------------------------------------------------------------------===//

// 1 - exp(x) for x <= 0: near 0, where the difference would cancel, by its Taylor series (to 2^-24 of it for x > -0.5).
Value oneMinusExponential(KernelBuilder &b, Value x) {
  auto constant = [&](double value) { return b.constant(x.getType(), value); };
  Value series = constant(1.0);
  for (double n = 9; n > 1; --n)
    series = b.fma(b.mul(x, constant(1 / n)), series, constant(1.0));
  Value isNear = arith::CmpFOp::create(b, arith::CmpFPredicate::OGT, x, constant(-0.5));
  return b.select(isNear, b.mul(b.sub(constant(0.0), x), series), b.sub(constant(1.0), exponential(b, x)));
}

} // namespace

Gated::Gated(const Scan &scan, const Panel &panel)
    : scan(scan), panel(panel), rate(scan.rate(scan.b.load(panel.lanes, floatAt(scan.b, scan.a, panel.channel), 4), 1.0)) {}

Value Gated::stateAt(const Run &run) const { return floatAt(scan.b, run.state, panel.channel); }

std::pair<Value, Value> Gated::factors(const Run &run, Value t) const {
  KernelBuilder &b = scan.b;
  Value one = b.constant(panel.lanes, 1.0), exponent = b.mul(scan.loadStep(panel, t), rate), decay = exponential(b, exponent);
  // e^2 is rounded to f32 before it is subtracted, as the op says: near 1 that rounding is most of the result's error, and
  // whoever compares logits sees it.
  Value square = b.sub(one, oneMinusExponential(b, b.add(exponent, exponent)));
  Value share = math::SqrtOp::create(b, b.sub(one, square));
  Value isFirst = arith::AndIOp::create(b, run.fresh, b.compare(arith::CmpIPredicate::eq, t, run.start));
  return {decay, b.mul(b.select(isFirst, one, share), scan.loadX(panel, t))};
}

// state: (3, channels): sum of weighted values, sum of weights, the exponent that both are relative to.
Wkv::Wkv(const Scan &scan, const Panel &panel)
    : scan(scan), panel(panel), rate(scan.rate(scan.b.load(panel.lanes, floatAt(scan.b, scan.a, panel.channel), 4), 1.0)),
      bonus(scan.b.load(panel.lanes, floatAt(scan.b, scan.skip, panel.channel), 4)), keys(floatAt(scan.b, scan.input, panel.channel)) {}

void Wkv::pass(const Run &run) const {
  KernelBuilder &b = scan.b;
  auto at = [&](int64_t part) { return b.at(floatAt(b, run.state, panel.channel), part * scan.kernel.getChannels() * 4); };
  auto none = [&] {
    Value zero = b.constant(panel.lanes, 0.0);
    return Values{zero, zero, b.constant(panel.lanes, -1e38)};
  };
  auto loaded = [&] { return Values{b.load(panel.lanes, at(0), 4), b.load(panel.lanes, at(1), 4), b.load(panel.lanes, at(2), 4)}; };
  Values state = choose(b, run.fresh, none, loaded);
  state = b.loop(run.start, run.end, 1, state, [&](Value t, ValueRange before) {
    Value key = b.load(panel.lanes, b.at(keys, t, scan.kernel.getInputBytes()), 4), value = scan.loadX(panel, t);
    // (sum, weights) faded from exponent `old`, and the value with weight exp(`now`), both relative to the larger exponent.
    auto mixed = [&](Value old, Value now) {
      Value best = maximum(b, old, now), past = exponential(b, b.sub(old, best)), weight = exponential(b, b.sub(now, best));
      return Values{b.fma(past, before[0], b.mul(weight, value)), b.fma(past, before[1], weight), best};
    };
    Values seen = mixed(before[2], b.add(key, bonus));
    b.store(div(b, seen[0], seen[1]), scan.yOf(panel, t), 4);
    return mixed(b.add(before[2], rate), key);
  });
  for (int64_t part = 0; part < 3; ++part)
    b.store(state[size_t(part)], at(part), 4);
}

namespace {

void emitGated(const Scan &scan) {
  KernelBuilder &b = scan.b;
  forPanels(b, b.argument(0), scan.kernel.getPanels(), 1, scan.kernel.getWidth(), [&](const Panel &panel) {
    Gated gated(scan, panel);
    scan.tokens.forRuns(b, [&](const Run &run) {
      Value at = gated.stateAt(run);
      Values state = choose(b, run.fresh, [&] { return Values{b.constant(panel.lanes, 0.0)}; },
                            [&] { return Values{b.load(panel.lanes, at, 4)}; });
      state = b.loop(run.start, run.end, 1, state, [&](Value t, ValueRange before) {
        auto [decay, added] = gated.factors(run, t);
        Value after = b.fma(decay, before[0], added);
        b.store(after, scan.yOf(panel, t), 4);
        return Values{after};
      });
      b.store(state[0], at, 4);
    });
  });
}

void emitWkv(const Scan &scan) {
  KernelBuilder &b = scan.b;
  forPanels(b, b.argument(0), scan.kernel.getPanels(), 1, scan.kernel.getChannels(), [&](const Panel &panel) {
    Wkv wkv(scan, panel);
    scan.tokens.forRuns(b, [&](const Run &run) { wkv.pass(run); });
  });
}

} // namespace

void emitScan(KernelBuilder &b, tile::ScanAttr kernel) {
  Scan scan(b, kernel);
  switch (kernel.getKind()) {
  case llm::ScanKind::diagonal:
    return emitDiagonal(scan);
  case llm::ScanKind::scalar:
    return emitScalar(scan);
  case llm::ScanKind::delta:
    return emitDelta(scan);
  case llm::ScanKind::gated:
    return emitGated(scan);
  case llm::ScanKind::wkv:
    return emitWkv(scan);
  }
}

int64_t scanScratchBytes(tile::ScanAttr scan, int64_t maxTokens) {
  if (scan.getKind() == llm::ScanKind::diagonal)
    return scan.getStates() * kLanes * 4;
  return scan.getKind() == llm::ScanKind::scalar ? maxTokens * kScalarToken : 0;
}

} // namespace llmc::kernels
