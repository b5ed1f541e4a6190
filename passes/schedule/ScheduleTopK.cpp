// The vocabulary product, where a step may be asked for the best tokens of each row alone.
//
// Then no logit is written at first, but for each panel of 16 tokens the greatest. The `best` panels of the greatest hold the `best` tokens; they
// are computed again, each by itself, which gives the same bits. What is read twice is little: 40 of the 16,384 panels of Gemma's vocabulary.
#include "passes/schedule/StepBuilder.h"

#include "dialects/tile/Layout.h"

using namespace mlir;
using namespace llmc;
using namespace llmc::llm;
using namespace llmc::schedule;

// Rows that the best may be wanted of: as many sequences as are decoded together, or more. A prompt whose rows are all wanted writes them.
constexpr int64_t kMostRows = 64;

static int64_t outputsOf(LinearOp op) { return cast<RankedTensorType>(op.getWeights()[0].getType()).getShape()[0]; }

void StepBuilder::topK(const Product &product, Value logits) {
  int64_t outputs = outputsOf(product.op);
  int64_t rows = std::min(maxTokens, kMostRows);
  target->setAttr("tile.best_rows", b.getI64IntegerAttr(rows));
  Value keys = memory(rows * tile::keyRowBytes(outputs), "keys");
  Value best = field("best");
  Value some = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::sgt, best, i64(0));
  auto choice = scf::IfOp::create(b, loc, some, /*withElseRegion=*/true);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPoint(choice.thenYield());
  bestOfRows(product, keys, best);
  b.setInsertionPoint(choice.elseYield());
  wholeProduct(product, logits);
}

void StepBuilder::bestOfRows(Product product, Value keys, Value best) {
  int64_t outputs = outputsOf(product.op);
  tile::Arithmetic arithmetic = product.kernel.getArithmetic();
  product.kernel = linearKernel(product.op, arithmetic, tile::Results::keys);
  wholeProduct(product, keys);

  Value rows = rowCount(product.x.rows), panels = field("best_panels"), logits = field("best_logits");
  auto at = [&](Value base, Value index, int64_t bytes) -> Value { return tile::RowOp::create(b, loc, pointerType(), base, index, bytes); };
  parallel(rows, [&](Value row) {
    Value out = at(panels, arith::MulIOp::create(b, loc, row, best), 4);
    call("best_panels", tile::BestPanelsAttr::get(b.getContext(), outputs),
         {best, at(keys, row, tile::keyRowBytes(outputs)), scratch(tile::bestPanelsScratchBytes(outputs)), out});
  });
  product.kernel = linearKernel(product.op, arithmetic, tile::Results::panel);
  parallel(arith::MulIOp::create(b, loc, rows, best), [&](Value number) {
    Value row = arith::DivSIOp::create(b, loc, number, best);
    Value panel = tile::EntryOp::create(b, loc, b.getI64Type(), panels, number);
    func::CallOp each = callLinear(product, panel, i64(1), rowPointer(product.x, row), at(logits, number, tile::kPanelOutputs * 4));
    each->setAttr("tile.calls", b.getI64IntegerAttr(tile::panelCount(outputs))); // that would read all of the weight
  });
}
