// The ops around recurrences: spelling, folds.
// RUN: llmc-opt %s | llmc-opt | FileCheck %s
// RUN: llmc-opt %s --canonicalize | FileCheck %s --check-prefix=FOLD

// CHECK-LABEL: @parts(
func.func @parts(%x: tensor<?x8xf32>, %h: tensor<?x2xf32>, %w: tensor<8xf32>, %g: tensor<2xf32>) -> tensor<?x8xf32> {
  // CHECK: llm.mul %{{.*}}, %{{.*}} : tensor<?x8xf32>, tensor<?x2xf32>
  %0 = llm.mul %x, %h : tensor<?x8xf32>, tensor<?x2xf32>
  // CHECK: llm.scale_channels %{{.*}}, %{{.*}} : tensor<?x8xf32>, tensor<2xf32>
  %1 = llm.scale_channels %0, %g : tensor<?x8xf32>, tensor<2xf32>
  // CHECK: llm.add_bias %{{.*}}, %{{.*}} : tensor<?x8xf32>, tensor<8xf32>
  %2 = llm.add_bias %1, %w : tensor<?x8xf32>, tensor<8xf32>
  // CHECK: llm.mix %{{.*}}, %{{.*}} by %{{.*}} : tensor<?x8xf32>, tensor<8xf32>
  %3 = llm.mix %2, %x by %w : tensor<?x8xf32>, tensor<8xf32>
  // CHECK: llm.unit_norm %{{.*}} group 4 {eps = {{.*}}} : tensor<?x8xf32>
  %4 = llm.unit_norm %3 group 4 {eps = 1.0e-5} : tensor<?x8xf32>
  return %4 : tensor<?x8xf32>
}

// CHECK-LABEL: @concat(
func.func @concat(%x: tensor<?x8xf32>, %h: tensor<?x2xf32>) -> tensor<?x18xf32> {
  // CHECK: llm.concat %{{.*}}, %{{.*}}, %{{.*}} : tensor<?x8xf32>, tensor<?x2xf32>, tensor<?x8xf32> -> tensor<?x18xf32>
  %0 = llm.concat %x, %h, %x : tensor<?x8xf32>, tensor<?x2xf32>, tensor<?x8xf32> -> tensor<?x18xf32>
  return %0 : tensor<?x18xf32>
}

// Columns of columns are columns; all of them are the value.
// FOLD-LABEL: @columns(
// FOLD-NEXT: llm.columns %arg0 from 3 : tensor<?x8xf32> -> tensor<?x2xf32>
// FOLD-NEXT: return
func.func @columns(%x: tensor<?x8xf32>) -> tensor<?x2xf32> {
  // CHECK: llm.columns %{{.*}} from 1 : tensor<?x8xf32> -> tensor<?x4xf32>
  %0 = llm.columns %x from 0 : tensor<?x8xf32> -> tensor<?x8xf32>
  %1 = llm.columns %0 from 1 : tensor<?x8xf32> -> tensor<?x4xf32>
  %2 = llm.columns %1 from 2 : tensor<?x4xf32> -> tensor<?x2xf32>
  return %2 : tensor<?x2xf32>
}

llm.state @last : !llm.conv_tail<layers = 1, channels = 8, taps = 1>
llm.state @tail : !llm.conv_tail<layers = 1, channels = 8, taps = 3>
llm.state @diagonal : !llm.recurrent<1x8x4>
llm.state @heads : !llm.recurrent<1x2x4x16>
llm.state @delta : !llm.recurrent<1x2x16x4>
llm.state @channels : !llm.recurrent<1x8>
llm.state @mean : !llm.recurrent<1x3x8>

