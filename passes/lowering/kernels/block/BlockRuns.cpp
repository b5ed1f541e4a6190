#include "passes/lowering/kernels/block/BlockRuns.h"

#include "passes/lowering/kernels/RowMath.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;
using llmc::llm::Format;

namespace llmc::kernels {

Tokens tokensOfBlock(BlockBuilder &b, Tokens tokens) {
  for (Value *pointer : {&tokens.positions, &tokens.slots, &tokens.first, &tokens.second})
    *pointer = b.global(*pointer);
  tokens.endOf = [&b, slots = tokens.slots, count = tokens.count](Value start, Value slot) {
    Value from = b.add(b.add(start, b.constant(1)), b.lane());
    Value end = b.loop(from, count, kWarp, ValueRange{count}, [&](Value token, ValueRange carried) {
      Value ends = b.compare(arith::CmpIPredicate::ne, b.load(b.getI32Type(), floatAt(b, slots, token), 4), slot);
      return Values{b.select(ends, b.minimum(token, carried[0]), carried[0])};
    })[0];
    Value first = b.reduceWarp(b.truncate(end, b.getI32Type()), [&](Value a, Value c) { return b.minimum(a, c); });
    return b.extendSigned(first, b.getI64Type());
  };
  return tokens;
}

Scan scanOfBlock(BlockBuilder &b, tile::ScanAttr kernel) {
  Scan scan(b, kernel);
  for (Value *pointer : {&scan.x, &scan.a, &scan.step, &scan.input, &scan.output, &scan.beta, &scan.skip, &scan.y})
    if (*pointer)
      *pointer = b.global(*pointer);
  scan.tokens = tokensOfBlock(b, scan.tokens);
  return scan;
}

Value panelNumber(BlockBuilder &b, Format format, Value panel, Value column, Value lane) {
  if (format == Format::f32)
    return b.load(b.getF32Type(), floatAt(b, b.at(panel, column, 64), lane), 4);
  if (format == Format::f16) {
    Value bits = b.load(b.getI16Type(), b.at(b.at(panel, column, 32), lane, 2), 2);
    return arith::ExtFOp::create(b, b.getF32Type(), arith::BitcastOp::create(b, b.getF16Type(), bits).getResult());
  }
  Value pair = b.at(b.at(panel, b.shiftRight(column, 1), 64), lane, 4);
  Value bits = b.load(b.getI16Type(), b.at(pair, b.bitAnd(column, 1), 2), 2);
  return b.bitcast(b.shiftLeft(b.extendUnsigned(bits, b.getI32Type()), 16), b.getF32Type());
}

} // namespace llmc::kernels
