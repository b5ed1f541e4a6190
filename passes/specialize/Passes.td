// Passes of the specialize phase: one version of the step for each range of T.
include "mlir/Pass/PassBase.td"

def LLMSpecialize : Pass<"llm-specialize", "::mlir::ModuleOp"> {
  let summary = "Make one version of the step for each largest number of tokens, and settle the numerics";
  let description = [{
    Decoding, with one token, and prefill, with many, are the same function at different T; each version may then be tiled and
    planned for its own largest T. The layer functions are shared.

    ```mlir
    func.func @step(%batch: !llm.batch) -> …          // before
    func.func @step_1(%batch: !llm.batch) -> … attributes {llm.max_tokens = 1 : i64}      // after
    func.func @step_512(%batch: !llm.batch) -> … attributes {llm.max_tokens = 512 : i64}
    ```
    Where tokens attend to later ones (`mask` full), the step must have the whole of a sequence: there is one version, for `llm.context` tokens,
    whatever `tokens` says, and the module is marked `llm.looks_ahead`. A module whose step has no logits is marked `llm.no_logits`. Versions
    of an encoder-decoder's `@encode` are marked `llm.encoder`.

    Settles what docs/architecture/numerics.md leaves to the mode: with `exact`, or when every matrix is f32, caches become f32; `exact`
    marks the module `llm.exact`, which keeps later phases from rounding activations. Without `exact`, `cache-type` settles the element of
    caches; q8_0 leaves those of latent attention in f16.

    ```mlir
    llm.state @kv : !llm.kv_cache<layers = 16, kv_heads = 8, head_dim = 64, f16>                // before
    llm.state @kv : !llm.kv_cache<layers = 16, kv_heads = 8, head_dim = 64, !llm.quant<q8_0>>   // after, with cache-type=q8_0
    ```
  }];
  let options = [
    ListOption<"tokens", "tokens", "int64_t", "Largest T of each version, ascending (default: 1,512)">,
    Option<"few", "few", "int64_t", "0", "Without `tokens`: where matrices are quantised, also a version for so many tokens (0: none)">,
    Option<"fewOfHalves", "few-of-halves", "bool", "false", "With `few`: where they are bf16 or f16, too">,
    Option<"exact", "exact", "bool", "false", "Float32 throughout: activations, sums and caches">,
    Option<"cacheType", "cache-type", "std::string", "", "Element of attention caches: f32, f16 or q8_0 (default: as the mode says)">];
  let statistics = [Statistic<"versions", "versions", "Versions of the step made">,
                    Statistic<"widened", "widened-caches", "Caches that became f32">,
                    Statistic<"quantised", "quantised-caches", "Caches that became q8_0">];
}
