// --llmc-approximate-math: see Passes.td.
#include "passes/lowering/Passes.h"

#include "mlir/Dialect/Math/Transforms/Passes.h"
#include "mlir/IR/TypeUtilities.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

namespace llmc {
#define GEN_PASS_DEF_MATHAPPROXIMATE
#include "passes/lowering/Passes.h.inc"
} // namespace llmc

using namespace mlir;

namespace {

// f64 arithmetic on scalars or vectors of one shape.
class Doubles {
public:
  Doubles(OpBuilder &b, Location loc, Type shape) : b(b), loc(loc), f64(of(shape, b.getF64Type())), i64(of(shape, b.getI64Type())) {}

  Value real(double value) { return constant(f64, b.getF64FloatAttr(value)); }
  Value integer(int64_t value) { return constant(i64, b.getI64IntegerAttr(value)); }
  Value multiplyAdd(Value x, Value y, Value z) { return math::FmaOp::create(b, loc, x, y, z); }
  Value polynomial(Value x, ArrayRef<double> highestFirst) {
    Value sum = real(highestFirst.front());
    for (double coefficient : highestFirst.drop_front())
      sum = multiplyAdd(sum, x, real(coefficient));
    return sum;
  }
  Value hasBit(Value bits, int64_t bit) {
    return arith::CmpIOp::create(b, loc, arith::CmpIPredicate::ne, arith::AndIOp::create(b, loc, bits, integer(bit)), integer(0));
  }

  OpBuilder &b;
  Location loc;
  Type f64, i64;

private:
  static Type of(Type shape, Type element) {
    auto vector = dyn_cast<VectorType>(shape);
    return vector ? VectorType::get(vector.getShape(), element) : element;
  }
  Value constant(Type type, TypedAttr value) {
    if (auto vector = dyn_cast<VectorType>(type))
      value = DenseElementsAttr::get(vector, Attribute(value));
    return arith::ConstantOp::create(b, loc, value);
  }
};

// sin(x) for quarter = 0, cos(x) for quarter = 1: x = n * pi / 2 + r with |r| <= pi / 4, and n + quarter chooses between sin r, cos r and their
// negatives. The polynomials are those of FreeBSD's k_sinf.c and k_cosf.c.
Value sineOf(Doubles d, Value x, int64_t quarter) {
  constexpr double halfPi = 0x1.921fb54442d18p+0, halfPiRest = 0x1.1a62633145c07p-54, twoOverPi = 0x1.45f306dc9c883p-1;
  constexpr double toInteger = 0x1.8p+52; // added to a small number, it leaves that rounded to an integer, which the low bits hold
  OpBuilder &b = d.b;
  Value wide = arith::ExtFOp::create(b, d.loc, d.f64, x);
  Value shifted = d.multiplyAdd(wide, d.real(twoOverPi), d.real(toInteger));
  Value n = arith::SubFOp::create(b, d.loc, d.real(toInteger), shifted); // negative
  Value r = d.multiplyAdd(n, d.real(halfPiRest), d.multiplyAdd(n, d.real(halfPi), wide));
  Value square = arith::MulFOp::create(b, d.loc, r, r);
  Value sine = d.polynomial(square, {0x16cd878c3b46a7.0p-71, -0x1a00f9e2cae774.0p-65, 0x111110896efbb2.0p-59, -0x15555554cbac77.0p-55, 1});
  sine = arith::MulFOp::create(b, d.loc, sine, r);
  Value cosine = d.polynomial(square, {0x199342e0ee5069.0p-68, -0x16c087e80f1e27.0p-62, 0x155553e1053a42.0p-57, -0x1ffffffd0c5e81.0p-54, 1});
  Value turns = arith::AddIOp::create(b, d.loc, arith::BitcastOp::create(b, d.loc, d.i64, shifted), d.integer(quarter));
  Value value = arith::SelectOp::create(b, d.loc, d.hasBit(turns, 1), cosine, sine);
  value = arith::SelectOp::create(b, d.loc, d.hasBit(turns, 2), arith::NegFOp::create(b, d.loc, value), value);
  return arith::TruncFOp::create(b, d.loc, x.getType(), value);
}

template <class Op, int64_t quarter> struct BySeries : OpRewritePattern<Op> {
  using OpRewritePattern<Op>::OpRewritePattern;
  LogicalResult matchAndRewrite(Op op, PatternRewriter &rewriter) const override {
    if (!getElementTypeOrSelf(op.getType()).isF32())
      return failure();
    rewriter.replaceOp(op, sineOf(Doubles(rewriter, op.getLoc(), op.getType()), op.getOperand(), quarter));
    return success();
  }
};

struct MathApproximate : llmc::impl::MathApproximateBase<MathApproximate> {
  using MathApproximateBase::MathApproximateBase;
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    populateMathPolynomialApproximationPatterns(
        patterns, [](StringRef name) { return llvm::is_contained({"math.exp", "math.tanh", "math.erf", "math.log1p", "math.log"}, name); });
    if (trigonometry)
      patterns.add<BySeries<math::SinOp, 0>, BySeries<math::CosOp, 1>>(&getContext());
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      signalPassFailure();
  }
};

} // namespace
