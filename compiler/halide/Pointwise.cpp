// Pointwise functions of one to three rows.
//
// exp and tanh are the polynomials of the compiler's own kernels (upstream's math approximations): Halide's are other ones.
#include "compiler/halide/Functions.h"

using namespace Halide;

namespace llmc::halide {
namespace {

using Kind = Pointwise::Kind;
using Function = Pointwise::Function;

// Coefficients from the highest power on.
Expr polynomial(Expr x, std::initializer_list<float> coefficients) {
  Expr sum;
  for (float coefficient : coefficients)
    sum = sum.defined() ? sum * x + coefficient : Expr(coefficient);
  return sum;
}

// x >= -87. Cephes' expf: 2^k times a polynomial of the rest.
Expr exponential(Expr x) {
  x = min(x, 88.8f);
  Expr k = floor(x * 1.44269502f + 0.5f);
  Expr rest = k * -0.693359375f + x;
  rest = k * 2.12194442e-4f + rest;
  Expr p = polynomial(rest, {1.98756912e-4f, 0.00139819994f, 0.00833345205f, 0.0416657962f, 0.166666657f, 0.5f});
  p = p * (rest * rest) + rest;
  return (p + 1.0f) * reinterpret<float>((cast<int>(k) + 127) << 23);
}

Expr sigmoid(Expr x) {
  Expr open = 1.0f / (1.0f + exponential(max(min(-x, 87.0f), -87.0f)));
  return select(x < -87.0f, 0.0f, open);
}

// A quotient of polynomials, as Eigen's.
Expr hyperbolicTangent(Expr x) {
  Expr kept = max(min(x, 7.99881172f), -7.99881172f), square = kept * kept;
  Expr p = kept * polynomial(square, {-2.76076837e-16f, 2.00018794e-13f, -8.60467184e-11f, 5.12229725e-8f, 1.48572235e-5f, 6.37261954e-4f, 0.00489352457f});
  Expr q = polynomial(square, {1.19825836e-6f, 1.18534706e-4f, 0.00226843474f, 0.00489352504f});
  return select(abs(x) < 4.0e-4f, kept, p / q);
}

Expr activate(Function function, Expr x) {
  switch (function) {
  case Function::None: return x;
  case Function::Relu: return max(x, 0.0f);
  case Function::Relu2: return max(x, 0.0f) * max(x, 0.0f);
  case Function::Sigmoid: return sigmoid(x);
  case Function::Silu: return x * sigmoid(x);
  case Function::Tanh: return hyperbolicTangent(x);
  case Function::GeluTanh: {
    Expr inner = 0.7978845608028654f * (x + 0.044715f * (x * x * x));
    return 0.5f * x * (1.0f + hyperbolicTangent(inner));
  }
  }
  return x;
}

Expr value(const Pointwise &kernel, const std::vector<Expr> &inputs) {
  Expr x = inputs[0], constant = static_cast<float>(kernel.constant);
  switch (kernel.kind) {
  case Kind::Add: return x + inputs[1];
  case Kind::Copy: return x;
  case Kind::Scale: return x * constant;
  case Kind::Softcap: return constant * hyperbolicTangent(x / constant);
  case Kind::Activation: return activate(kernel.function, x);
  case Kind::Glu: return activate(kernel.function, x) * inputs[1];
  case Kind::Mul: return x * inputs[1];
  case Kind::Mix: return x * inputs[2] + inputs[1] * (1.0f - inputs[2]);
  case Kind::Clamp: return select(x < -constant, -constant, select(x > constant, constant, x)); // a NaN stays one
  }
  return x;
}

int inputsOf(Kind kind) {
  bool two = kind == Kind::Add || kind == Kind::Glu || kind == Kind::Mul;
  return kind == Kind::Mix ? 3 : two ? 2 : 1;
}

} // namespace

// a, b, c, out: (channels / group, group), b (channels / group) where there are groups
Definition define(const Pointwise &kernel) {
  bool grouped = kernel.group > 1;
  int inner = static_cast<int>(grouped ? kernel.group : kernel.channels), outer = static_cast<int>(kernel.channels / inner);
  Var i("i"), g("g");
  Func out("pointwise");
  Definition definition;
  std::vector<Expr> inputs;
  for (int n = 0; n < inputsOf(kernel.kind); ++n) {
    bool factors = grouped && n == 1;
    ImageParam input = factors ? denseInput("factors", {outer}) : denseInput("input" + std::to_string(n), {inner, outer});
    inputs.push_back(factors ? input(g) : input(i, g));
    definition.arguments.push_back(input);
    definition.places.push_back(n);
  }
  out(i, g) = value(kernel, inputs);
  out.bound(i, 0, inner).bound(g, 0, outer);
  if (inner % (4 * kLanes) == 0) { // four vectors in flight hide the latency of polynomials
    Var block("block");
    out.split(i, block, i, 4 * kLanes).vectorize(i, kLanes).unroll(i);
  } else {
    out.vectorize(i, kLanes, TailStrategy::GuardWithIf); // in place, so no tail may be computed twice
  }
  makeDense(out.output_buffer(), {inner, outer});
  definition.places.push_back(inputsOf(kernel.kind));
  definition.out = out;
  definition.fuses = kernel.kind == Kind::Activation || kernel.kind == Kind::Glu || kernel.kind == Kind::Softcap;
  return definition;
}

} // namespace llmc::halide
