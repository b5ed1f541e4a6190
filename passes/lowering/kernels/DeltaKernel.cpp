// The gated delta rule token by token: a panel of 16 values of a head goes through all tokens, its keys' states in L1.
//
// With h the state before the token, d its decay, k its key, q its query, v its value: what k recalls is d (h . k), the state takes in
// k times c = beta (v - d (h . k)), and q reads d (h . q) + (k . q) c. So one pass reads both products, another moves the state.
#include "passes/lowering/kernels/RowMath.h"
#include "passes/lowering/kernels/Scan.h"

#include <numbers>

using namespace mlir;

namespace llmc::kernels {
namespace {

constexpr int64_t kUnroll = 4; // sums side by side, so that they overlap

struct Products {
  Value recalled, read, same; // h . k, h . q, k . q
};

struct Delta {
  const Scan &scan;
  KernelBuilder &b;
  int64_t keys;

  // One lane or a panel of each.
  Products products(const Panel &panel, Value state, Value key, Value query) {
    Value zero = b.constant(panel.lanes, 0.0);
    int64_t bytes = panel.lanes.getNumElements() * 4, whole = keys / kUnroll * kUnroll;
    auto add = [&](Value k, Values sums) {
      Value h = b.load(panel.lanes, b.at(state, k, bytes), 4);
      Value in = b.loadBroadcast(panel.lanes, b.getF32Type(), floatAt(b, key, k));
      Value out = b.loadBroadcast(panel.lanes, b.getF32Type(), floatAt(b, query, k));
      return Values{b.fma(h, in, sums[0]), b.fma(h, out, sums[1]), b.fma(in, out, sums[2])};
    };
    Values sums(3 * kUnroll, zero);
    if (whole)
      sums = b.loop(b.constant(0), b.constant(whole), kUnroll, sums, [&](Value k, ValueRange before) {
        Values after;
        for (int64_t i = 0; i < kUnroll; ++i)
          after.append(add(b.add(k, b.constant(i)), Values(before.slice(size_t(3 * i), 3))));
        return after;
      });
    for (int64_t k = whole; k < keys; ++k)
      llvm::copy(add(b.constant(k), Values(ArrayRef<Value>(sums).take_front(3))), sums.begin());
    auto total = [&](size_t which) {
      return b.add(b.add(sums[which], sums[3 + which]), b.add(sums[6 + which], sums[9 + which]));
    };
    return {total(0), total(1), total(2)};
  }

  void move(const Panel &panel, Value state, Value key, Value decay, Value change) {
    int64_t bytes = panel.lanes.getNumElements() * 4;
    b.loop(b.constant(0), b.constant(keys), 1, [&](Value k) {
      Value at = b.at(state, k, bytes), in = b.loadBroadcast(panel.lanes, b.getF32Type(), floatAt(b, key, k));
      b.store(b.fma(in, change, b.mul(decay, b.load(panel.lanes, at, 4))), at, 4);
    });
  }
};

} // namespace

void emitDelta(const Scan &scan) {
  KernelBuilder &b = scan.b;
  tile::ScanAttr kernel = scan.kernel;
  Delta delta{scan, b, kernel.getStates()};
  Type f32 = b.getF32Type();
  forPanels(b, b.argument(0), kernel.getPanels(), kernel.getHeads(), kernel.getWidth(), [&](const Panel &panel) {
    Value rate = scan.rate(b.loadBroadcast(panel.lanes, f32, floatAt(b, scan.a, panel.head)), std::numbers::log2e);
    scan.tokens.forRuns(b, [&](const Run &run) {
      Value state = scan.stateAt(run, panel, b.constant(0));
      b.onlyIf(run.fresh, [&] {
        b.loop(b.constant(0), b.constant(delta.keys), 1, [&](Value k) {
          b.store(b.constant(panel.lanes, 0.0), b.at(state, k, panel.lanes.getNumElements() * 4), 4);
        });
      });
      b.loop(run.start, run.end, 1, [&](Value t) {
        Value key = scan.inputOf(panel, t), query = scan.outputOf(panel, t);
        Value decay = powerOfTwo(b, b.mul(b.broadcast(scan.loadStepOfHead(panel, t), panel.lanes), rate));
        Value beta = b.loadBroadcast(panel.lanes, f32, b.at(floatAt(b, scan.beta, panel.head), t, kernel.getBetaBytes()));
        Products products = delta.products(panel, state, key, query);
        Value change = b.mul(beta, b.sub(scan.loadX(panel, t), b.mul(decay, products.recalled)));
        b.store(b.fma(products.same, change, b.mul(decay, products.read)), scan.yOf(panel, t), 4);
        delta.move(panel, state, key, decay, change);
      });
    });
  });
}

} // namespace llmc::kernels
