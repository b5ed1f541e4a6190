// Convolution, shift, and recurrences with few numbers a channel, by a block: a lane has a channel, so that a warp reads and writes whole
// lines. Where no token waits for the one before, the warps share out the tokens.
#include "passes/lowering/kernels/RowMath.h"
#include "passes/lowering/kernels/block/BlockKernels.h"
#include "passes/lowering/kernels/block/BlockRuns.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;

namespace llmc::kernels {
namespace {

// A lane's channel: the last one for lanes beyond it, which write nothing.
struct Channel {
  Value index, exists;
};

// Calls `body` for the channels of tile `tile`, as many at a time as a warp has lanes: every warp takes them all, or one after the other.
void forChannelsOfTile(BlockBuilder &b, Value tile, int64_t panels, int64_t channels, bool byWarps, llvm::function_ref<void(const Channel &)> body) {
  Value first = b.mul(tile, b.constant(panels * kLanes)), end = b.minimum(b.add(first, b.constant(panels * kLanes)), b.constant(channels));
  Value from = byWarps ? b.add(first, b.mul(b.warp(), b.constant(kWarp))) : first;
  b.loop(from, end, byWarps ? kWarp * b.warps() : kWarp, [&](Value at) {
    Value index = b.add(at, b.lane());
    body({b.minimum(index, b.sub(end, b.constant(1))), b.compare(arith::CmpIPredicate::slt, index, end)});
  });
}

//===----------------------------------------------------------------------===//
// Convolution and shift
//===----------------------------------------------------------------------===//

// What both see of a channel: the rows before a run are those that its state has, or zeros.
class Window {
public:
  Window(BlockBuilder &b, Value x, int64_t xBytes, int64_t channels, int64_t kept) : b(b), x(b.global(x)), xBytes(xBytes), channels(channels), kept(kept) {}

  // The channel's input of token t, which may lie up to `kept` before the run.
  Value input(const Run &run, const Channel &channel, Value t) {
    Value isInside = b.compare(arith::CmpIPredicate::sge, t, run.start), before = b.add(b.sub(t, run.start), b.constant(kept));
    Value ofState = b.at(floatAt(b, run.state, channel.index), before, channels * 4);
    Value loaded = b.load(b.getF32Type(), b.select(isInside, b.at(floatAt(b, x, channel.index), t, xBytes), ofState), 4);
    Value isZero = arith::AndIOp::create(b, run.fresh, b.compare(arith::CmpIPredicate::slt, t, run.start));
    return b.select(isZero, b.constant(b.getF32Type(), 0.0), loaded);
  }

  // Gives y of each of the run's tokens to `body`, then moves the state on: all have read it before, and none reads it before it is moved.
  void pass(const Run &run, const Channel &channel, llvm::function_ref<void(Value t)> body) {
    b.loop(b.add(run.start, b.warp()), run.end, b.warps(), body);
    b.barrier();
    Value isMover = arith::AndIOp::create(b, channel.exists, b.compare(arith::CmpIPredicate::eq, b.warp(), b.constant(0)));
    b.onlyIf(isMover, [&] {
      Value first = b.sub(run.end, b.constant(kept));
      for (int64_t k = 0; k < kept; ++k) // ascending: what a short run keeps moves towards the start
        b.store(input(run, channel, b.add(first, b.constant(k))), b.at(floatAt(b, run.state, channel.index), k * channels * 4), 4);
    });
    b.barrier();
  }

private:
  BlockBuilder &b;
  Value x;
  const int64_t xBytes, channels, kept;
};

// Arguments as emitConv.
void emitBlockConv(BlockBuilder &b, tile::ConvAttr kernel) {
  int64_t channels = kernel.getChannels(), taps = kernel.getTaps();
  unsigned next = kernel.getBias() ? 7 : 6;
  Value weight = b.global(b.argument(5)), bias = kernel.getBias() ? b.global(b.argument(6)) : Value(), y = b.global(b.argument(next + 2));
  Tokens tokens = tokensOfBlock(b, {b.argument(1), b.argument(2), b.argument(3), b.argument(next), b.argument(next + 1)});
  Window window(b, b.argument(4), kernel.getXBytes(), channels, taps - 1);
  forChannelsOfTile(b, b.argument(0), kernel.getPanels(), channels, /*byWarps=*/false, [&](const Channel &channel) {
    Value panel = panelAddress(b, kernel.getFormat(), weight, b.shiftRight(channel.index, 4), taps), lane = b.bitAnd(channel.index, kLanes - 1);
    Values factors;
    for (int64_t k = 0; k < taps; ++k)
      factors.push_back(panelNumber(b, kernel.getFormat(), panel, b.constant(k), lane));
    Value base = bias ? b.load(b.getF32Type(), floatAt(b, bias, channel.index), 4) : b.constant(b.getF32Type(), 0.0);
    tokens.forRuns(b, [&](const Run &run) {
      window.pass(run, channel, [&](Value t) {
        Value sum = base;
        for (int64_t k = 0; k < taps; ++k)
          sum = b.fma(window.input(run, channel, b.add(t, b.constant(k + 1 - taps))), factors[size_t(k)], sum);
        if (kernel.getActivation())
          sum = activate(b, kernel.getActivation().getValue(), sum);
        b.onlyIf(channel.exists, [&] { b.store(sum, b.at(floatAt(b, y, channel.index), t, channels * 4), 4); });
      });
    });
  });
}

void emitBlockShift(BlockBuilder &b, tile::ShiftAttr kernel) {
  int64_t channels = kernel.getChannels();
  Value y = b.global(b.argument(7));
  Tokens tokens = tokensOfBlock(b, {b.argument(1), b.argument(2), b.argument(3), b.argument(5), b.argument(6)});
  Window window(b, b.argument(4), kernel.getXBytes(), channels, 1);
  forChannelsOfTile(b, b.argument(0), kernel.getPanels(), channels, /*byWarps=*/false, [&](const Channel &channel) {
    tokens.forRuns(b, [&](const Run &run) {
      window.pass(run, channel, [&](Value t) {
        Value before = window.input(run, channel, b.sub(t, b.constant(1)));
        b.onlyIf(channel.exists, [&] { b.store(before, b.at(floatAt(b, y, channel.index), t, channels * 4), 4); });
      });
    });
  });
}

//===----------------------------------------------------------------------===//
// Gated and wkv
//===----------------------------------------------------------------------===//

Panel panelOf(BlockBuilder &b, const Channel &channel) { return {b.constant(0), channel.index, channel.index, b.floats(1)}; }

// Decays and what is added are made by all warps, a token each; the first warp then goes from token to token.
class GatedScan {
public:
  GatedScan(BlockBuilder &b, const Scan &scan) : b(b), scan(scan), decays(b.shared(kTokens * kWarp * 4)), added(b.shared(kTokens * kWarp * 4)) {}

