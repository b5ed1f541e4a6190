// What kernels of recurrences share: runs of tokens, panels of channels, states in slots.
#pragma once

#include "passes/lowering/kernels/KernelBuilder.h"

#include <functional>

namespace llmc::kernels {

// A branch that gives values.
Values choose(KernelBuilder &b, Value condition, llvm::function_ref<Values()> yes, llvm::function_ref<Values()> no);

// The tokens of a step that follow one another in one slot.
struct Run {
  Value start, end; // tokens [start, end)
  Value fresh;      // i1: it begins at position 0, without a past
  Value state;      // of its slot
};

// The tokens of a step, and where a layer's state lies: `first` in slot 0, `second` in slot 1.
struct Tokens {
  Value count, positions, slots, first, second;
  // Gives the end of the run that begins at token `start` in `slot` (i32); null: token after token is asked.
  std::function<Value(Value start, Value slot)> endOf = {};
  void forRuns(KernelBuilder &b, llvm::function_ref<void(const Run &)> body) const;
};

// A panel: up to 16 channels of a row, or of one head.
struct Panel {
  Value head;       // i64; 0 where there are none
  Value channel;    // the first one's number in the row
  Value inHead;     // and in its head
  VectorType lanes; // f32 x their number
};
// Calls `body` for the panels of tile `tile`: `panels` of the heads' `width` channels. Emits it twice where the last panel of a head is
// narrower.
void forPanels(KernelBuilder &b, Value tile, int64_t panels, int64_t heads, int64_t width, llvm::function_ref<void(const Panel &)> body);

// Column `column` of a packed float panel, as f32 x lanes; `panel` is the panel's address. bf16 panels hold pairs of columns.
Value panelColumn(KernelBuilder &b, llm::Format format, Value panel, Value column, VectorType lanes);
// Address of panel number `index` of a packed weight with `columns` columns.
Value panelAddress(KernelBuilder &b, llm::Format format, Value weight, Value index, int64_t columns);

} // namespace llmc::kernels
