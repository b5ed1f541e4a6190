// Passes of the phase `fuse`, in the order in which `llm-fuse-pipeline` runs them. Each value that is left keeps the
// location of the op that made it before.
#ifndef LLMC_PASSES_FUSION
#define LLMC_PASSES_FUSION

include "mlir/Pass/PassBase.td"

class LLM_FusionPass<string flag> : Pass<flag, "::mlir::func::FuncOp"> {
  let dependentDialects = ["::llmc::llm::LLMDialect"];
}

def FuseParallelLinears : LLM_FusionPass<"llm-fuse-parallel-linears"> {
  let summary = "Make products of one input one product";
  let description = [{
    Linears of one block that read the same `x` (through the same folded norm, if any) become one linear at the place of
    the first, with the weights and the results in their order: Q, K and V; gate and up. Pure ops that define later
    weights and biases move up.

    ```mlir
    %q = llm.linear %n [%wq] : (tensor<?x640xf32>, tensor<1024x640xbf16>) -> tensor<?x1024xf32>
    %wk = llm.weight_load @k[%layer] : tensor<256x640xbf16>
    %k = llm.linear %n [%wk] : (tensor<?x640xf32>, tensor<256x640xbf16>) -> tensor<?x256xf32>
    ```
    becomes
    ```mlir
    %wk = llm.weight_load @k[%layer] : tensor<256x640xbf16>
    %q, %k = llm.linear %n [%wq, %wk] : (…) -> (tensor<?x1024xf32>, tensor<?x256xf32>)
    ```
    A linear whose only reader can fold into it (an activation, a GLU) joins only linears with that same reader, so that
    the later passes still find it. Not fused: linears with an activation, GLU or residual; a linear with a bias and one
    without; a linear whose weight or bias depends on the result of another or can't move.

    `cse` must run earlier: it makes two norms of one value one. Runs before the passes that fold into linears.
    The location of the new linear is `fused<"results">[…]`, one location per result.
  }];
  let statistics = [
    Statistic<"numLinears", "merged-linears", "linears that became part of another">,
    Statistic<"numMixedBiases", "mixed-biases", "inputs whose linears stay apart because only some have a bias">,
    Statistic<"numStuck", "stuck-operands", "linears that stay because a weight or bias can't move up">];
}

def FuseGLU : LLM_FusionPass<"llm-fuse-glu"> {
  let summary = "Fold a gated linear unit into the product of gate and up";
  let description = [{
    ```mlir
    %g, %u = llm.linear %x [%wg, %wu] : (…) -> (tensor<?x2048xf32>, tensor<?x2048xf32>)
    %y = llm.glu silu %g, %u : tensor<?x2048xf32>
    ```
    becomes
    ```mlir
    %y = llm.linear %x [%wg, %wu] activation silu glu : (…) -> tensor<?x2048xf32>
    ```
    Where the GLU reads the second result as its gate, weights and biases change places. A second reader of either
    result keeps the GLU. Run `llm-fuse-parallel-linears` earlier.
  }];
  let statistics = [
    Statistic<"numFused", "fused-glus", "GLUs folded into a linear">,
    Statistic<"numSwapped", "swapped-weights", "of these, those whose weights changed places">];
}

def FuseActivation : LLM_FusionPass<"llm-fuse-activation"> {
  let summary = "Fold an activation into the product it reads";
  let description = [{
    ```mlir
    %h = llm.linear %x [%w] bias [%b] : (…) -> tensor<?x256xf32>
    %y = llm.activation gelu_tanh %h : tensor<?x256xf32>
    ```
    becomes
    ```mlir
    %y = llm.linear %x [%w] bias [%b] activation gelu_tanh : (…) -> tensor<?x256xf32>
    ```
    The linear must have one weight, one reader, and no activation or residual yet. Run before `llm-fuse-residual`.
  }];
  let statistics = [Statistic<"numFused", "fused-activations", "activations folded into a linear">];
}

def FuseNormLinear : LLM_FusionPass<"llm-fuse-norm-linear"> {
  let summary = "Fold a norm into the product that reads it";
  let description = [{
    ```mlir
    %n = llm.rms_norm %x, %g {eps = 1.0e-6, offset = 1.0} : tensor<?x640xf32>, tensor<640xf32>
    %q, %k = llm.linear %n [%wq, %wk] : (…) -> (…)
    ```
    becomes
    ```mlir
    %q, %k = llm.linear %x [%wq, %wk] norm <rms, eps = 1.0e-6, offset = 1.0> %g : (…) -> (…)
    ```
    The norm must be over all channels (not per head), and the linear its only reader, in the same block: a second reader
    would compute it twice. Run `llm-fuse-parallel-linears` earlier, which makes Q, K and V one reader.
  }];
  let statistics = [
    Statistic<"numFused", "fused-norms", "norms folded into a linear">,
    Statistic<"numShared", "shared-norms", "norms that stay because a linear is not their only reader">];
}

