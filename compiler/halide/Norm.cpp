// RMS norm and layer norm of the groups of one row.
#include "compiler/halide/Functions.h"

using namespace Halide;

namespace llmc::halide {
namespace {

// sum over i < count of term(i, group): partial sums, then halves of them added until one is left. A long row has 64 partial sums, so
// that four vectors of additions overlap. All of it is computed where `consumer` needs it.
struct Sum {
  Func partial{"partial"};
  std::vector<Func> halved; // the last is the sum, at lane 0
  Var lane{"lane"}, group{"group"};
  int lanes, whole, rest;

  Sum(int count, const std::function<Expr(Expr, Expr)> &term)
      : lanes(count >= 8 * kLanes ? 4 * kLanes : kLanes), whole(count / lanes), rest(count % lanes) {
    partial(lane, group) = 0.0f;
    if (whole > 0) {
      RDom block(0, whole, "block");
      partial(lane, group) += term(lane + lanes * block, group);
    }
    if (rest > 0) {
      RDom tail(0, rest, "tail");
      partial(tail, group) += term(whole * lanes + tail, group);
    }
    for (int half = lanes / 2; half > 0; half /= 2) {
      Func from = halved.empty() ? partial : halved.back(), to("halved");
      to(lane, group) = from(lane, group) + from(lane + half, group);
      halved.push_back(to);
    }
  }

  Expr of(Expr group) { return halved.back()(0, group); }

  void schedule(Func consumer, Var at) {
    int half = lanes;
    for (Func &each : halved) {
      half /= 2;
      each.compute_at(consumer, at).store_in(MemoryType::Stack).bound(lane, 0, half).vectorize(lane);
    }
    partial.compute_at(consumer, at).store_in(MemoryType::Stack).bound(lane, 0, lanes).vectorize(lane);
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
  mean(g) = sum.of(g) / count;
  auto centred = [&](Expr at, Expr of) -> Expr { return kernel.subtractMean ? x(at, of) - mean(of) : x(at, of); };
  Sum squares(group, [&](Expr at, Expr of) { return centred(at, of) * centred(at, of); });
  inverse(g) = 1.0f / sqrt(squares.of(g) / count + eps);

  Expr value = centred(i, g) * inverse(g);
  if (kernel.gain)
    value *= kernel.offset != 0 ? gain(i) + static_cast<float>(kernel.offset) : Expr(gain(i));
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

  Definition definition{{x}, {}, out};
  if (kernel.gain)
    definition.arguments.push_back(gain);
  if (kernel.bias)
    definition.arguments.push_back(bias);
  for (size_t place = 0; place <= definition.arguments.size(); ++place)
    definition.places.push_back(static_cast<int>(place));
  return definition;
}

} // namespace llmc::halide
