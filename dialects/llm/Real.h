// A double that can be a parameter of attributes: hashable, compared by bits, printed so that it reads back the same.
#pragma once

#include "mlir/IR/DialectImplementation.h" // FieldParser
#include "llvm/ADT/APFloat.h"
#include "llvm/ADT/Hashing.h"
#include "llvm/ADT/bit.h"

namespace llmc::llm {

struct Real {
  double value = 0;
  Real() = default;
  Real(double value) : value(value) {}
  operator double() const { return value; }
  bool operator==(const Real &other) const {
    return llvm::bit_cast<uint64_t>(value) == llvm::bit_cast<uint64_t>(other.value);
  }
};

inline llvm::hash_code hash_value(Real real) { return llvm::hash_value(llvm::bit_cast<uint64_t>(real.value)); }

inline mlir::AsmPrinter &operator<<(mlir::AsmPrinter &printer, Real real) {
  printer.printFloat(llvm::APFloat(real.value));
  return printer;
}

} // namespace llmc::llm

template <> struct mlir::FieldParser<llmc::llm::Real> {
  static FailureOr<llmc::llm::Real> parse(AsmParser &parser) {
    double value = 0;
    if (parser.parseFloat(value))
      return failure();
    return llmc::llm::Real(value);
  }
};
