// How much arithmetic each kernel of the dialect does, from its parameters.
#include "dialects/tile/Tile.h"

using namespace mlir;
using namespace llmc;
using namespace llmc::tile;

static KernelWork eachRow(int64_t operations) { return {.rowOperations = operations}; }

//===----------------------------------------------------------------------===//
// Products
//===----------------------------------------------------------------------===//

KernelWork ProductAttr::getWork() const { return {stringifyArithmetic(getArithmetic()), 2 * kPanelOutputs * getInputs()}; }

KernelWork TiledProductAttr::getWork() const { return {"bf16", 2 * kPanelOutputs * getInputs() * getMost()}; }

// The products, and one operation for each output and part of the epilogue.
KernelWork LinearAttr::getWork() const {
  if (getResults() == Results::panel) // what the keys have cost before
    return {};
  int64_t products = 0, outputs = 0;
  for (Attribute weight : getWeights()) {
    ArrayRef<int64_t> shape = cast<RankedTensorType>(cast<TypeAttr>(weight).getValue()).getShape();
    products += 2 * shape[0] * (shape.size() > 1 ? shape[1] : 1);
    outputs += shape[0];
  }
  int64_t results = getGlu() ? outputs / 2 : outputs;
  int64_t epilogue = getBias() * outputs + (getGlu() + getResidual() + (getActivation() ? 1 : 0) + (getScale().value != 0) + (getSoftcap().value != 0)) * results;
  return {stringifyArithmetic(getArithmetic()), products + epilogue};
}

KernelWork AheadAttr::getWork() const { return {}; }

KernelWork BestPanelsAttr::getWork() const { return eachRow(panelCount(getOutputs())); }

//===----------------------------------------------------------------------===//
// Rows
//===----------------------------------------------------------------------===//

KernelWork QuantizeAttr::getWork() const { return eachRow(3 * getInputs()); }   // the largest, the scale, rounding
KernelWork DecodeRowAttr::getWork() const { return eachRow(getInputs()); }
KernelWork NormAttr::getWork() const { return eachRow(4 * getChannels()); }     // squares and their sum; scale and gain
KernelWork UnitNormAttr::getWork() const { return eachRow(3 * getChannels()); }
KernelWork RopeTableAttr::getWork() const { return eachRow(2 * getDim()); }
KernelWork RopeAttr::getWork() const { return eachRow(3 * getChannels()); }
KernelWork PointwiseKernelAttr::getWork() const { return eachRow(getKind() == Pointwise::copy ? 0 : getInputs() * getChannels()); }

//===----------------------------------------------------------------------===//
// Attention
//===----------------------------------------------------------------------===//

KernelWork PrepareAttr::getWork() const {
  int64_t channels = (getHeads() + getKvHeads()) * getHeadDim();
  return eachRow(((getRotary() ? 3 : 0) + (getNorm() ? 4 : 0)) * channels);
}

// Two products of a head with each position; scale, maximum, exponent and sum of its score.
static int64_t attendOperations(int64_t heads, int64_t headDim) { return heads * (4 * headDim + 4); }
KernelWork RelativeBiasAttr::getWork() const { return {}; }
KernelWork AttendAttr::getWork() const { return {.positionOperations = attendOperations(getHeads(), getHeadDim())}; }
KernelWork AttendRunsAttr::getWork() const {
  return {.arithmetic = "bf16", .positionOperations = attendOperations(getHeads(), getHeadDim())};
}
KernelWork MergePartsAttr::getWork() const { return eachRow(2 * getHeads() * getHeadDim()); }

KernelWork LatentPrepareAttr::getWork() const { return eachRow(7 * getLatent()); }

KernelWork LatentAttendAttr::getWork() const {
  return {.positionOperations = getHeads() * (2 * (getLatent() + getTurned()) + 2 * getLatent() + 4)};
}

//===----------------------------------------------------------------------===//
// Recurrences
//===----------------------------------------------------------------------===//

KernelWork ConvAttr::getWork() const { return eachRow(2 * getTaps() * getChannels()); }
KernelWork ShiftAttr::getWork() const { return {}; }

// Of each number of the state: decay, a multiply-add to take the row in and, where there are several for a channel, one to read it;
// the delta rule reads it once more.
KernelWork ScanAttr::getWork() const {
  int64_t reads = (getOutputBytes() ? 1 : 0) + (getBetaBytes() ? 1 : 0);
  return eachRow(getChannels() * getStates() * (3 + 2 * reads));
}

// Half of the square of a chunk is masked away: it counts nothing.
KernelWork ChunkScoresAttr::getWork() const {
  return {getBf16() ? "bf16" : "f32", getGroups() * getStates() * getChunk()};
}

// Reading the state and moving it on, and the product of the scores with the chunk's rows.
KernelWork ChunkScanAttr::getWork() const {
  ScanAttr scan = getScan();
  return {getBf16() ? "bf16" : "f32", scan.getChannels() * (4 * scan.getStates() + getChunk())};
}

//===----------------------------------------------------------------------===//
// Experts
//===----------------------------------------------------------------------===//

KernelWork RouteAttr::getWork() const { return eachRow(getCount() * (2 + getTop())); }
KernelWork GroupTokensAttr::getWork() const { return {}; }
KernelWork CombineAttr::getWork() const { return eachRow(2 * getTop() * getChannels()); }
