// Passes of the phase `simplify`, in the order in which `llm-simplify-pipeline` runs them.
#ifndef LLMC_PASSES_SIMPLIFY
#define LLMC_PASSES_SIMPLIFY

include "mlir/Pass/PassBase.td"

def DetectTies : Pass<"llm-detect-ties", "::mlir::ModuleOp"> {
  let summary = "Give weights that read the same bytes one symbol";
  let description = [{
    A checkpoint that ties its output to its embedding names one tensor twice. Weights are tied when type, source,
    `transpose`, `rows`, `layers` and `formats` agree (an absent `layers` being 0, 1, …); the first symbol of the module
    stays and all uses of the others become uses of it.

    ```mlir
    llm.weight @embed : !llm.weights<1x512x64xbf16> from "model.embed_tokens.weight"
    llm.weight @head : !llm.weights<1x512x64xbf16> from "model.embed_tokens.weight"
    func.func @step(%batch: !llm.batch) -> tensor<?x512xf32> {
      %table = llm.weight_load @embed : tensor<512x64xbf16>
      %w = llm.weight_load @head : tensor<512x64xbf16>
    ```
    becomes
    ```mlir
    llm.weight @embed : !llm.weights<1x512x64xbf16> from "model.embed_tokens.weight"
    func.func @step(%batch: !llm.batch) -> tensor<?x512xf32> {
      %table = llm.weight_load @embed : tensor<512x64xbf16>
      %w = llm.weight_load @embed : tensor<512x64xbf16>
    ```
    Nothing must run earlier. `cse` merges the loads afterwards.
  }];
  let statistics = [Statistic<"numTied", "tied-weights", "weights replaced by one that reads the same bytes">];
  let dependentDialects = ["::llmc::llm::LLMDialect"];
}

def Simplify : Pass<"llm-simplify", "::mlir::func::FuncOp"> {
  let summary = "Bring constant factors into their canonical place";
  let description = [{
    A factor of 1 goes; factors that follow each other become one; a factor of an embedding that nobody else reads
    becomes the embedding's own. A product of two factors is rounded to f32 once, where it was rounded twice before. It
    stays apart where it would leave the range of f32. Pure ops that nobody reads go too.

    ```mlir
    %e = llm.embedding %batch, %table tokens : tensor<512x64xbf16> -> tensor<?x64xf32>
    %s = llm.scale %e by 4.0 : tensor<?x64xf32>
    %x = llm.scale %s by 2.0 : tensor<?x64xf32>
    ```
    becomes
    ```mlir
    %x = llm.embedding %batch, %table tokens {scale = 8.0 : f32} : tensor<512x64xbf16> -> tensor<?x64xf32>
    ```
    Nothing must run earlier. The order of an `llm.add`'s operands needs no canonical form: the op is commutative, and
    `cse` knows that.
  }];
  let statistics = [
    Statistic<"numMergedScales", "merged-scales", "scales merged into a scale before them">,
    Statistic<"numFoldedScales", "folded-scales", "scales folded into an embedding">];
  let dependentDialects = ["::llmc::llm::LLMDialect"];
}

def DropDeadWeights : Pass<"llm-drop-dead-weights", "::mlir::ModuleOp"> {
  let summary = "Remove weights, states and private functions that no public function reaches";
  let description = [{
    Roots are the public functions. What they name, directly or through functions they call or hand to `llm.layers`,
    stays. Assets stay always. A module that holds an op with a region of an unregistered dialect is left alone:
    nobody knows whose symbols it names.

    ```mlir
    llm.weight @used : !llm.weights<1x64xf32> from "norm.weight"
    llm.weight @rotary_inv_freq : !llm.weights<1x32xf32> from "rotary.inv_freq"
    func.func @step(%x: tensor<?x64xf32>) -> tensor<?x64xf32> {
      %g = llm.weight_load @used : tensor<64xf32>
    ```
    becomes the same without `@rotary_inv_freq`. `cse` and `llm-simplify` should run earlier, so that loads which nobody reads are gone.
  }];
  let statistics = [
    Statistic<"numWeights", "dropped-weights", "weights dropped">,
    Statistic<"numStates", "dropped-states", "states dropped">,
    Statistic<"numFunctions", "dropped-functions", "functions dropped">];
}

#endif
