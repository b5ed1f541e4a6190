// The order in which weights and states stand in the tables of an artifact (runtime/artifact/Artifact.h): the order of the module,
// layer after layer. Compiled code indexes by it, the artifact writer fills it.
#pragma once

#include "dialects/llm/LLM.h"

#include "mlir/IR/BuiltinOps.h"

namespace llmc::tile {

// Index in the table of the first layer of `weight`.
int64_t weightTableIndex(mlir::ModuleOp module, llm::WeightOp weight);
int64_t weightTableSize(mlir::ModuleOp module);
int64_t stateTableIndex(mlir::ModuleOp module, llm::StateOp state);

// Bytes of one layer's packed weight, a multiple of 64: panels for matrices, one expert's after the other's; f32 for vectors
// and for the biases of experts (matrices of one column), each padded to 64 bytes: a panel of one f32 input, too.
bool isPackedAsVectors(llvm::ArrayRef<int64_t> shape, llm::Format format);
int64_t packedWeightBytes(llm::WeightOp weight, int64_t index);

} // namespace llmc::tile
