// Kernels over one row of activations: norm, pointwise functions, rope and its table.
#include "passes/lowering/kernels/Emitters.h"
#include "passes/lowering/kernels/RowMath.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"

#include <limits>

using namespace mlir;

namespace llmc::kernels {

// x, out: (channels); gain, bias: (group)
void emitNorm(KernelBuilder &b, tile::NormAttr kernel) {
  Value x = b.argument(0), gain = b.argument(1);
  Value bias = kernel.getBias() ? b.argument(2) : Value(), out = b.argument(kernel.getBias() ? 3 : 2);
  int64_t group = kernel.getGroup();
  b.loop(b.constant(0), b.constant(kernel.getChannels()), group, [&](Value first) {
    normalise(b, group, kernel.getNorm(), floatAt(b, x, first), gain, bias, floatAt(b, out, first));
  });
}

Value pointwiseValue(KernelBuilder &b, tile::PointwiseKernelAttr kernel, ArrayRef<Value> inputs) {
  Value x = inputs[0], y = inputs.size() > 1 ? inputs[1] : Value();
  Value constant = b.constant(x.getType(), kernel.getConstant().value);
  switch (kernel.getKind()) {
  case tile::Pointwise::add: return b.add(x, y);
  case tile::Pointwise::copy: return x;
  case tile::Pointwise::scale: return b.mul(x, constant);
  case tile::Pointwise::softcap: return softcap(b, x, kernel.getConstant().value);
  case tile::Pointwise::activation: return activate(b, kernel.getActivation().getValue(), x);
  case tile::Pointwise::glu: return b.mul(activate(b, kernel.getActivation().getValue(), x), y);
  case tile::Pointwise::clamp: { // a NaN stays one
    Value least = b.constant(x.getType(), -kernel.getConstant().value);
    return arith::MinimumFOp::create(b, arith::MaximumFOp::create(b, x, least), constant);
  }
  case tile::Pointwise::mul: return b.mul(x, y);
  case tile::Pointwise::mix: return b.add(b.mul(x, inputs[2]), b.mul(y, b.sub(b.constant(x.getType(), 1.0), inputs[2])));
  }
  llvm_unreachable("every pointwise kernel is listed");
}

// a, out: (channels / group, group); b: (channels / group)
static void emitGroupProduct(KernelBuilder &b, int64_t channels, int64_t group) {
  b.loop(b.constant(0), b.constant(channels / group), 1, [&](Value g) {
    Value factor = b.load(b.getF32Type(), floatAt(b, b.argument(1), g), 4);
    Value x = b.at(b.argument(0), g, group * 4), out = b.at(b.argument(2), g, group * 4);
    forChannels(b, group, [&](Value index, VectorType type) {
      b.store(b.mul(b.load(type, floatAt(b, x, index), 4), b.broadcast(factor, type)), floatAt(b, out, index), 4);
    });
  });
}

// a, b, c, out: (channels)
void emitPointwise(KernelBuilder &b, tile::PointwiseKernelAttr kernel) {
  if (kernel.getGroup() > 1)
    return emitGroupProduct(b, kernel.getChannels(), kernel.getGroup());
  unsigned count = kernel.getInputs();
  forChannels(b, kernel.getChannels(), [&](Value index, VectorType type) {
    Values inputs;
    for (unsigned i = 0; i < count; ++i)
      inputs.push_back(b.load(type, floatAt(b, b.argument(i), index), 4));
    b.store(pointwiseValue(b, kernel, inputs), floatAt(b, b.argument(count), index), 4);
  });
}

// x, out: (channels)
void emitUnitNorm(KernelBuilder &b, tile::UnitNormAttr kernel) {
  auto norm = llm::NormAttr::get(b.getContext(), llm::NormKind::rms, kernel.getEps(), llm::Real(0.0));
  b.loop(b.constant(0), b.constant(kernel.getChannels()), kernel.getGroup(), [&](Value first) {
    normalise(b, kernel.getGroup(), norm, floatAt(b, b.argument(0), first), {}, {}, floatAt(b, b.argument(1), first));
  });
}

// x, out: (heads, head_dim); table: (dim)
void emitRope(KernelBuilder &b, tile::RopeAttr kernel) {
  b.loop(b.constant(0), b.constant(kernel.getChannels()), kernel.getHeadDim(), [&](Value first) {
    rotate(b, kernel.getHeadDim(), kernel.getRotary(), floatAt(b, b.argument(0), first), b.argument(1),
           floatAt(b, b.argument(2), first));
  });
}

//===----------------------------------------------------------------------===//
// Rope table
//===----------------------------------------------------------------------===//

// A constant array of floats in the module; the same values are the same global.
static Value constantTable(KernelBuilder &b, ArrayRef<float> values) {
  auto attr = DenseElementsAttr::get(RankedTensorType::get({static_cast<int64_t>(values.size())}, b.getF32Type()), values);
  LLVM::GlobalOp table;
  int64_t count = 0;
  for (auto global : b.module.getOps<LLVM::GlobalOp>()) {
    if (global.getValueOrNull() == attr)
      table = global;
    count += global.getSymName().starts_with("frequencies_");
  }
  if (!table) {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(b.module.getBody());
    table = LLVM::GlobalOp::create(b, LLVM::LLVMArrayType::get(b.getF32Type(), values.size()), /*isConstant=*/true,
                                   LLVM::Linkage::Internal, ("frequencies_" + Twine(count)).str(), attr);
  }
  return LLVM::AddressOfOp::create(b, table);
}

// theta of dynamic NTK scaling for a sequence of `length` tokens. Source: transformers, modeling_rope_utils.py.
static Value dynamicTheta(KernelBuilder &b, tile::RopeTableAttr kernel, Value length) {
  llm::RopeScalingAttr scaling = kernel.getScaling();
  Type f64 = b.getF64Type();
  auto real = [&](double value) { return b.constant(f64, value); };
  Value longest = arith::MaxSIOp::create(b, length, b.constant(scaling.getOriginalMaxPositions()));
  Value n = arith::SIToFPOp::create(b, f64, longest);
  Value stretch = b.sub(b.mul(n, real(scaling.getFactor() / scaling.getOriginalMaxPositions())), real(scaling.getFactor() - 1));
  double exponent = static_cast<double>(kernel.getDim()) / (kernel.getDim() - 2);
  return b.mul(real(kernel.getTheta()), math::PowFOp::create(b, stretch, real(exponent)));
}

// Frequency number `index` of a token whose sequence has `length` tokens.
static Value frequency(KernelBuilder &b, tile::RopeTableAttr kernel, Value index, Value length) {
  llm::RopeScalingAttr scaling = kernel.getScaling();
  int64_t dim = kernel.getDim();
  Type f32 = b.getF32Type();
  auto table = [&](int64_t length) {
    return constantTable(b, llm::ropeFrequencies(dim, kernel.getTheta(), scaling, length).inverse);
  };
  if (scaling && scaling.getKind() == llm::RopeScalingKind::dynamic) {
    Value theta = arith::TruncFOp::create(b, f32, dynamicTheta(b, kernel, length));
    Value power = div(b, arith::SIToFPOp::create(b, f32, b.mul(index, b.constant(2))), b.constant(f32, static_cast<double>(dim)));
    return div(b, b.constant(f32, 1.0), math::PowFOp::create(b, theta, power));
  }
  Value values = table(0);
  if (scaling && scaling.getKind() == llm::RopeScalingKind::longrope) {
    Value isLong = b.compare(arith::CmpIPredicate::sgt, length, b.constant(scaling.getOriginalMaxPositions()));
    values = b.select(isLong, table(std::numeric_limits<int64_t>::max()), values);
  }
  return b.load(f32, floatAt(b, values, index), 4);
}

// out: (dim): cosines, then sines. Once per token, so libm's functions will do.
void emitRopeTableAt(KernelBuilder &b, tile::RopeTableAttr kernel, Value index) {
  Type f32 = b.getF32Type();
  Value position = arith::SIToFPOp::create(b, f32, b.argument(0)), length = b.argument(1);
  Value factors = kernel.getFactors() ? b.argument(2) : Value(), out = b.argument(kernel.getFactors() ? 3 : 2);
  Value scale = b.constant(f32, llm::ropeFrequencies(kernel.getDim(), kernel.getTheta(), kernel.getScaling(), 0).attentionFactor);
  Value f = frequency(b, kernel, index, length);
  if (factors)
    f = div(b, f, b.load(f32, floatAt(b, factors, index), 4));
  Value angle = b.mul(position, f), at = floatAt(b, out, index);
  b.store(b.mul(math::CosOp::create(b, angle), scale), at, 4);
  b.store(b.mul(math::SinOp::create(b, angle), scale), b.at(at, kernel.getDim() / 2 * 4), 4);
}

void emitRopeTable(KernelBuilder &b, tile::RopeTableAttr kernel) {
  b.loop(b.constant(0), b.constant(kernel.getDim() / 2), 1, [&](Value index) { emitRopeTableAt(b, kernel, index); });
}

} // namespace llmc::kernels
