#include "passes/lowering/kernels/Recurrence.h"

#include "passes/lowering/kernels/RowMath.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;

namespace llmc::kernels {

Values choose(KernelBuilder &b, Value condition, llvm::function_ref<Values()> yes, llvm::function_ref<Values()> no) {
  // The results' types are known once a side has been built: both are built apart.
  Region yesRegion, noRegion;
  auto fill = [&](Region &region, llvm::function_ref<Values()> side) {
    OpBuilder::InsertionGuard inside(b);
    b.createBlock(&region);
    Values values = side();
    scf::YieldOp::create(b, values);
    return values;
  };
  Values values = fill(yesRegion, yes);
  fill(noRegion, no);
  SmallVector<Type> types;
  for (Value value : values)
    types.push_back(value.getType());
  auto op = scf::IfOp::create(b, types, condition, /*addThenBlock=*/false, /*addElseBlock=*/false);
  op.getThenRegion().takeBody(yesRegion);
  op.getElseRegion().takeBody(noRegion);
  return Values(op.getResults());
}

// Counts on while `more` holds.
static Value countWhile(KernelBuilder &b, Value from, llvm::function_ref<Value(Value)> more, llvm::function_ref<Value(Value)> next) {
  auto within = [&](llvm::function_ref<void(Value)> body) {
    return [&b, body](OpBuilder &, Location, ValueRange carried) {
      OpBuilder::InsertionGuard guard(b);
      b.setInsertionPointToEnd(carried[0].getParentBlock());
      body(carried[0]);
    };
  };
  auto before = [&](Value at) { scf::ConditionOp::create(b, more(at), ValueRange{at}); };
  auto after = [&](Value at) { scf::YieldOp::create(b, ValueRange{next(at)}); };
  return scf::WhileOp::create(b, TypeRange{from.getType()}, ValueRange{from}, within(before), within(after)).getResult(0);
}

void Tokens::forRuns(KernelBuilder &b, llvm::function_ref<void(const Run &)> body) const {
  Type i32 = b.getI32Type(), i64 = b.getI64Type();
  auto entry = [&](Value array, Value token) { return b.load(i32, b.at(array, token, 4), 4); };
  auto address = [&](Value pointer) { return LLVM::PtrToIntOp::create(b, i64, pointer).getResult(); };
  Value slotBytes = b.sub(address(second), address(first));
  auto less = arith::CmpIPredicate::slt;
  countWhile(b, b.constant(0), [&](Value start) { return b.compare(less, start, count); }, [&](Value start) {
    Value slot = entry(slots, start);
    auto goesOn = [&](Value end) {
      Value inside = b.compare(less, end, count);
      return choose(b, inside, [&] { return Values{b.compare(arith::CmpIPredicate::eq, entry(slots, end), slot)}; },
                    [&] { return Values{inside}; })[0];
    };
    Value end = endOf ? endOf(start, slot) : countWhile(b, b.add(start, b.constant(1)), goesOn, [&](Value end) { return b.add(end, b.constant(1)); });
    Value fresh = b.compare(arith::CmpIPredicate::eq, entry(positions, start), b.constant(i32, 0));
    body({start, end, fresh, b.at(first, b.mul(b.extendSigned(slot, i64), slotBytes), 1)});
    return end;
  });
}

void forPanels(KernelBuilder &b, Value tile, int64_t panels, int64_t heads, int64_t width, llvm::function_ref<void(const Panel &)> body) {
  int64_t ofHead = (width + kLanes - 1) / kLanes, rest = width % kLanes, all = heads * ofHead;
  Value from = b.mul(tile, b.constant(panels));
  Value to = b.minimum(b.add(from, b.constant(panels)), b.constant(all));
  b.loop(from, to, 1, [&](Value panel) {
    Value head = heads == 1 ? b.constant(0) : arith::DivUIOp::create(b, panel, b.constant(ofHead)).getResult();
    Value place = heads == 1 ? panel : arith::RemUIOp::create(b, panel, b.constant(ofHead)).getResult();
    Value inHead = b.mul(place, b.constant(kLanes));
    Value channel = b.add(b.mul(head, b.constant(width)), inHead);
    auto emit = [&](int64_t lanes) { body({head, channel, inHead, b.floats(lanes)}); };
    if (!rest || ofHead == 1)
      return emit(rest ? rest : kLanes);
    auto branch = scf::IfOp::create(b, b.compare(arith::CmpIPredicate::slt, place, b.constant(ofHead - 1)), /*withElseRegion=*/true);
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(branch.thenBlock());
    emit(kLanes);
    b.setInsertionPointToStart(branch.elseBlock());
    emit(rest);
  });
}

Value panelColumn(KernelBuilder &b, llm::Format format, Value panel, Value column, VectorType lanes) {
  if (format == llm::Format::f32)
    return b.load(lanes, b.at(panel, column, kLanes * 4), 4);
  if (format == llm::Format::f16)
    return b.slice(b.loadHalves(kLanes, b.at(panel, column, kLanes * 2)), 0, lanes.getNumElements());
  // bf16: columns 2i and 2i + 1 are the low and the high halves of 16 words.
  Value words = b.load(b.words(kLanes), b.at(panel, arith::DivUIOp::create(b, column, b.constant(2)), kLanes * 4), 4);
  Value isOdd = b.compare(arith::CmpIPredicate::ne, b.bitAnd(column, 1), b.constant(0));
  Value all = b.bitcast(b.select(isOdd, b.bitAnd(words, 0xffff0000), b.shiftLeft(words, 16)), b.floats(kLanes));
  return b.slice(all, 0, lanes.getNumElements());
}

Value panelAddress(KernelBuilder &b, llm::Format format, Value weight, Value index, int64_t columns) {
  return b.at(weight, index, tile::panelBytes(format, columns));
}

} // namespace llmc::kernels
