// Passes of the phase `quantize`.
#ifndef LLMC_PASSES_QUANTIZATION
#define LLMC_PASSES_QUANTIZATION

include "mlir/Pass/PassBase.td"

def LLMQuantize : Pass<"llm-quantize", "::mlir::ModuleOp"> {
  let summary = "Give the weights of products a format of fewer bits";
  let description = [{
    Changes types, not numbers: a weight says what its file holds (`llm.stored`) and what it becomes, and what packs it rounds it, row by
    row. `scheme` is q8, q6, q5, q4 or q4a; passes/quantization/Schemes.h says which formats they stand for.

    ```mlir
    llm.weight @blk.q : !llm.weights<16x2048x2048xbf16> from "…"
    ```
    becomes with `scheme=q4`
    ```mlir
    llm.weight @blk.q : !llm.weights<16x2048x2048x!llm.quant<q4_0>> from "…" {llm.stored = bf16}
    ```
    Matrices of `llm.linear` and `llm.experts` and tables of tokens change, if nothing else reads them and they are of one float format. What
    stays: vectors (norms, biases, decays), convolutions, tables of positions, what leads to `llm.route`, rows that are no whole blocks of 32, and
    what is quantised already, and what `keep` names by its tensor in the source. The phase `fuse` should run earlier, so that ties are found.
    Caches of attention that are f32 become f16, as those of models which come quantised are.
    In a calibrated module (`llm.calibration`) a weight also gets `llm.moments`, under which the file knows the inputs of its product.
  }];
  let options = [Option<"scheme", "scheme", "std::string", "", "q8, q6, q5, q4 or q4a">,
                 ListOption<"keep", "keep", "std::string", "patterns of tensors in the source that stay as they are">];
  let statistics = [Statistic<"numQuantised", "quantised-weights", "weights that got a format of fewer bits">,
                    Statistic<"numKept", "kept-matrices", "float matrices that stay as they are">];
  let dependentDialects = ["::llmc::llm::LLMDialect"];
}

#endif
