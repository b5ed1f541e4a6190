// What a decoder and its encoder share: the keys and values that the encoder leaves, and attention to them.
#ifndef LLMC_DIALECTS_LLM_CROSSOPS
#define LLMC_DIALECTS_LLM_CROSSOPS

def LLM_AppendOp : LLM_Op<"append", [DeclareOpInterfaceMethods<SymbolUserOpInterface>, DeclareOpInterfaceMethods<MemoryEffectsOpInterface>,
    DeclareOpInterfaceMethods<LLM_CostOpInterface>, DeclareOpInterfaceMethods<LLM_StatefulOpInterface>]> {
  let summary = "Append keys and values to a cache";
  let description = [{
    ```mlir
    llm.append %k, %v, @cross[%layer], %batch : tensor<?x512xf32>
    ```
    `k`, `v`: [T, kv_heads * head_dim], written to their tokens' slots and positions. In an encoder-decoder, `@encode` ends with one for each layer
    of the decoder.
    (C1) `state` names an `llm.kv_cache` without value_dim that `k` and `v` fit. (C2) `k` and `v` have one type.
  }];
  let arguments = (ins LLM_Activations:$k, LLM_Activations:$v, Index:$layer, LLM_BatchType:$batch, FlatSymbolRefAttr:$state);
  let assemblyFormat = "$k `,` $v `,` $state `[` $layer `]` `,` $batch attr-dict `:` type($k) `,` type($v) `,` type($batch)";
  let hasVerifier = 1;
}

def LLM_CrossAttentionOp : LLM_Op<"cross_attention", [AllTypesMatch<["q", "y"]>, DeclareOpInterfaceMethods<SymbolUserOpInterface>,
    DeclareOpInterfaceMethods<MemoryEffectsOpInterface>, DeclareOpInterfaceMethods<LLM_CostOpInterface>,
    DeclareOpInterfaceMethods<LLM_StatefulOpInterface>]> {
  let summary = "Attend to all that the encoder has left";
  let description = [{
    ```mlir
    %a = llm.cross_attention %q, @cross[%layer], %batch scale 0.125 : tensor<?x512xf32>, !llm.batch
    ```
    `q`: [T, heads * head_dim]; head h reads KV head h * kv_heads / heads. Token t attends to all positions of its slot that `@encode` has
    written (`source_lengths` of the batch); scores are `scale * q.k`, softmax and sums in f32. Source: arXiv:1706.03762.
    (C1) `state` names an `llm.kv_cache` without value_dim. (C2) its heads divide those of `q`. (C3) scale > 0.
  }];
  let arguments = (ins LLM_Activations:$q, Index:$layer, LLM_BatchType:$batch, FlatSymbolRefAttr:$state, F64Attr:$scale);
  let results = (outs LLM_Activations:$y);
  let assemblyFormat = "$q `,` $state `[` $layer `]` `,` $batch `scale` $scale attr-dict `:` type($q) `,` type($batch)";
  let hasVerifier = 1;
}

#endif
