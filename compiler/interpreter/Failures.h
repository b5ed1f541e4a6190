// What the parts of the evaluator (Evaluate*.cpp) share.
#pragma once

#include "compiler/support/StatusBridge.h"

#include "mlir/IR/Operation.h"
#include "llvm/Support/raw_ostream.h"

namespace llmc::interpreter {

inline llvm::Error fail(mlir::Operation *op, ErrorCode code, const llvm::Twine &what) {
  std::string text;
  llvm::raw_string_ostream(text) << op->getName() << " at " << op->getLoc() << ": " << what;
  return makeError(code, text);
}

inline llvm::Error sameRows(mlir::Operation *op, std::initializer_list<int64_t> counts) {
  for (int64_t rows : counts)
    if (rows != *counts.begin())
      return fail(op, ErrorCode::InvalidInput,
                  "operands have " + llvm::Twine(*counts.begin()) + " and " + llvm::Twine(rows) + " rows");
  return llvm::Error::success();
}

inline float toFloat(const llvm::APFloat &value) { return static_cast<float>(value.convertToDouble()); }

} // namespace llmc::interpreter
