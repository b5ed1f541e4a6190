// RUN: llmc-opt %s --split-input-file --llm-quantize=scheme=q4 | FileCheck %s
// RUN: llmc-opt %s --split-input-file --llm-quantize=scheme=q4a | FileCheck %s --check-prefix=Q4A
// RUN: llmc-opt %s --split-input-file --llm-quantize=scheme=q8 | FileCheck %s --check-prefix=Q8
// RUN: not llmc-opt %s --split-input-file --llm-quantize=scheme=int4 2>&1 | FileCheck %s --check-prefix=UNKNOWN
// UNKNOWN: llm-quantize: want scheme q8, q6, q5, q4 or q4a, got 'int4'

// A tied table has more bits; rows of 64 are no super-blocks; a norm's gain stays.
// CHECK: @embed : !llm.weights<1x512x64x!llm.quant<q8_0>> from "embed" {llm.stored = bf16}
// CHECK: @positions : !llm.weights<1x32x64xbf16>
// CHECK: @q : !llm.weights<2x32x64x!llm.quant<q4_0>> from "{layer}.q" transpose {llm.stored = f32}
// CHECK: @wide : !llm.weights<1x64x256x!llm.quant<q4_0>> from "wide" {llm.stored = f16}
// CHECK: @narrow : !llm.weights<1x64x40xf16>
// CHECK: @router : !llm.weights<1x4x64xbf16>
// CHECK: @norm : !llm.weights<1x64xbf16>
// CHECK: @done : !llm.weights<1x64x64x!llm.quant<q5_0>> from "done"
// CHECK-NOT: stored
// CHECK: llm.linear {{.*}} tensor<32x64x!llm.quant<q4_0>>

// Q4A: @embed : {{.*}}quant<q8_0>
// Q4A: @q : {{.*}}quant<q5_0>
// Q4A: @wide : {{.*}}quant<q4_k>
// Q8: @embed : {{.*}}quant<q8_0>
// Q8: @q : {{.*}}quant<q8_0>
// Q8: @wide : {{.*}}quant<q8_0>
module attributes {llm.vocab = 512 : i64} {
  llm.weight @embed : !llm.weights<1x512x64xbf16> from "embed"
  llm.weight @positions : !llm.weights<1x32x64xbf16> from "positions"
  llm.weight @q : !llm.weights<2x32x64xf32> from "{layer}.q" transpose
  llm.weight @wide : !llm.weights<1x64x256xf16> from "wide"
  llm.weight @narrow : !llm.weights<1x64x40xf16> from "narrow"
  llm.weight @router : !llm.weights<1x4x64xbf16> from "router"
  llm.weight @norm : !llm.weights<1x64xbf16> from "norm"
  llm.weight @done : !llm.weights<1x64x64x!llm.quant<q5_0>> from "done"
  func.func @layer(%x: tensor<?x64xf32>, %layer: index, %wide: tensor<?x256xf32>, %narrow: tensor<?x40xf32>, %batch: !llm.batch)
      -> (tensor<?x32xf32>, tensor<?x64xf32>, tensor<?x64xf32>, tensor<?x64xf32>, tensor<?x64xf32>, tensor<?x64xf32>, tensor<?x512xf32>, tensor<?x2xf32>) {
    %0 = llm.weight_load @q[%layer] : tensor<32x64xf32>
    %g = llm.weight_load @norm : tensor<64xbf16>
    %q = llm.linear %x[%0] norm <rms, eps = 1.0e-5> %g : (tensor<?x64xf32>, tensor<32x64xf32>, tensor<64xbf16>) -> tensor<?x32xf32>
    %1 = llm.weight_load @wide : tensor<64x256xf16>
    %w = llm.linear %wide[%1] : (tensor<?x256xf32>, tensor<64x256xf16>) -> tensor<?x64xf32>
    %2 = llm.weight_load @narrow : tensor<64x40xf16>
    %n = llm.linear %narrow[%2] : (tensor<?x40xf32>, tensor<64x40xf16>) -> tensor<?x64xf32>
    %3 = llm.weight_load @embed : tensor<512x64xbf16>
    %e = llm.embedding %batch, %3 tokens : tensor<512x64xbf16> -> tensor<?x64xf32>
    %l = llm.linear %x[%3] : (tensor<?x64xf32>, tensor<512x64xbf16>) -> tensor<?x512xf32>
    %4 = llm.weight_load @positions : tensor<32x64xbf16>
    %p = llm.embedding %batch, %4 positions : tensor<32x64xbf16> -> tensor<?x64xf32>
    %5 = llm.weight_load @router : tensor<4x64xbf16>
    %scores = llm.linear %x[%5] : (tensor<?x64xf32>, tensor<4x64xbf16>) -> tensor<?x4xf32>
    %experts, %weights = llm.route softmax %scores top 2 : (tensor<?x4xf32>) -> (tensor<?x2xi32>, tensor<?x2xf32>)
    %6 = llm.weight_load @done : tensor<64x64x!llm.quant<q5_0>>
    %d = llm.linear %x[%6] : (tensor<?x64xf32>, tensor<64x64x!llm.quant<q5_0>>) -> tensor<?x64xf32>
    return %q, %w, %n, %e, %p, %d, %l, %weights : tensor<?x32xf32>, tensor<?x64xf32>, tensor<?x64xf32>, tensor<?x64xf32>, tensor<?x64xf32>, tensor<?x64xf32>, tensor<?x512xf32>, tensor<?x2xf32>
  }
}
