// Causal convolution and shift: a panel of channels goes through all tokens with its last inputs in registers.
//
// x: (tokens, channels), rows x_bytes apart; y: (tokens, channels); weight: panels of (taps, 16); state: (taps - 1, channels)
#include "passes/lowering/kernels/Emitters.h"
#include "passes/lowering/kernels/Recurrence.h"
#include "passes/lowering/kernels/RowMath.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;

namespace llmc::kernels {
namespace {

// The rows before a run: zeros, or what the state holds.
Values loadTail(KernelBuilder &b, const Run &run, const Panel &panel, int64_t channels, int64_t count) {
  auto zeros = [&] { return Values(size_t(count), b.constant(panel.lanes, 0.0)); };
  auto rows = [&] {
    Values tail;
    for (int64_t k = 0; k < count; ++k)
      tail.push_back(b.load(panel.lanes, b.at(floatAt(b, run.state, panel.channel), k * channels * 4), 4));
    return tail;
  };
  return choose(b, run.fresh, zeros, rows);
}

void storeTail(KernelBuilder &b, const Run &run, const Panel &panel, int64_t channels, ArrayRef<Value> tail) {
  for (auto [k, row] : llvm::enumerate(tail))
    b.store(row, b.at(floatAt(b, run.state, panel.channel), int64_t(k) * channels * 4), 4);
}

} // namespace

void emitConv(KernelBuilder &b, tile::ConvAttr kernel) {
  Value x = b.argument(4), weight = b.argument(5), bias = kernel.getBias() ? b.argument(6) : Value();
  unsigned next = kernel.getBias() ? 7 : 6;
  Tokens tokens{b.argument(1), b.argument(2), b.argument(3), b.argument(next), b.argument(next + 1)};
  Value y = b.argument(next + 2);
  int64_t channels = kernel.getChannels(), taps = kernel.getTaps();
  forPanels(b, b.argument(0), kernel.getPanels(), 1, channels, [&](const Panel &panel) {
    Value packed = panelAddress(b, kernel.getFormat(), weight, arith::DivUIOp::create(b, panel.channel, b.constant(kLanes)), taps);
    Values factors;
    for (int64_t k = 0; k < taps; ++k)
      factors.push_back(panelColumn(b, kernel.getFormat(), packed, b.constant(k), panel.lanes));
    Value base = bias ? b.load(panel.lanes, floatAt(b, bias, panel.channel), 4) : b.constant(panel.lanes, 0.0);
    Value from = floatAt(b, x, panel.channel), to = floatAt(b, y, panel.channel);
    tokens.forRuns(b, [&](const Run &run) {
      Values tail = loadTail(b, run, panel, channels, taps - 1);
      tail = b.loop(run.start, run.end, 1, tail, [&](Value t, ValueRange before) {
        Values rows(before);
        rows.push_back(b.load(panel.lanes, b.at(from, t, kernel.getXBytes()), 4));
        Value sum = base;
        for (auto [row, factor] : llvm::zip(rows, factors))
          sum = b.fma(row, factor, sum);
        if (kernel.getActivation())
          sum = activate(b, kernel.getActivation().getValue(), sum);
        b.store(sum, b.at(to, t, channels * 4), 4);
        return Values(llvm::drop_begin(rows));
      });
      storeTail(b, run, panel, channels, tail);
    });
  });
}

void emitShift(KernelBuilder &b, tile::ShiftAttr kernel) {
  Tokens tokens{b.argument(1), b.argument(2), b.argument(3), b.argument(5), b.argument(6)};
  int64_t channels = kernel.getChannels();
  forPanels(b, b.argument(0), kernel.getPanels(), 1, channels, [&](const Panel &panel) {
    Value from = floatAt(b, b.argument(4), panel.channel), to = floatAt(b, b.argument(7), panel.channel);
    tokens.forRuns(b, [&](const Run &run) {
      Values last = loadTail(b, run, panel, channels, 1);
      last = b.loop(run.start, run.end, 1, last, [&](Value t, ValueRange before) {
        b.store(before[0], b.at(to, t, channels * 4), 4);
        return Values{b.load(panel.lanes, b.at(from, t, kernel.getXBytes()), 4)};
      });
      storeTail(b, run, panel, channels, last);
    });
  });
}

} // namespace llmc::kernels
