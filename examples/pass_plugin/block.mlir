// CHECK: (S) 2 functions - functions counted

// The norm's 64 x 4 bytes, and 3 x 64 x 64 x 2 of the products: the same whether they are fused or not.
// CHECK: func.func private @block
// CHECK-SAME: stats.weight_bytes = 24832 : i64

// One row of the table, and the head: 512 blocks of 34 bytes for 32 elements of 64.
// CHECK: func.func @step
// CHECK-SAME: stats.weight_bytes = 34944 : i64
llm.weight @norm : !llm.weights<2x64xf32> from "blk.{layer}.norm"
llm.weight @gate : !llm.weights<2x64x64xbf16> from "blk.{layer}.gate"
llm.weight @up : !llm.weights<2x64x64xbf16> from "blk.{layer}.up"
llm.weight @down : !llm.weights<2x64x64xbf16> from "blk.{layer}.down"
llm.weight @embed : !llm.weights<1x512x64xbf16> from "embed"
llm.weight @head : !llm.weights<1x512x64x!llm.quant<q8_0>> from "head"
func.func private @block(%x: tensor<?x64xf32>, %i: index, %batch: !llm.batch) -> tensor<?x64xf32> {
  %g = llm.weight_load @norm[%i] : tensor<64xf32>
  %n = llm.rms_norm %x, %g {eps = 1.0e-5} : tensor<?x64xf32>, tensor<64xf32>
  %wg = llm.weight_load @gate[%i] : tensor<64x64xbf16>
  %wu = llm.weight_load @up[%i] : tensor<64x64xbf16>
  %gate = llm.linear %n [%wg] : (tensor<?x64xf32>, tensor<64x64xbf16>) -> tensor<?x64xf32>
  %up = llm.linear %n [%wu] : (tensor<?x64xf32>, tensor<64x64xbf16>) -> tensor<?x64xf32>
  %h = llm.glu silu %gate, %up : tensor<?x64xf32>
  %wd = llm.weight_load @down[%i] : tensor<64x64xbf16>
  %d = llm.linear %h [%wd] : (tensor<?x64xf32>, tensor<64x64xbf16>) -> tensor<?x64xf32>
  %y = llm.add %x, %d : tensor<?x64xf32>
  return %y : tensor<?x64xf32>
}
func.func @step(%batch: !llm.batch) -> tensor<?x512xf32> {
  %table = llm.weight_load @embed : tensor<512x64xbf16>
  %x = llm.embedding %batch, %table tokens : tensor<512x64xbf16> -> tensor<?x64xf32>
  %y = llm.layers %x, %batch kinds [@block] order [0, 0] : tensor<?x64xf32> -> tensor<?x64xf32>
  %head = llm.weight_load @head : tensor<512x64x!llm.quant<q8_0>>
  %logits = llm.linear %y [%head] : (tensor<?x64xf32>, tensor<512x64x!llm.quant<q8_0>>) -> tensor<?x512xf32>
  return %logits : tensor<?x512xf32>
}
