// PaLM in small: attention and feed-forward part beside each other behind one norm, one head of keys and values for all queries,
// SwiGLU, no biases, the embedding as the head, logits scaled by 1/sqrt(hidden). Source: arXiv:2204.02311.
//
// Nobody published a checkpoint, so no importer knows PaLM: this is how a model enters without one. palm.py writes weights for it, and says
// in numpy what it computes.
module attributes {llm.family = "palm", llm.vocab = 64 : i64, llm.hidden = 32 : i64, llm.layers = 2 : i64, llm.context = 128 : i64} {
  llm.asset @weights0 weights "model.safetensors"
  llm.weight @embed : !llm.weights<1x64x32xf32> from "embed"
  llm.weight @norm : !llm.weights<1x32xf32> from "norm"
  llm.weight @blk.norm : !llm.weights<2x32xf32> from "layer.{layer}.norm"
  llm.weight @blk.q : !llm.weights<2x32x32xf32> from "layer.{layer}.q"
  llm.weight @blk.k : !llm.weights<2x8x32xf32> from "layer.{layer}.k"
  llm.weight @blk.v : !llm.weights<2x8x32xf32> from "layer.{layer}.v"
  llm.weight @blk.o : !llm.weights<2x32x32xf32> from "layer.{layer}.o"
  llm.weight @blk.gate : !llm.weights<2x128x32xf32> from "layer.{layer}.gate"
  llm.weight @blk.up : !llm.weights<2x128x32xf32> from "layer.{layer}.up"
  llm.weight @blk.down : !llm.weights<2x32x128xf32> from "layer.{layer}.down"
  llm.state @kv : !llm.kv_cache<layers = 2, kv_heads = 1, head_dim = 8, f32>

  func.func private @layer(%x: tensor<?x32xf32>, %layer: index, %batch: !llm.batch, %turns: tensor<?x8xf32>) -> tensor<?x32xf32> {
    %gain = llm.weight_load @blk.norm[%layer] : tensor<32xf32>
    %n = llm.layer_norm %x, %gain {eps = 1.0e-5} : tensor<?x32xf32>, tensor<32xf32>

    %wq = llm.weight_load @blk.q[%layer] : tensor<32x32xf32>
    %wk = llm.weight_load @blk.k[%layer] : tensor<8x32xf32>
    %wv = llm.weight_load @blk.v[%layer] : tensor<8x32xf32>
    %q0, %k0, %v = llm.linear %n[%wq, %wk, %wv] : (tensor<?x32xf32>, tensor<32x32xf32>, tensor<8x32xf32>, tensor<8x32xf32>) -> (tensor<?x32xf32>, tensor<?x8xf32>, tensor<?x8xf32>)
    %q = llm.rope %q0, %turns <half, dim = 8> head_dim 8 : tensor<?x32xf32>, tensor<?x8xf32>
    %k = llm.rope %k0, %turns <half, dim = 8> head_dim 8 : tensor<?x8xf32>, tensor<?x8xf32>
    %a = llm.attention %q, %k, %v, @kv[%layer], %batch scale 0.35355339059327379 : (tensor<?x32xf32>, tensor<?x8xf32>, tensor<?x8xf32>, index, !llm.batch) -> tensor<?x32xf32>
    %wo = llm.weight_load @blk.o[%layer] : tensor<32x32xf32>
    %attended = llm.linear %a[%wo] : (tensor<?x32xf32>, tensor<32x32xf32>) -> tensor<?x32xf32>

    %wg = llm.weight_load @blk.gate[%layer] : tensor<128x32xf32>
    %wu = llm.weight_load @blk.up[%layer] : tensor<128x32xf32>
    %g, %u = llm.linear %n[%wg, %wu] : (tensor<?x32xf32>, tensor<128x32xf32>, tensor<128x32xf32>) -> (tensor<?x128xf32>, tensor<?x128xf32>)
    %h = llm.glu silu %g, %u : tensor<?x128xf32>
    %wd = llm.weight_load @blk.down[%layer] : tensor<32x128xf32>
    %fed = llm.linear %h[%wd] : (tensor<?x128xf32>, tensor<32x128xf32>) -> tensor<?x32xf32>

    %both = llm.add %attended, %fed : tensor<?x32xf32>
    %y = llm.add %x, %both : tensor<?x32xf32>
    return %y : tensor<?x32xf32>
  }

  func.func @step(%batch: !llm.batch) -> (tensor<?x64xf32>, tensor<?x32xf32>) {
    %table = llm.weight_load @embed : tensor<64x32xf32>
    %x = llm.embedding %batch, %table tokens : tensor<64x32xf32> -> tensor<?x32xf32>
    %turns = llm.rope_table %batch theta 1.0e+4 -> tensor<?x8xf32>
    %y = llm.layers %x, %batch (%turns : tensor<?x8xf32>) kinds [@layer] order [0, 0] : tensor<?x32xf32> -> tensor<?x32xf32>
    %rows = llm.select_rows %y, %batch : tensor<?x32xf32> -> tensor<?x32xf32>
    %gain = llm.weight_load @norm : tensor<32xf32>
    %hidden = llm.layer_norm %rows, %gain {eps = 1.0e-5} : tensor<?x32xf32>, tensor<32xf32>
    %products = llm.linear %hidden[%table] : (tensor<?x32xf32>, tensor<64x32xf32>) -> tensor<?x64xf32>
    %logits = llm.scale %products by 0.17677669529663687 : tensor<?x64xf32>
    return %logits, %hidden : tensor<?x64xf32>, tensor<?x32xf32>
  }
}
