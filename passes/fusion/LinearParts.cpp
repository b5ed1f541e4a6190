#include "passes/fusion/LinearParts.h"

using namespace mlir;
using namespace llmc::llm;

llmc::LinearParts::LinearParts(LinearOp op)
    : x(op.getX()), weights(op.getWeights()), biases(op.getBiases()), normGain(op.getNormGain()),
      normBias(op.getNormBias()), residual(op.getResidual()), norm(op.getNormAttr()),
      activation(op.getActivationAttr()), glu(op.getGlu()), scale(op.getScaleAttr()), softcap(op.getSoftcapAttr()), topK(op.getTopK()), results(op.getResultTypes()) {}

LinearOp llmc::LinearParts::create(OpBuilder &builder, Location loc) const {
  return LinearOp::create(builder, loc, results, x, weights, biases, normGain, normBias, residual, norm, activation,
                          glu, scale, softcap, topK);
}

bool llmc::hasNoEpilogue(LinearOp op) { return !op.getActivation() && !op.getGlu() && !op.getScale() && !op.getSoftcap() && !op.getResidual(); }
