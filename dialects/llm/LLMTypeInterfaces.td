// What passes, the interpreter and the artifact ask types.
#ifndef LLMC_DIALECTS_LLM_TYPE_INTERFACES
#define LLMC_DIALECTS_LLM_TYPE_INTERFACES

include "mlir/IR/OpBase.td"

def LLM_StateTypeInterface : TypeInterface<"StateTypeInterface"> {
  let cppNamespace = "::llmc::llm";
  let description = [{
    The type of an `llm.state`: what one layer of one sequence keeps from step to step. What grows with the sequence is counted
    per position; what does not (convolution tails, recurrent states) holds what the last token left, and can't be
    rolled back but to a copy that was taken.
  }];
  let methods = [
    InterfaceMethod<"Layers that use it.", "int64_t", "getStateLayers">,
    InterfaceMethod<"Bytes of one layer for one position; 0: it does not grow.", "int64_t", "getPositionBytes">,
    InterfaceMethod<"Bytes of one layer whatever the length, a multiple of 64; 0: it only grows.", "int64_t", "getFixedBytes">];
}

#endif