  void pass(const Gated &gated, const Channel &channel, const Run &run) {
    Value isFirstWarp = b.compare(arith::CmpIPredicate::eq, b.warp(), b.constant(0)), isMover = arith::AndIOp::create(b, channel.exists, isFirstWarp);
    Value state = b.select(run.fresh, zero(), b.load(b.getF32Type(), gated.stateAt(run), 4));
    Value last = b.loop(run.start, run.end, kTokens, ValueRange{state}, [&](Value first, ValueRange before) {
      Value tokens = b.minimum(b.sub(run.end, first), b.constant(kTokens));
      b.loop(b.warp(), tokens, b.warps(), [&](Value number) {
        auto [decay, more] = gated.factors(run, b.add(first, number));
        b.store(vector::ExtractOp::create(b, decay, int64_t(0)), at(decays, number), 4);
        b.store(vector::ExtractOp::create(b, more, int64_t(0)), at(added, number), 4);
      });
      b.barrier();
      Values after = choose(b, isMover, [&] { return chain(channel, first, tokens, before[0]); }, [&] { return Values{before[0]}; });
      b.barrier();
      return after;
    })[0];
    b.onlyIf(isMover, [&] { b.store(last, gated.stateAt(run), 4); });
    b.barrier(); // all have read the state of a run before; the next may be of the same slot
  }

private:
  static constexpr int64_t kTokens = 64;
  Value zero() { return b.constant(b.getF32Type(), 0.0); }
  Value at(Value numbers, Value token) { return b.at(b.at(numbers, token, kWarp * 4), b.lane(), 4); }

  Values chain(const Channel &channel, Value first, Value tokens, Value before) {
    return b.loop(b.constant(0), tokens, 1, ValueRange{before}, [&](Value number, ValueRange carried) {
      Value decay = b.load(b.getF32Type(), at(decays, number), 4), more = b.load(b.getF32Type(), at(added, number), 4);
      Value after = b.fma(decay, carried[0], more);
      b.store(after, b.at(floatAt(b, scan.y, channel.index), b.add(first, number), scan.kernel.getChannels() * 4), 4);
      return Values{after};
    });
  }

  BlockBuilder &b;
  const Scan &scan;
  Value decays, added; // shared, [tokens][lanes]
};

void emitChannelScan(BlockBuilder &b, tile::ScanAttr kernel) {
  Scan scan = scanOfBlock(b, kernel);
  int64_t channels = kernel.getChannels();
  if (kernel.getKind() == llm::ScanKind::wkv)
    return forChannelsOfTile(b, b.argument(0), kernel.getPanels(), channels, /*byWarps=*/true, [&](const Channel &channel) {
      Panel panel = panelOf(b, channel);
      Wkv wkv(scan, panel);
      scan.tokens.forRuns(b, [&](const Run &run) { b.onlyIf(channel.exists, [&] { wkv.pass(run); }); });
    });
  GatedScan gatedScan(b, scan);
  forChannelsOfTile(b, b.argument(0), kernel.getPanels(), channels, /*byWarps=*/false, [&](const Channel &channel) {
    Panel panel = panelOf(b, channel);
    Gated gated(scan, panel);
    scan.tokens.forRuns(b, [&](const Run &run) { gatedScan.pass(gated, channel, run); });
  });
}

bool takesChannelScan(Attribute attribute, tile::TargetAttr) {
  return llvm::is_contained({llm::ScanKind::gated, llm::ScanKind::wkv}, cast<tile::ScanAttr>(attribute).getKind());
}

} // namespace

ArrayRef<BlockKind> blockChannelKinds() {
  static const BlockKind kinds[] = {blockKind<tile::ConvAttr, emitBlockConv>(), blockKind<tile::ShiftAttr, emitBlockShift>(),
                                    blockKind<tile::ScanAttr, emitChannelScan>(takesChannelScan)};
  return kinds;
}

} // namespace llmc::kernels
