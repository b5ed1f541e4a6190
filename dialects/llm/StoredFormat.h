// A weight that is quantised on the way from its file: the type says what it becomes, the attribute `llm.stored` what the file holds.
//
//   llm.weight @blk.q : !llm.weights<16x2048x2048x!llm.quant<q4_0>> from "…" {llm.stored = bf16}
//
// What packs or reads the weight rounds it (compiler/packing/Quantize.h); the pass --llm-quantize writes the attribute.
#pragma once

#include "dialects/llm/LLM.h"

namespace llmc::llm {

constexpr llvm::StringLiteral kStored = "llm.stored";

// Of the module: the file with second moments of inputs of products (compiler/support/ModelMoments.h), a path as that of an llm.asset. Of such
// a weight: the name of the weight under which the file knows them. Values are then rounded so that the product's error is small.
constexpr llvm::StringLiteral kCalibration = "llm.calibration", kMoments = "llm.moments";

// The format in the file of entry `index`. The weight has been verified.
Format storedFormat(WeightOp weight, int64_t index);

} // namespace llmc::llm
