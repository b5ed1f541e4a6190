// Recurrences with many numbers a channel, token by token, by a block: a thread has one channel of a panel and some neighbouring states of it,
// which stay in registers from the first token of a run to the last.
//
// Some tokens at a time: what they bring is copied to shared memory by all threads, so that the loads wait together; then each thread takes
// its states from token to token. What the states of a channel give is added up by the two halves of a warp and, through shared memory, by the
// warps: of all those tokens together where the states don't wait for it (`diagonal`, `scalar`), and of each token where they do (`delta`).
#include "passes/lowering/kernels/RowMath.h"
#include "passes/lowering/kernels/block/BlockKernels.h"
#include "passes/lowering/kernels/block/BlockRuns.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

#include <numbers>

using namespace mlir;

namespace llmc::kernels {
namespace {

constexpr int64_t kMostStates = 32;                              // of a thread
constexpr int64_t kMostTokens = 16, kMostTokenBytes = 32 << 10; // in shared memory at a time
constexpr int64_t kSumsOfDelta = 3;

// How the states of a panel fall to threads.
struct StateLanes {
  int64_t states, groups, count, padded, tokens; // a group of threads has `count` states of each channel

  StateLanes(tile::ScanAttr kernel, int64_t threads)
      : states(kernel.getStates()), groups(threads / kLanes), count((states + groups - 1) / groups), padded(count * groups),
        tokens(std::min(kMostTokens, kMostTokenBytes / (2 * padded * 4))) {}
};

class PanelScan {
public:
  PanelScan(BlockBuilder &b, const Scan &scan)
      : b(b), scan(scan), kernel(scan.kernel), isDelta(kernel.getKind() == llm::ScanKind::delta), isDiagonal(kernel.getKind() == llm::ScanKind::diagonal),
        own(kernel, b.threads()), lane(b.bitAnd(b.thread(), kLanes - 1)), group(b.shiftRight(b.thread(), 4)) {
    for (Value *rows : {&inputs, &outputs})
      *rows = b.shared(own.tokens * own.padded * 4);
    for (Value *rows : {&taken, &fades, &betas})
      if (rows != &betas || isDelta)
        *rows = b.shared(own.tokens * kLanes * 4);
    sums = b.shared((isDelta ? 2 * kSumsOfDelta : own.tokens) * sumBytes());
  }

  // The tile's panels.
  void emit() {
    int64_t all = kernel.getHeads() * kernel.getPanelsOfHead(), ofTile = kernel.getPanels();
    if (ofTile == 1)
      return passPanel(b.argument(0));
    Value first = b.mul(b.argument(0), b.constant(ofTile));
    b.loop(first, b.minimum(b.add(first, b.constant(ofTile)), b.constant(all)), 1, [&](Value number) { passPanel(number); });
  }

private:
  Type f32() { return b.getF32Type(); }
  Value load(Value row, Value index) { return b.load(f32(), floatAt(b, row, index), 4); }
  Value loadOf(Value operand, Value channel, Value t, int64_t rowBytes) { return b.load(f32(), b.at(floatAt(b, operand, channel), t, rowBytes), 4); }
  int64_t sumBytes() const { return b.warps() * kLanes * 4; }

  // All tokens, in panel `number` of the heads' panels.
  void passPanel(Value number) {
    begin(number);
    scan.tokens.forRuns(b, [&](const Run &run) { pass(run); });
  }
  void begin(Value number);
  void pass(const Run &run);

  Value indexOf(int64_t i) { return b.add(b.mul(group, b.constant(own.count)), b.constant(i)); } // of the thread's state number i
  Value exists(Value index) { return b.compare(arith::CmpIPredicate::slt, index, b.constant(own.states)); }
  Value inside(Value index) { return b.minimum(index, b.constant(own.states - 1)); }
  Value stateAt(const Run &run, Value index);
  Values loadStates(const Run &run);
  void storeStates(const Run &run, ValueRange values);

