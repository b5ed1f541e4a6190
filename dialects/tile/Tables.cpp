#include "dialects/tile/Tables.h"

#include "dialects/tile/Layout.h"

using namespace mlir;
using namespace llmc;

int64_t tile::weightTableIndex(ModuleOp module, llm::WeightOp weight) {
  int64_t index = 0;
  for (auto other : module.getOps<llm::WeightOp>()) {
    if (other == weight)
      return index;
    index += other.getWeights().getLayers();
  }
  llvm_unreachable("the weight is in the module");
}

int64_t tile::weightTableSize(ModuleOp module) {
  int64_t size = 0;
  for (auto weight : module.getOps<llm::WeightOp>())
    size += weight.getWeights().getLayers();
  return size;
}

int64_t tile::stateTableIndex(ModuleOp module, llm::StateOp state) {
  auto states = module.getOps<llm::StateOp>();
  return std::distance(states.begin(), llvm::find(states, state));
}

bool tile::isPackedAsVectors(ArrayRef<int64_t> shape, llm::Format format) {
  return shape.size() == 1 || (shape.size() == 3 && shape.back() == 1 && !llm::isQuantised(format));
}

int64_t tile::packedWeightBytes(llm::WeightOp weight, int64_t index) {
  ArrayRef<int64_t> shape = weight.getWeights().getShape();
  if (isPackedAsVectors(shape, weight.formatOf(index)))
    return weight.getExperts() * alignTo(shape[shape.size() == 1 ? 0 : 1] * 4, kAlignment);
  return weight.getExperts() * packedBytes(weight.formatOf(index), shape[shape.size() - 2], shape.back());
}
