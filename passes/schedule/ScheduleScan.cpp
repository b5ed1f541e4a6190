// The ops of LLMScanOps.td.
#include "dialects/llm/Shapes.h"
#include "passes/schedule/StepBuilder.h"

#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace llmc;
using namespace llmc::llm;
using namespace llmc::schedule;

bool StepBuilder::visitScan(Operation &op) {
  auto kernel = [&](tile::Pointwise kind, int64_t group = 1) {
    return tile::PointwiseKernelAttr::get(b.getContext(), kind, channels(op.getResult(0)), 0.0, {}, group);
  };
  return TypeSwitch<Operation *, bool>(&op)
      .Case([&](ColumnsOp op) { return columns(op), true; })
      .Case([&](ConcatOp op) { return concat(op), true; })
      .Case([&](UnitNormOp op) { return unitNorm(op), true; })
      .Case([&](AddBiasOp op) { return pointwise(op, kernel(tile::Pointwise::add)), true; })
      .Case([&](MixOp op) { return pointwise(op, kernel(tile::Pointwise::mix)), true; })
      .Case([&](MulOp op) {
        return pointwise(op, kernel(tile::Pointwise::mul, channels(op.getX()) / channels(op.getFactor()))), true;
      })
      .Case([&](ScaleChannelsOp op) {
        return pointwise(op, kernel(tile::Pointwise::mul, channels(op.getX()) / channels(op.getWeight()))), true;
      })
      .Default(false);
}

// A view: its rows are parts of the rows of `x`.
void StepBuilder::columns(ColumnsOp op) {
  Stored view = stored(op.getX());
  view.channels = channels(op.getY());
  view.offset += op.getBegin() * 4;
  view.owned = false;
  storage[op.getY()] = view;
}

// Each part is copied to its place.
void StepBuilder::concat(ConcatOp op) {
  Stored to = destination(op.getY(), stored(op.getParts()[0]).rows, "concat");
  for (Value part : op.getParts()) {
    Stored from = stored(part);
    to.channels = from.channels;
    copyRows(from, to);
    to.offset += from.channels * 4;
  }
}

void StepBuilder::unitNorm(UnitNormOp op) {
  Stored x = stored(op.getX()), to = destination(op.getY(), x.rows, "norm");
  auto kernel = tile::UnitNormAttr::get(b.getContext(), x.channels, op.getGroup(), op.getEps().convertToDouble());
  rowOp(x.rows, [&](Value row) { call("unit_norm", kernel, {rowPointer(x, row), rowPointer(to, row)}); });
}
