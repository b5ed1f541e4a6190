// Recurrences: loops over tiles of channels, each of which goes through all tokens; by chunks where the version has tokens enough.
// RUN: llmc-opt %s --tile-schedule | FileCheck %s

// One token: some panels a tile, no chunks.
// CHECK-LABEL: func.func @step_1(
// CHECK: %[[MIXED:.*]] = tile.buffer {{.*}} name "conv"
// CHECK-DAG: tile.state %{{.*}} @tail[%{{.*}}] slot
// CHECK: scf.forall {{.*}} in (
// CHECK: call @conv
// CHECK: tile.row %[[MIXED]][%{{.*}}] bytes 1152
// CHECK: tile.row %[[MIXED]][%{{.*}}] bytes 1152 offset 1024
// CHECK: scf.forall
// CHECK: call @scan
// CHECK-NOT: chunk
// CHECK-LABEL: func.func @step_64(
// CHECK: call @conv
// CHECK-DAG: tile.buffer {{.*}} name "scores"
// CHECK-DAG: tile.buffer {{.*}} name "inputs"
// CHECK-DAG: tile.buffer {{.*}} name "outputs"
// CHECK: scf.forall
// CHECK: call @chunk_scores
// CHECK: scf.forall
// CHECK: call @chunk_scan
// CHECK-DAG: #tile.conv<channels = 288, taps = 4, format = bf16, bias = true, x_bytes = 1152, panels = 1, activation = {{.*}}silu>
// CHECK-DAG: #tile.chunk_scan<scan = <kind = scalar, form = neg_exp, format = f32, heads = 4, width = 64, states = 16, groups = 1, x_bytes = 1152,{{.*}}>, chunk = 32, bf16 = false>
module attributes {tile.target = #tile.target<"generic", vector = 128, dot = portable>} {
llm.asset @file weights "f"
llm.weight @embed : !llm.weights<1x8x288xf32> from "embed"
llm.weight @conv : !llm.weights<1x288x4xbf16> from "conv"
llm.weight @conv_bias : !llm.weights<1x288xf32> from "conv_bias"
llm.weight @steps : !llm.weights<1x4x256xf32> from "steps"
llm.weight @a : !llm.weights<1x4xf32> from "a"
llm.state @tail : !llm.conv_tail<layers = 1, channels = 288, taps = 3>
llm.state @ssm : !llm.recurrent<1x4x64x16>
func.func private @layer(%x: tensor<?x288xf32>, %i: index, %batch: !llm.batch) -> tensor<?x288xf32> {
  %w = llm.weight_load @conv[%i] : tensor<288x4xbf16>
  %bias = llm.weight_load @conv_bias[%i] : tensor<288xf32>
  %steps = llm.weight_load @steps[%i] : tensor<4x256xf32>
  %a = llm.weight_load @a[%i] : tensor<4xf32>
  %m = llm.causal_conv %x, %w bias %bias, @tail[%i], %batch activation silu : tensor<?x288xf32>, tensor<288x4xbf16>, tensor<288xf32>
  %u = llm.columns %m from 0 : tensor<?x288xf32> -> tensor<?x256xf32>
  %in = llm.columns %m from 256 : tensor<?x288xf32> -> tensor<?x16xf32>
  %out = llm.columns %m from 272 : tensor<?x288xf32> -> tensor<?x16xf32>
  %step = llm.linear %u[%steps] : (tensor<?x256xf32>, tensor<4x256xf32>) -> tensor<?x4xf32>
  %y = llm.scan scalar %u, @ssm[%i], %batch decay neg_exp %a step %step input %in output %out chunk 32
    : (tensor<?x256xf32>, index, !llm.batch, tensor<4xf32>, tensor<?x4xf32>, tensor<?x16xf32>, tensor<?x16xf32>) -> tensor<?x256xf32>
  return %m : tensor<?x288xf32>
}
func.func @step_1(%batch: !llm.batch) -> tensor<?x288xf32> attributes {llm.max_tokens = 1 : i64} {
  %t = llm.weight_load @embed : tensor<8x288xf32>
  %e = llm.embedding %batch, %t tokens : tensor<8x288xf32> -> tensor<?x288xf32>
  %x = llm.layers %e, %batch kinds [@layer] order [0] : tensor<?x288xf32> -> tensor<?x288xf32>
  %r = llm.select_rows %x, %batch : tensor<?x288xf32> -> tensor<?x288xf32>
  return %r : tensor<?x288xf32>
}
func.func @step_64(%batch: !llm.batch) -> tensor<?x288xf32> attributes {llm.max_tokens = 64 : i64} {
  %t = llm.weight_load @embed : tensor<8x288xf32>
  %e = llm.embedding %batch, %t tokens : tensor<8x288xf32> -> tensor<?x288xf32>
  %x = llm.layers %e, %batch kinds [@layer] order [0] : tensor<?x288xf32> -> tensor<?x288xf32>
  %r = llm.select_rows %x, %batch : tensor<?x288xf32> -> tensor<?x288xf32>
  return %r : tensor<?x288xf32>
}
}