  void copyTokens(Value first, Value tokens);
  void copyLane(Value number, Value ofLane, Value t);
  Value rowOf(Value rows, Value number) { return b.at(rows, number, kLanes * 4); }
  Values ownOf(Value rows, Value number);
  void leave(Value sum, Value to);
  Value total(Value from, Value ofLane);

  Value advance(Value number, Values &values);
  void finish(Value first, Value tokens);
  void advanceDelta(Value number, Value t, Values &values);

  BlockBuilder &b;
  const Scan &scan;
  tile::ScanAttr kernel;
  const bool isDelta, isDiagonal;
  const StateLanes own;
  Value lane, group;
  // Shared. Of tokens: [tokens][padded], and [tokens][16] what x adds (`delta`: x), the decay (`diagonal`: the step) and beta.
  Value inputs, outputs, taken, fades, betas, sums;

  // Of the panel.
  Panel panel;               // its head
  Value lanes, hasChannel;   // how many channels it has; whether the thread has one
  Values rates;              // of each of the thread's states, or one for all; in units of log2(e)
};

void PanelScan::begin(Value number) {
  Value ofHead = b.constant(kernel.getPanelsOfHead()), width = b.constant(kernel.getWidth());
  panel.head = arith::DivUIOp::create(b, number, ofHead);
  panel.inHead = b.mul(arith::RemUIOp::create(b, number, ofHead), b.constant(kLanes));
  panel.channel = b.add(b.mul(panel.head, width), panel.inHead);
  lanes = b.constant(kLanes);
  if (kernel.getWidth() % kLanes)
    lanes = b.minimum(b.sub(width, panel.inHead), lanes);
  hasChannel = b.compare(arith::CmpIPredicate::slt, lane, lanes);
  rates.clear();
  if (!isDiagonal)
    return rates.push_back(scan.rate(load(scan.a, panel.head), std::numbers::log2e));
  Value packed = panelAddress(b, kernel.getFormat(), scan.a, number, own.states);
  for (int64_t i = 0; i < own.count; ++i)
    rates.push_back(scan.rate(panelNumber(b, kernel.getFormat(), packed, inside(indexOf(i)), lane), std::numbers::log2e));
}

Value PanelScan::stateAt(const Run &run, Value index) {
  Value before = b.mul(panel.channel, b.constant(own.states)), ofState = b.minimum(lane, b.sub(lanes, b.constant(1)));
  return floatAt(b, floatAt(b, run.state, before), b.add(b.mul(index, lanes), ofState));
}

Values PanelScan::loadStates(const Run &run) {
  Values values;
  Value zero = b.constant(f32(), 0.0);
  for (int64_t i = 0; i < own.count; ++i) {
    Value index = indexOf(i), loaded = b.load(f32(), stateAt(run, inside(index)), 4);
    values.push_back(b.select(run.fresh, zero, own.padded == own.states ? loaded : b.select(exists(index), loaded, zero)));
  }
  return values;
}

void PanelScan::storeStates(const Run &run, ValueRange values) {
  for (auto [i, value] : llvm::enumerate(values)) {
    Value index = indexOf(int64_t(i)), isOwn = own.padded == own.states ? hasChannel : arith::AndIOp::create(b, hasChannel, exists(index)).getResult();
    b.onlyIf(isOwn, [&, value = value] { b.store(value, stateAt(run, index), 4); });
  }
}

// Tokens first … first + tokens - 1; zeros stand for states beyond the last.
void PanelScan::copyTokens(Value first, Value tokens) {
  b.eachThread(b.mul(tokens, b.constant(own.padded)), 1, [&](Value at) {
    Value number = arith::DivUIOp::create(b, at, b.constant(own.padded)), index = arith::RemUIOp::create(b, at, b.constant(own.padded));
    Value t = b.add(first, number), isThere = exists(index);
    b.copyAsyncOrZero(4, floatAt(b, inputs, at), floatAt(b, scan.inputOf(panel, t), inside(index)), isThere);
    b.copyAsyncOrZero(4, floatAt(b, outputs, at), floatAt(b, scan.outputOf(panel, t), inside(index)), isThere);
  });
  b.commitCopies();
  b.eachThread(b.mul(tokens, b.constant(kLanes)), 1, [&](Value at) {
    Value number = b.shiftRight(at, 4);
    copyLane(number, b.bitAnd(at, kLanes - 1), b.add(first, number));
  });
  b.awaitCopies(0);
  b.barrier();
}

void PanelScan::copyLane(Value number, Value ofLane, Value t) {
  Value channel = b.add(panel.channel, b.minimum(ofLane, b.sub(lanes, b.constant(1)))), x = loadOf(scan.x, channel, t, kernel.getXBytes());
  Value step = isDiagonal ? scan.clamp(loadOf(scan.step, channel, t, kernel.getStepBytes())) : scan.loadStepOfHead(panel, t);
  auto store = [&](Value value, Value rows) { b.store(value, floatAt(b, rowOf(rows, number), ofLane), 4); };
  store(isDelta ? x : b.mul(step, x), taken);
  store(isDiagonal ? step : powerOfTwo(b, b.mul(step, rates[0])), fades);
  if (isDelta)
    store(loadOf(scan.beta, panel.head, t, kernel.getBetaBytes()), betas);
}

// A token's numbers of the thread's states.
Values PanelScan::ownOf(Value rows, Value number) {
  int64_t together = own.count % 4 == 0 ? 4 : own.count % 2 == 0 ? 2 : 1;
  Value from = b.at(b.at(rows, number, own.padded * 4), group, own.count * 4);
  Values numbers;
  for (int64_t i = 0; i < own.count; i += together)
    llvm::append_range(numbers, b.elements(b.load(b.floats(together), b.at(from, i * 4), unsigned(together * 4))));
  return numbers;
}

// Over the states of each channel that the warp has, to the warp's place at `to`.
void PanelScan::leave(Value sum, Value to) {
  Value both = b.add(sum, b.shuffleXor(sum, kLanes));
  b.onlyIf(b.compare(arith::CmpIPredicate::slt, b.lane(), b.constant(kLanes)), [&] {
    b.store(both, floatAt(b, b.at(to, b.warp(), kLanes * 4), lane), 4);
  });
}

Value PanelScan::total(Value from, Value ofLane) {
  Value sum;
  for (int64_t warp = 0; warp < b.warps(); ++warp) {
    Value part = load(b.at(from, warp * kLanes * 4), ofLane);
    sum = sum ? b.add(sum, part) : part;
  }
  return sum;
}

void PanelScan::pass(const Run &run) {
  Values last = b.loop(run.start, run.end, own.tokens, loadStates(run), [&](Value first, ValueRange before) {
    Value tokens = b.minimum(b.sub(run.end, first), b.constant(own.tokens));
    copyTokens(first, tokens);
    Values after = b.loop(b.constant(0), tokens, 1, before, [&](Value number, ValueRange carried) {
      Values values(carried);
      if (isDelta)
        advanceDelta(number, b.add(first, number), values);
      else
        leave(advance(number, values), b.at(sums, number, sumBytes()));
      return values;
    });
    b.barrier();
    if (!isDelta) {
      finish(first, tokens);
      b.barrier();
    }
    return after;
  });
  storeStates(run, last);
}

//===----------------------------------------------------------------------===//
// Diagonal and scalar
//===----------------------------------------------------------------------===//

// Gives what the thread's states make of the token.
Value PanelScan::advance(Value number, Values &values) {
  Values in = ownOf(inputs, number), out = ownOf(outputs, number);
  Value more = load(rowOf(taken, number), lane), fade = load(rowOf(fades, number), lane), sum = b.constant(f32(), 0.0);
  for (size_t i = 0; i < values.size(); ++i) {
    Value decay = isDiagonal ? powerOfTwo(b, b.mul(fade, rates[i])) : fade;
    values[i] = b.fma(more, in[i], b.mul(decay, values[i]));
    sum = b.fma(values[i], out[i], sum);
  }
  return sum;
}

// y of those tokens: a thread has a channel of one.
void PanelScan::finish(Value first, Value tokens) {
  b.eachThread(b.mul(tokens, b.constant(kLanes)), 1, [&](Value at) {
    Value number = b.shiftRight(at, 4), ofLane = b.bitAnd(at, kLanes - 1), t = b.add(first, number);
    b.onlyIf(b.compare(arith::CmpIPredicate::slt, ofLane, lanes), [&] {
      Value channel = b.add(panel.channel, ofLane), sum = total(b.at(sums, number, sumBytes()), ofLane);
      if (scan.skip)
        sum = b.fma(load(scan.skip, isDiagonal ? channel : panel.head), loadOf(scan.x, channel, t, kernel.getXBytes()), sum);
      b.store(sum, b.at(floatAt(b, scan.y, channel), t, kernel.getChannels() * 4), 4);
    });
  });
}

//===----------------------------------------------------------------------===//
// Delta: as DeltaKernel.cpp
//===----------------------------------------------------------------------===//

// The sums of a token lie in one half of the shared memory, those of the next in the other: so one barrier a token is enough.
void PanelScan::advanceDelta(Value number, Value t, Values &values) {
  Values keys = ownOf(inputs, number), queries = ownOf(outputs, number), parts(size_t(kSumsOfDelta), b.constant(f32(), 0.0)); // h . k, h . q, k . q
  for (size_t i = 0; i < values.size(); ++i) {
    parts[0] = b.fma(values[i], keys[i], parts[0]);
    parts[1] = b.fma(values[i], queries[i], parts[1]);
    parts[2] = b.fma(keys[i], queries[i], parts[2]);
  }
  Value half = b.at(sums, b.bitAnd(number, 1), kSumsOfDelta * sumBytes());
  for (auto [i, sum] : llvm::enumerate(parts))
    leave(sum, b.at(half, int64_t(i) * sumBytes()));
  b.barrier();
  Value recalled = total(half, lane), read = total(b.at(half, sumBytes()), lane), same = total(b.at(half, 2 * sumBytes()), lane);
  Value fade = load(rowOf(fades, number), lane), x = load(rowOf(taken, number), lane);
  Value change = b.mul(load(rowOf(betas, number), lane), b.sub(x, b.mul(fade, recalled)));
  Value isFirstGroup = b.compare(arith::CmpIPredicate::slt, b.thread(), b.constant(kLanes));
  b.onlyIf(arith::AndIOp::create(b, hasChannel, isFirstGroup), [&] {
    Value y = b.at(floatAt(b, scan.y, b.add(panel.channel, lane)), t, kernel.getChannels() * 4);
    b.store(b.fma(same, change, b.mul(fade, read)), y, 4);
  });
  for (size_t i = 0; i < values.size(); ++i)
    values[i] = b.fma(keys[i], change, b.mul(fade, values[i]));
}

bool takesPanelScan(Attribute attribute, tile::TargetAttr target) {
  auto kernel = cast<tile::ScanAttr>(attribute);
  bool hasStates = llvm::is_contained({llm::ScanKind::diagonal, llm::ScanKind::scalar, llm::ScanKind::delta}, kernel.getKind());
  return hasStates && StateLanes(kernel, target.getThreads()).count <= kMostStates;
}

void emitPanelScan(BlockBuilder &b, tile::ScanAttr kernel) {
  Scan scan = scanOfBlock(b, kernel);
  PanelScan(b, scan).emit();
}

} // namespace

ArrayRef<BlockKind> blockScanKinds() {
  static const BlockKind kinds[] = {blockKind<tile::ScanAttr, emitPanelScan>(takesPanelScan)};
  return kinds;
}

} // namespace llmc::kernels