// An unused recurrence stays: it moves its state.
// FOLD-LABEL: @recurrences(
// FOLD-COUNT-2: llm.shift
// FOLD-COUNT-2: llm.causal_conv
// FOLD-COUNT-5: llm.scan
// CHECK-LABEL: @recurrences(
func.func @recurrences(%x: tensor<?x8xf32>, %batch: !llm.batch, %layer: index, %taps: tensor<8x4xbf16>, %v: tensor<8xf32>, %a: tensor<8x4xf32>,
                       %h: tensor<2xf32>, %step: tensor<?x2xf32>, %n: tensor<?x4xf32>, %groups: tensor<?x32xf32>, %one: tensor<?x16xf32>) {
  // CHECK: llm.shift %{{.*}}, @last[%{{.*}}], %{{.*}} : tensor<?x8xf32>
  %0 = llm.shift %x, @last[%layer], %batch : tensor<?x8xf32>
  %1 = llm.shift %x, @last[%layer], %batch : tensor<?x8xf32>
  // CHECK: llm.causal_conv %{{.*}}, %{{.*}} bias %{{.*}}, @tail[%{{.*}}], %{{.*}} activation silu : tensor<?x8xf32>, tensor<8x4xbf16>, tensor<8xf32>
  %2 = llm.causal_conv %x, %taps bias %v, @tail[%layer], %batch activation silu : tensor<?x8xf32>, tensor<8x4xbf16>, tensor<8xf32>
  // CHECK: llm.causal_conv %{{.*}}, %{{.*}}, @tail[%{{.*}}], %{{.*}} : tensor<?x8xf32>, tensor<8x4xbf16>
  %3 = llm.causal_conv %x, %taps, @tail[%layer], %batch : tensor<?x8xf32>, tensor<8x4xbf16>
  // CHECK: llm.scan diagonal %{{.*}}, @diagonal[%{{.*}}], %{{.*}} decay rate %{{.*}} step %{{.*}} input %{{.*}} output %{{.*}} skip %{{.*}} :
  %4 = llm.scan diagonal %x, @diagonal[%layer], %batch decay rate %a step %x input %n output %n skip %v
    : (tensor<?x8xf32>, index, !llm.batch, tensor<8x4xf32>, tensor<?x8xf32>, tensor<?x4xf32>, tensor<?x4xf32>, tensor<8xf32>) -> tensor<?x8xf32>
  // CHECK: llm.scan scalar %{{.*}} decay neg_exp %{{.*}} step %{{.*}} input %{{.*}} output %{{.*}} skip %{{.*}} chunk 64 {step_limit = array<f64: 0.000000e+00, 1.000000e+00>}
  %5 = llm.scan scalar %x, @heads[%layer], %batch decay neg_exp %h step %step input %groups output %groups skip %h chunk 64 {step_limit = array<f64: 0.0, 1.0>}
    : (tensor<?x8xf32>, index, !llm.batch, tensor<2xf32>, tensor<?x2xf32>, tensor<?x32xf32>, tensor<?x32xf32>, tensor<2xf32>) -> tensor<?x8xf32>
  // CHECK: llm.scan delta %{{.*}} beta %{{.*}} :
  %6 = llm.scan delta %x, @delta[%layer], %batch decay neg_exp %h step %step input %one output %one beta %step
    : (tensor<?x8xf32>, index, !llm.batch, tensor<2xf32>, tensor<?x2xf32>, tensor<?x16xf32>, tensor<?x16xf32>, tensor<?x2xf32>) -> tensor<?x8xf32>
  // CHECK: llm.scan gated %{{.*}} decay softplus8 %{{.*}} step %{{.*}} :
  %7 = llm.scan gated %x, @channels[%layer], %batch decay softplus8 %v step %x : (tensor<?x8xf32>, index, !llm.batch, tensor<8xf32>, tensor<?x8xf32>) -> tensor<?x8xf32>
  // CHECK: llm.scan wkv %{{.*}} decay neg_exp %{{.*}} input %{{.*}} skip %{{.*}} :
  %8 = llm.scan wkv %x, @mean[%layer], %batch decay neg_exp %v input %x skip %v
    : (tensor<?x8xf32>, index, !llm.batch, tensor<8xf32>, tensor<?x8xf32>, tensor<8xf32>) -> tensor<?x8xf32>
  return
}
