// The `llm` dialect: include this to build, read or match its ops.
#pragma once

#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/Interfaces/InferTypeOpInterface.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

#include "dialects/llm/Formats.h"
#include "dialects/llm/Real.h"
#include "dialects/llm/LLMDialect.h.inc"

namespace llmc::llm {
// The type constraints of ops: tensor<?xCxf32>; and a vector, matrix or stack of matrices of static shape whose elements a file can hold.
bool isActivations(mlir::Type type);
bool isWeightTensor(mlir::Type type);
bool isExpertIndices(mlir::Type type); // tensor<?xKxi32>
} // namespace llmc::llm

#include "dialects/llm/LLMTypeInterfaces.h.inc"

#define GET_ATTRDEF_CLASSES
#include "dialects/llm/LLMAttributes.h.inc"
#define GET_TYPEDEF_CLASSES
#include "dialects/llm/LLMTypes.h.inc"
#include "dialects/llm/Interfaces.h"
#define GET_OP_CLASSES
#include "dialects/llm/LLMOps.h.inc"

namespace llmc::llm {

// On a version of a step: that it is one of an encoder-decoder's encoder.
constexpr llvm::StringLiteral kEncoderAttr = "llm.encoder";

// The memory that state symbols name, as MLIR's side-effect machinery sees it.
struct StateResource : mlir::SideEffects::Resource::Base<StateResource> {
  llvm::StringRef getName() final { return "llm.state"; }
};

// Frequencies f_i (dim/2 of them) of a rope table for a sequence of `length` tokens, as Hugging Face computes them, and the factor on
// cosines and sines. `length` matters for dynamic and longrope scaling only.
struct RopeFrequencies {
  llvm::SmallVector<float> inverse;
  float attentionFactor = 1.0f;
};
// The bucket of a key that lies `distance` behind the query in the text (before it: negative).
int64_t relativeBucket(RelativeAttr relative, int64_t buckets, int64_t distance);

RopeFrequencies ropeFrequencies(int64_t dim, double theta, RopeScalingAttr scaling, int64_t length);

} // namespace llmc::llm
