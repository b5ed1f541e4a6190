#include "passes/lowering/kernels/RowMath.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

#include <numbers>

using namespace mlir;
using llmc::llm::Activation;

namespace llmc::kernels {

void forChannels(KernelBuilder &b, int64_t count, llvm::function_ref<void(Value, VectorType)> body) {
  int64_t whole = count / kLanes * kLanes;
  if (whole)
    b.loop(b.constant(0), b.constant(whole), kLanes, [&](Value index) { body(index, b.floats(kLanes)); });
  if (whole < count)
    body(b.constant(whole), b.floats(count - whole));
}

Value sumChannels(KernelBuilder &b, int64_t count, llvm::function_ref<Value(Value, VectorType)> body) {
  int64_t whole = count / kLanes * kLanes;
  Value sum = b.constant(b.getF32Type(), 0.0);
  auto reduce = [&](Value vector) {
    return vector::ReductionOp::create(b, vector::CombiningKind::ADD, vector, arith::FastMathFlags::reassoc).getResult();
  };
  if (whole) {
    VectorType type = b.floats(kLanes);
    Values total = b.loop(b.constant(0), b.constant(whole), kLanes, ValueRange{b.constant(type, 0.0)},
                          [&](Value index, ValueRange carried) { return Values{b.add(carried[0], body(index, type))}; });
    sum = reduce(total[0]);
  }
  if (whole < count)
    sum = b.add(sum, reduce(body(b.constant(whole), b.floats(count - whole))));
  return sum;
}

void forHeadsOfTile(KernelBuilder &b, Value tile, int64_t group, int64_t all, llvm::function_ref<void(Value)> body) {
  if (group == 1)
    return body(tile);
  Value first = b.mul(tile, b.constant(group));
  b.loop(first, b.minimum(b.add(first, b.constant(group)), b.constant(all)), 1, body);
}

Value floatAt(KernelBuilder &b, Value pointer, Value index) { return b.at(pointer, index, 4); }
Value div(KernelBuilder &b, Value a, Value c) { return arith::DivFOp::create(b, a, c); }
Value maximum(KernelBuilder &b, Value a, Value c) { return arith::MaxNumFOp::create(b, a, c); }
Value softcap(KernelBuilder &b, Value x, double cap) {
  Value constant = b.constant(x.getType(), cap);
  return b.mul(constant, hyperbolicTangent(b, div(b, x, constant)));
}

Value orderedBits(KernelBuilder &b, Value bits) {
  Value isNegative = b.shiftRightArithmetic(bits, 31);
  return arith::XOrIOp::create(b, bits, b.bitAnd(isNegative, 0x7fffffff));
}

Value orderedKeys(KernelBuilder &b, Value numbers, int64_t ofNan) {
  auto vector = dyn_cast<VectorType>(numbers.getType());
  Type words = vector ? Type(b.words(vector.getNumElements())) : b.getI32Type();
  Value bits = b.bitcast(b.add(numbers, b.constant(numbers.getType(), 0.0)), words); // -0 is 0
  Value isNumber = b.compare(arith::CmpIPredicate::sle, b.bitAnd(bits, 0x7fffffff), b.constant(words, 0x7f800000));
  return b.select(isNumber, orderedBits(b, bits), b.constant(words, ofNan));
}

Value splat(KernelBuilder &b, Value scalar, Type type) {
  return isa<VectorType>(type) ? b.broadcast(scalar, cast<VectorType>(type)) : scalar;
}

Value exponential(KernelBuilder &b, Value x) {
  return math::ExpOp::create(b, maximum(b, x, b.constant(x.getType(), -87.0)));
}

// 2^(n + f), n the nearest integer: a polynomial of f, and n added to its exponent. 1.5 * 2^23 leaves n in the low bits of the sum.
// Coefficients: SLEEF's exp2f (arXiv:2001.09258).
Value powerOfTwo(KernelBuilder &b, Value x) {
  Type type = x.getType();
  auto constant = [&](double value) { return b.constant(type, value); };
  Type word = isa<VectorType>(type) ? Type(b.words(cast<VectorType>(type).getNumElements())) : b.getI32Type();
  x = maximum(b, x, constant(-125.0));
  Value shifted = b.add(x, constant(12582912.0));
  Value f = b.sub(x, b.sub(shifted, constant(12582912.0)));
  Value p = constant(0.1535920892e-3);
  for (double coefficient : {0.1339262701e-2, 0.9618384764e-2, 0.5550347269e-1, 0.2402264476, 0.6931471825, 1.0})
    p = b.fma(p, f, constant(coefficient));
  return b.bitcast(b.add(b.bitcast(p, word), b.shiftLeft(b.bitcast(shifted, word), 23)), type);
}

Value hyperbolicTangent(KernelBuilder &b, Value x) { return math::TanhOp::create(b, x); }

// 1 / (1 + exp(-x)); the exponent is kept where it cannot overflow, and the result is 0 beyond.
static Value sigmoid(KernelBuilder &b, Value x) {
  Value negative = arith::MinNumFOp::create(b, arith::NegFOp::create(b, x), b.constant(x.getType(), 87.0));
  Value one = b.constant(x.getType(), 1.0);
  Value result = div(b, one, b.add(one, exponential(b, negative)));
  Value vanishes = arith::CmpFOp::create(b, arith::CmpFPredicate::OLT, x, b.constant(x.getType(), -87.0));
  return b.select(vanishes, b.constant(x.getType(), 0.0), result);
}

// max(x, 0) + log(1 + exp(-|x|)): no exponential overflows, and nothing cancels.
Value softplus(KernelBuilder &b, Value x) {
  Value rest = math::Log1pOp::create(b, exponential(b, arith::NegFOp::create(b, math::AbsFOp::create(b, x))));
  return b.add(maximum(b, x, b.constant(x.getType(), 0.0)), rest);
}

Value activate(KernelBuilder &b, Activation kind, Value x) {
  Type type = x.getType();
  auto constant = [&](double value) { return b.constant(type, value); };
  switch (kind) {
  case Activation::relu: return maximum(b, x, constant(0.0));
  case Activation::sigmoid: return sigmoid(b, x);
  case Activation::silu: return b.mul(x, sigmoid(b, x));
  case Activation::tanh: return hyperbolicTangent(b, x);
  case Activation::softplus: return softplus(b, x);
  case Activation::relu2: {
    Value positive = maximum(b, x, constant(0.0));
    return b.mul(positive, positive);
  }
  case Activation::gelu: {
    Value erf = math::ErfOp::create(b, b.mul(x, constant(std::numbers::sqrt2 / 2)));
    return b.mul(b.mul(constant(0.5), x), b.add(constant(1.0), erf));
  }
  case Activation::gelu_tanh: {
    Value cube = b.mul(b.mul(x, x), x);
    Value inner = b.mul(constant(0.7978845608028654), b.add(x, b.mul(constant(0.044715), cube)));
    return b.mul(b.mul(constant(0.5), x), b.add(constant(1.0), hyperbolicTangent(b, inner)));
  }
  }
  llvm_unreachable("every activation is listed");
}

void normalise(KernelBuilder &b, int64_t count, llm::NormAttr norm, Value x, Value gain, Value bias, Value out) {
  Type f32 = b.getF32Type();
  Value mean, n = b.constant(f32, static_cast<double>(count));
  auto centred = [&](Value index, VectorType type) {
    Value value = b.load(type, floatAt(b, x, index), 4);
    return mean ? b.sub(value, splat(b, mean, type)) : value;
  };
  if (norm.getKind() == llm::NormKind::layer)
    mean = div(b, sumChannels(b, count, centred), n);
  Value squares = sumChannels(b, count, [&](Value index, VectorType type) {
    Value value = centred(index, type);
    return b.mul(value, value);
  });
  Value deviation = math::SqrtOp::create(b, b.add(div(b, squares, n), b.constant(f32, norm.getEps().value)));
  Value inverse = div(b, b.constant(f32, 1.0), deviation);
  forChannels(b, count, [&](Value index, VectorType type) {
    Value value = b.mul(centred(index, type), splat(b, inverse, type));
    if (gain) {
      Value factor = b.load(type, floatAt(b, gain, index), 4);
      if (norm.getOffset().value != 0)
        factor = b.add(factor, b.constant(type, norm.getOffset().value));
      value = b.mul(value, factor);
    }
    if (bias)
      value = b.add(value, b.load(type, floatAt(b, bias, index), 4));
    b.store(value, floatAt(b, out, index), 4);
  });
}

std::pair<Value, Value> turn(KernelBuilder &b, Value first, Value second, Value cosine, Value sine) {
  return {b.sub(b.mul(first, cosine), b.mul(second, sine)), b.add(b.mul(second, cosine), b.mul(first, sine))};
}

void rotate(KernelBuilder &b, int64_t headDim, llm::RotaryAttr rotary, Value x, Value table, Value out) {
  int64_t dim = rotary.getDim(), half = dim / 2;
  auto pair = [&](Value index, Type type, Value firstIndex, Value secondIndex) {
    Value cosine = b.load(type, floatAt(b, table, index), 4), sine = b.load(type, b.at(floatAt(b, table, index), half * 4), 4);
    Value first = b.load(type, floatAt(b, x, firstIndex), 4), second = b.load(type, floatAt(b, x, secondIndex), 4);
    auto [a, c] = turn(b, first, second, cosine, sine);
    b.store(a, floatAt(b, out, firstIndex), 4);
    b.store(c, floatAt(b, out, secondIndex), 4);
  };
  if (rotary.getStyle() == llm::RotaryStyle::half)
    forChannels(b, half, [&](Value index, VectorType type) { pair(index, type, index, b.add(index, b.constant(half))); });
  else
    b.loop(b.constant(0), b.constant(half), 1, [&](Value index) {
      Value even = b.mul(index, b.constant(2));
      pair(index, b.getF32Type(), even, b.add(even, b.constant(1)));
    });
  if (dim < headDim && x != out)
    forChannels(b, headDim - dim, [&](Value index, VectorType type) {
      Value at = b.add(index, b.constant(dim));
      b.store(b.load(type, floatAt(b, x, at), 4), floatAt(b, out, at), 4);
    });
}

// Rounds f32 to the nearest f16, ties to even, by integer arithmetic: for targets without the conversion. The magnitude, scaled so that the
// f16's last bit is the integer's, is rounded by adding; what is too large becomes infinite. As floatToHalf in runtime/formats/Half.h.
static Value roundToHalf(KernelBuilder &b, Value value) {
  auto vector = cast<VectorType>(value.getType());
  VectorType words = b.words(vector.getNumElements());
  Value bits = b.bitcast(value, words);
  Value sign = b.bitAnd(b.shiftRight(bits, 16), 0x8000), magnitude = b.bitAnd(bits, 0x7fffffff);
  Value odd = b.bitAnd(b.shiftRight(magnitude, 13), 1);
  Value normal = b.shiftRight(b.add(b.add(magnitude, b.constant(words, 0xfff - (int64_t(112) << 23))), odd), 13);
  Value tiny = b.add(b.bitcast(magnitude, vector), b.constant(vector, 0.5)); // its last bit is 2^-24, that of f16
  tiny = b.sub(b.bitcast(tiny, words), b.constant(words, 0x3f000000));
  auto less = arith::CmpIPredicate::slt;
  Value half = b.select(b.compare(less, magnitude, b.constant(words, int64_t(113) << 23)), tiny, normal);
  Value fits = b.compare(less, magnitude, b.constant(words, 0x477ff000));
  Value isNan = b.compare(arith::CmpIPredicate::sgt, magnitude, b.constant(words, 0x7f800000));
  half = b.select(fits, half, b.constant(words, 0x7c00));
  half = b.select(isNan, b.constant(words, 0x7e00), half);
  return b.truncate(b.bitOr(half, sign), b.getI16Type());
}

void storeAs(KernelBuilder &b, Value value, Type element, Value pointer) {
  auto type = cast<VectorType>(value.getType());
  if (element.isF16())
    value = b.target.getDot() == tile::Dot::portable
                ? roundToHalf(b, value)
                : arith::TruncFOp::create(b, VectorType::get(type.getShape(), element), value).getResult();
  b.store(value, pointer, element.getIntOrFloatBitWidth() / 8);
}

Value loadAs(KernelBuilder &b, int64_t lanes, Type element, Value pointer) {
  return element.isF16() ? b.loadHalves(lanes, pointer) : b.load(b.floats(lanes), pointer, 4);
}

} // namespace llmc::kernels