def FuseResidual : LLM_FusionPass<"llm-fuse-residual"> {
  let summary = "Fold the sum with the residual stream into the product it reads";
  let description = [{
    ```mlir
    %o = llm.linear %a [%w] : (…) -> tensor<?x640xf32>
    %y = llm.add %x, %o : tensor<?x640xf32>
    ```
    becomes
    ```mlir
    %y = llm.linear %a [%w] residual %x : (…) -> tensor<?x640xf32>
    ```
    Either operand of the sum may be the linear; of two linears the later one takes the other as its residual. The linear
    must have one result with one reader in the same block, and no residual yet. It moves down to the sum. Run
    `llm-fuse-glu` and `llm-fuse-activation` earlier: a residual comes after the activation.
  }];
  let statistics = [
    Statistic<"numFused", "fused-residuals", "sums folded into a linear">];
}

def FuseTopK : LLM_FusionPass<"llm-fuse-top-k"> {
  let summary = "Let the vocabulary product give the best tokens of a row alone";
  let description = [{
    The product that makes the step's logits, its first result, takes in the scale and the softcap that follow, and is marked: of a step that is
    asked for the best of each row, the other logits are then not written.

    ```mlir
    func.func @step(…) {
      %l = llm.linear %n [%w] : (…) -> tensor<?x256000xf32>
      %y = llm.softcap %l cap 30.0 : tensor<?x256000xf32>
      return %y, %n
    ```
    becomes
    ```mlir
      %y = llm.linear %n [%w] softcap 3.000000e+01 top_k : (…) -> tensor<?x256000xf32>
    ```
    Left as they are: logits that are read elsewhere too, or that no product without an activation makes.
  }];
  let statistics = [
    Statistic<"numFused", "marked-products", "products that may give the best alone">,
    Statistic<"numEpilogues", "fused-epilogues", "scales and softcaps folded into them">];
}

def FuseAttention : LLM_FusionPass<"llm-fuse-attention"> {
  let summary = "Fold the norms of heads and the rotation of q and k into attention";
  let description = [{
    ```mlir
    %qn = llm.rms_norm %q, %gq {eps = 1.0e-6} : tensor<?x1024xf32>, tensor<256xf32>
    %kn = llm.rms_norm %k, %gk {eps = 1.0e-6} : tensor<?x256xf32>, tensor<256xf32>
    %qr = llm.rope %qn, %cs <half, dim = 256> head_dim 256 : …
    %kr = llm.rope %kn, %cs <half, dim = 256> head_dim 256 : …
    %y = llm.attention %qr, %kr, %v, @kv[%layer], %batch scale 0.0625 : …
    ```
    becomes
    ```mlir
    %y = llm.attention %q, %k, %v, @kv[%layer], %batch scale 0.0625 norm <rms, eps = 1.0e-6> %gq, %gk
           rotary <half, dim = 256> %cs : …
    ```
    q and k must be alike: ropes with one table, one rotary and the cache's head_dim; norms over heads of the cache's
    head_dim with one epsilon and one offset. A norm goes in only where it comes before the rope, as the op has it. What
    goes in has no other reader. Nothing must run earlier; `cse` makes equal tables one.
  }];
  let statistics = [
    Statistic<"numRopes", "fused-ropes", "attentions that took in the ropes of q and k">,
    Statistic<"numNorms", "fused-norms", "attentions that took in the norms of q and k">,
    Statistic<"numUnlike", "unlike-operands", "attentions whose q and k are made in ways that don't fit together">];
}

def LLMChunkScan : Pass<"llm-chunk-scan", "::mlir::func::FuncOp"> {
  let summary = "Let recurrences of many tokens go a chunk at a time, by matrix products";
  let description = [{
    A scan of kind `scalar` over a chunk of L tokens is a masked product inside the chunk, one product that reads the state before it and
    one that moves the state on (arXiv:2405.21060): more multiply-adds than token by token, but in products whose operands stay in
    registers, and none of them waits for the token before. The pass chooses L for each scan by what a token then costs; versions of few
    tokens, and short runs of tokens, go token by token as before.

    ```mlir
    %y = llm.scan scalar %x, @ssm[%layer], %batch decay neg_exp %a step %dt input %b output %c : …            // before
    %y = llm.scan scalar %x, @ssm[%layer], %batch decay neg_exp %a step %dt input %b output %c chunk 64 : …   // after
    ```
    Scans whose heads are no multiple of 16 channels stay. The last pass of the phase fuse; `--pipeline llm-fuse-pipeline`
    leaves it out.
  }];
  let options = [Option<"length", "length", "int64_t", "0", "Tokens of a chunk, a multiple of 16; 0: by cost">];
  let statistics = [Statistic<"chunked", "chunked", "Scans that go by chunks">];
}

#endif
