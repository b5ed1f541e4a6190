// The updates of llm.scan, one token at a time, as its description gives them.
#pragma once

#include "compiler/interpreter/Interpreter.h"

namespace llmc::recurrences {

// Absent operands are null or empty.
struct Operands {
  std::shared_ptr<const Matrix> x, input, output, beta;
  Matrix step, rate; // step: clamped; rate: of makeRates
  std::vector<float> skip;
};

// What `form` makes of the stored weight.
void makeRates(llm::DecayForm form, Matrix &a);

// Token t: `state` of shape `shape` (made when `first`) to its next value, and y. `first`: the token has no past.
void update(llm::ScanKind kind, const Operands &operands, llvm::ArrayRef<int64_t> shape, int64_t t, bool first,
            std::vector<float> &state, float *y);

} // namespace llmc::recurrences
