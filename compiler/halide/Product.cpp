// One panel of 16 outputs times the rows of the step (layouts: dialects/tile/Layout.h).
//
// Every output is one chain of multiply-adds over inputs (f32 arithmetic) or over groups of 32 inputs (int8) in ascending order from 0,
// as in the compiler's own kernels and for any number of rows: the same bits. Integers are exact in any order.
#include "compiler/halide/Functions.h"

using namespace Halide;

namespace llmc::halide {
namespace {

constexpr int kOutputs = 16;

// What a product adds up: for each step `r` of `steps`, sum' = next(r, n, t, sum).
struct Chain {
  std::vector<Argument> arguments;
  int steps;
  std::function<Expr(Expr r, Expr n, Expr t, Expr sum)> next;
  Func dots; // to be computed for each step, if defined
};

// Rows of `stride` values of which the first `count` are read.
ImageParam rowsOf(Type type, int count, int stride, Expr rows) {
  ImageParam x(type, 2, "x");
  x.dim(0).set_bounds(0, count).set_stride(1);
  x.dim(1).set_bounds(0, rows).set_stride(stride);
  return x;
}

Chain f32Chain(const Product &kernel, Expr rows) {
  int inputs = static_cast<int>(kernel.inputs);
  ImageParam panel = denseInput("panel", {kOutputs, inputs}), x = rowsOf(Float(32), inputs, inputs, rows);
  return {{panel, x}, inputs, [=](Expr k, Expr n, Expr t, Expr sum) { return sum + panel(n, k) * x(k, t); }, {}};
}

// A word holds two inputs: the even one below.
Chain bf16Chain(const Product &kernel, Expr rows) {
  int inputs = static_cast<int>(kernel.inputs);
  ImageParam panel = denseInput("panel", {kOutputs, inputs / 2}, UInt(32)), x = rowsOf(Float(32), inputs, inputs, rows);
  return {{panel, x}, inputs / 2, [=](Expr k, Expr n, Expr t, Expr sum) {
            Expr pair = panel(n, k);
            sum = sum + reinterpret<float>(pair << 16) * x(2 * k, t);
            return sum + reinterpret<float>(pair & Expr(uint32_t(0xffff0000))) * x(2 * k + 1, t);
          }, {}};
}

// A block of 32 inputs: 16 f16 scales, then 8 quads of bytes [16][4]. A row: bytes, then a f32 scale for each 32 of them, and integer
// sums. Where the target multiplies unsigned bytes by signed ones, weights are raised by 128, and 128 times the sum of x taken away.
Chain q8Chain(const Product &kernel, Expr rows) {
  int groups = static_cast<int>(kernel.inputs / 32), block = static_cast<int>(kernel.blockBytes), row = static_cast<int>(kernel.rowBytes);
  ImageParam panel = denseInput("panel", {block, groups}, Int(8)), x = rowsOf(Int(8), row, row, rows);
  // Halide sees an array of bytes; LLVM makes one load of four.
  auto word = [](auto at) {
    Expr value = cast<uint32_t>(reinterpret<uint8_t>(at(0)));
    for (int i = 1; i < 4; ++i)
      value = value | (cast<uint32_t>(reinterpret<uint8_t>(at(i))) << (8 * i));
    return value;
  };
  auto floatOf = [=](Expr offset, Expr t) {
    return reinterpret<float>(word([=](int i) -> Expr { return x(offset + i, t); }));
  };
  auto scale = [=](Expr n, Expr g) {
    Expr low = cast<uint16_t>(reinterpret<uint8_t>(panel(2 * n, g))), high = cast<uint16_t>(reinterpret<uint8_t>(panel(2 * n + 1, g)));
    return cast<float>(reinterpret<float16_t>(low | (high << 8)));
  };
  Var n("n"), t("t"), g("g");
  Func dots("dots");
  RDom k(0, 4, 0, 8, "k"); // in a quad; quads
  Expr weight = panel(static_cast<int>(kernel.quantsOffset) + k.y * 64 + n * 4 + k.x, g), value = x(g * 32 + k.y * 4 + k.x, t);
  if (kernel.unsignedDot) {
    Expr sum = reinterpret<int32_t>(word([=](int i) -> Expr { return x(static_cast<int>(kernel.sumsOffset) + g * 4 + i, t); }));
    dots(n, t, g) = sum * -128;
    weight = cast<int32_t>(reinterpret<uint8_t>(weight) ^ Expr(uint8_t(128)));
  } else {
    dots(n, t, g) = 0;
    weight = cast<int32_t>(weight);
  }
  dots(n, t, g) += weight * cast<int32_t>(value);
  auto next = [=](Expr g, Expr n, Expr t, Expr sum) {
    Expr scaled = cast<float>(dots(n, t, g)) * floatOf(static_cast<int>(kernel.scalesOffset) + g * 4, t);
    return sum + scaled * scale(n, g);
  };
  return {{panel, x}, groups, next, dots};
}

Chain chainOf(const Product &kernel, Expr rows) {
  switch (kernel.weights) {
  case Product::Weights::F32: return f32Chain(kernel, rows);
  case Product::Weights::Bf16: return bf16Chain(kernel, rows);
  case Product::Weights::Q8_0: return q8Chain(kernel, rows);
  }
  return {};
}

} // namespace

Definition define(const Product &kernel) {
  Param<int64_t> tokens("tokens");
  Expr rows = kernel.single ? Expr(1) : cast<int>(tokens);
  Chain chain = chainOf(kernel, rows);
  Var n("n"), t("t"), block("block"), row("row");
  Func sum("sum"), out("product");
  RDom r(0, chain.steps, "r");
  sum(n, t) = 0.0f;
  sum(n, t) = chain.next(r, n, t, sum(n, t));
  out(n, t) = sum(n, t);

  out.output_buffer().dim(0).set_bounds(0, kOutputs).set_stride(1);
  out.output_buffer().dim(1).set_bounds(0, rows).set_stride(kOutputs);
  out.bound(n, 0, kOutputs).bound(t, 0, rows).vectorize(n);
  if (!kernel.single) // the last block overlaps the one before it
    out.specialize(rows >= kernel.rows).split(t, block, row, kernel.rows, TailStrategy::ShiftInwards).unroll(row);
  out.split(t, block, row, 1);
  sum.compute_at(out, block).store_in(MemoryType::Register).vectorize(n).unroll(t);
  sum.update().reorder(n, t, r).vectorize(n).unroll(t);
  if (chain.dots.defined()) {
    Var dn = chain.dots.args()[0], dt = chain.dots.args()[1];
    RVar inQuad = chain.dots.rvars()[0], quad = chain.dots.rvars()[1];
    chain.dots.compute_at(sum, r).store_in(MemoryType::Register).vectorize(dn);
    chain.dots.update().reorder(inQuad, dn, dt, quad).atomic().vectorize(dn).vectorize(inQuad).unroll(dt).unroll(quad);
  }
  chain.arguments.push_back(tokens);
  return {chain.arguments, {0, 1, 2, 3}, out, true};
}

} // namespace llmc::halide
