// Rotates the heads of one row.
#include "compiler/halide/Functions.h"

using namespace Halide;

namespace llmc::halide {
namespace {

// The widest vectors that leave no tail.
int lanesFor(int count) {
  int lanes = kLanes;
  while (count % lanes)
    lanes /= 2;
  return lanes;
}

} // namespace

// x, out: (heads, 2, half), or (heads, half, 2) interleaved; table: (2, half), cosines and sines
Definition define(const Rope &kernel) {
  int half = static_cast<int>(kernel.head / 2), heads = static_cast<int>(kernel.channels / kernel.head);
  std::vector<int> extents = kernel.interleaved ? std::vector<int>{2, half, heads} : std::vector<int>{half, 2, heads};
  ImageParam x = denseInput("x", extents), table = denseInput("table", {half, 2});
  Var i("i"), side("side"), head("head"), block("block"), lane("lane");
  auto at = [&](Expr of) { return kernel.interleaved ? x(of, i, head) : x(i, of, head); };

  Func turned("turned"), out("rope");
  Expr first = at(0), second = at(1), cosine = table(i, 0), sine = table(i, 1);
  turned(i, head) = Tuple(first * cosine - second * sine, second * cosine + first * sine);
  Expr chosen = select(side == 0, turned(i, head)[0], turned(i, head)[1]);
  if (kernel.interleaved)
    out(side, i, head) = chosen;
  else
    out(i, side, head) = chosen;

  // In place: both sides of a vector of pairs are computed before either is written.
  int lanes = lanesFor(half);
  out.bound(side, 0, 2).bound(i, 0, half).bound(head, 0, heads);
  out.split(i, block, lane, lanes).reorder(lane, side, block, head).vectorize(lane).unroll(side);
  turned.compute_at(out, block).store_in(MemoryType::Stack).bound_extent(i, lanes).vectorize(i, lanes);
  makeDense(out.output_buffer(), extents);
  return {{x, table}, {0, 1, 2}, out};
}

} // namespace llmc::halide
