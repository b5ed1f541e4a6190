// What passes ask ops of any dialect, instead of keeping lists of op names.
#ifndef LLMC_DIALECTS_LLM_INTERFACES
#define LLMC_DIALECTS_LLM_INTERFACES

include "mlir/IR/OpBase.td"

def LLM_CostOpInterface : OpInterface<"CostOpInterface"> {
  let cppNamespace = "::llmc::llm";
  let description = [{
    What one run of the op costs. Asked by the schedule and by `llmc inspect`. Caches and weights count as bytes; values
    between ops do not, since fusion decides whether they meet memory.
  }];
  let methods = [InterfaceMethod<
    "Cost of a run over `tokens` rows, each with `contextTokens` tokens in its sequence.",
    "::llmc::llm::OpCost", "getCost", (ins "int64_t":$tokens, "int64_t":$contextTokens)>];
}

def LLM_StatefulOpInterface : OpInterface<"StatefulOpInterface"> {
  let cppNamespace = "::llmc::llm";
  let description = [{ An op that reads or writes one declared state. }];
  let methods = [
    InterfaceMethod<"The `llm.state` that it names.", "::mlir::FlatSymbolRefAttr", "getStateSymbol">,
    InterfaceMethod<"The model's layer number whose part of the state it touches.", "::mlir::Value", "getStateLayer">];
}

def LLM_EpilogueOpInterface : OpInterface<"EpilogueOpInterface"> {
  let cppNamespace = "::llmc::llm";
  let description = [{
    A pointwise op that the product before it may do while its results are in registers.
  }];
  let methods = [
    InterfaceMethod<"Which place of `llm.linear` it takes.", "::llmc::llm::EpilogueKind", "getEpilogueKind">,
    InterfaceMethod<[{
      The operands that the product may compute: any one of them (activation, residual), or all at once (glu, in this order).
    }], "::llvm::SmallVector<::mlir::OpOperand *>", "getEpilogueOperands">];
}

#endif
