// RMS norm and layer norm of the groups of one row.
#include "compiler/halide/Functions.h"

using namespace Halide;

namespace llmc::halide {
namespace {

// sum over i < count of term(i, group): 16 partial sums, then those in ascending order. All of it is computed where `consumer` needs it.
struct Sum {
  Func partial{"partial"}, total{"total"};
  Var lane{"lane"}, group{"group"};
  int whole, rest;

  Sum(int count, const std::function<Expr(Expr, Expr)> &term) : whole(count / kLanes), rest(count % kLanes) {
    partial(lane, group) = 0.0f;
    if (whole > 0) {
      RDom block(0, whole, "block");
      partial(lane, group) += term(lane + kLanes * block, group);
    }
    if (rest > 0) {
      RDom tail(0, rest, "tail");
      partial(tail, group) += term(whole * kLanes + tail, group);
    }
    RDom lanes(0, kLanes, "lanes");
    total(group) = 0.0f;
    total(group) += partial(lanes, group);
  }

  void schedule(Func consumer, Var at) {
    total.compute_at(consumer, at).store_in(MemoryType::Stack);
    total.update().unroll(total.rvars()[0]);
    partial.compute_at(consumer, at).store_in(MemoryType::Stack).bound(lane, 0, kLanes).vectorize(lane);
    if (whole > 0)
      partial.update().reorder(lane, partial.rvars()[0]).vectorize(lane);
    if (rest > 0)
      partial.update(whole > 0 ? 1 : 0).unscheduled(); // a few values: one by one
  }
};

} // namespace

Definition define(const Norm &kernel) {
  int group = static_cast<int>(kernel.group), groups = static_cast<int>(kernel.channels / kernel.group);
  ImageParam x = denseInput("x", {group, groups}), gain = denseInput("gain", {group}), bias = denseInput("bias", {group});
  Var i("i"), g("g");
  Func out("normalised"), mean("mean"), inverse("inverse");
  Expr count = static_cast<float>(group), eps = static_cast<float>(kernel.eps);

  Sum sum(group, [&](Expr at, Expr of) { return x(at, of); });
  mean(g) = sum.total(g) / count;
  auto centred = [&](Expr at, Expr of) -> Expr { return kernel.subtractMean ? x(at, of) - mean(of) : x(at, of); };
  Sum squares(group, [&](Expr at, Expr of) { return centred(at, of) * centred(at, of); });
  inverse(g) = 1.0f / sqrt(squares.total(g) / count + eps);

  Expr factor = kernel.offset != 0 ? gain(i) + static_cast<float>(kernel.offset) : gain(i);
  Expr value = centred(i, g) * inverse(g) * factor;
  out(i, g) = kernel.bias ? value + bias(i) : value;

  // In place, so no tail may be computed twice: GuardWithIf, not the default.
  out.bound(i, 0, group).bound(g, 0, groups).vectorize(i, kLanes, TailStrategy::GuardWithIf);
  for (Sum *each : {&sum, &squares})
    if (each == &squares || kernel.subtractMean)
      each->schedule(out, g);
  if (kernel.subtractMean)
    mean.compute_at(out, g).store_in(MemoryType::Stack);
  inverse.compute_at(out, g).store_in(MemoryType::Stack);
  makeDense(out.output_buffer(), {group, groups});

  std::vector<Argument> arguments{x, gain};
  if (kernel.bias)
    arguments.push_back(bias);
  return {arguments, out};
}

} // namespace llmc::halide
