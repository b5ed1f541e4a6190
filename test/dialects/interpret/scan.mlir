// Recurrences over the four tokens of a sequence, and of two sequences that alternate; in one step or in three.
// RUN: llmc-interpret %s --function shift --tokens 1,5,0,2 | FileCheck %s --check-prefix=SHIFT
// RUN: llmc-interpret %s --function shift --tokens 1,5,0,2 --chunks 1,2,1 | grep -v step | FileCheck %s --check-prefix=SHIFT
// RUN: llmc-interpret %s --function shift --tokens 1,5,0,2 --slots 0,1,0,1 | FileCheck %s --check-prefix=SHIFT-SLOTS
// RUN: llmc-interpret %s --function causal_conv --tokens 1,5,0,2 | FileCheck %s --check-prefix=CONV
// RUN: llmc-interpret %s --function causal_conv --tokens 1,5,0,2 --chunks 1,2,1 | grep -v step | FileCheck %s --check-prefix=CONV
// RUN: llmc-interpret %s --function causal_conv --tokens 1,5,0,2 --slots 0,1,0,1 | FileCheck %s --check-prefix=CONV-SLOTS
// RUN: llmc-interpret %s --function diagonal --tokens 1,5,0,2 | FileCheck %s --check-prefix=DIAGONAL
// RUN: llmc-interpret %s --function diagonal --tokens 1,5,0,2 --chunks 1,2,1 | grep -v step | FileCheck %s --check-prefix=DIAGONAL
// RUN: llmc-interpret %s --function diagonal --tokens 1,5,0,2 --slots 0,1,0,1 | FileCheck %s --check-prefix=DIAGONAL-SLOTS
// RUN: llmc-interpret %s --function scalar --tokens 1,5,0,2 | FileCheck %s --check-prefix=SCALAR
// RUN: llmc-interpret %s --function scalar --tokens 1,5,0,2 --chunks 1,2,1 | grep -v step | FileCheck %s --check-prefix=SCALAR
// RUN: llmc-interpret %s --function scalar --tokens 1,5,0,2 --slots 0,1,0,1 | FileCheck %s --check-prefix=SCALAR-SLOTS
// RUN: llmc-interpret %s --function delta --tokens 1,5,0,2 | FileCheck %s --check-prefix=DELTA
// RUN: llmc-interpret %s --function delta --tokens 1,5,0,2 --chunks 1,2,1 | grep -v step | FileCheck %s --check-prefix=DELTA
// RUN: llmc-interpret %s --function delta --tokens 1,5,0,2 --slots 0,1,0,1 | FileCheck %s --check-prefix=DELTA-SLOTS
// RUN: llmc-interpret %s --function gated --tokens 1,5,0,2 | FileCheck %s --check-prefix=GATED
// RUN: llmc-interpret %s --function gated --tokens 1,5,0,2 --chunks 1,2,1 | grep -v step | FileCheck %s --check-prefix=GATED
// RUN: llmc-interpret %s --function gated --tokens 1,5,0,2 --slots 0,1,0,1 | FileCheck %s --check-prefix=GATED-SLOTS
// RUN: llmc-interpret %s --function wkv --tokens 1,5,0,2 | FileCheck %s --check-prefix=WKV
// RUN: llmc-interpret %s --function wkv --tokens 1,5,0,2 --chunks 1,2,1 | grep -v step | FileCheck %s --check-prefix=WKV
// RUN: llmc-interpret %s --function wkv --tokens 1,5,0,2 --slots 0,1,0,1 | FileCheck %s --check-prefix=WKV-SLOTS
// Expected values: Inputs/recurrences.py, in float64.

llm.state @last : !llm.conv_tail<layers = 2, channels = 4, taps = 1> layers [3, 5]
llm.state @tail : !llm.conv_tail<layers = 1, channels = 4, taps = 2>
llm.state @diagonal_state : !llm.recurrent<1x4x2>
llm.state @heads : !llm.recurrent<1x2x2x2>
llm.state @channels : !llm.recurrent<1x4>
llm.state @mean : !llm.recurrent<1x3x4>

// Row r, channel c: (r + 1) * (c - 1) / 8.
func.func private @input(%batch: !llm.batch) -> tensor<?x4xf32> {
  %t = arith.constant dense<[[-0.125, 0.0, 0.125, 0.25], [-0.25, 0.0, 0.25, 0.5], [-0.375, 0.0, 0.375, 0.75], [-0.5, 0.0, 0.5, 1.0], [-0.625, 0.0, 0.625, 1.25], [-0.75, 0.0, 0.75, 1.5]]> : tensor<6x4xf32>
  %x = llm.embedding %batch, %t tokens : tensor<6x4xf32> -> tensor<?x4xf32>
  return %x : tensor<?x4xf32>
}

// SHIFT: [0, 0, 0, 0]
// SHIFT-NEXT: [-0.25, 0, 0.25, 0.5]
// SHIFT-NEXT: [-0.75, 0, 0.75, 1.5]
// SHIFT-NEXT: [-0.125, 0, 0.125, 0.25]
// SHIFT-SLOTS: [0, 0, 0, 0]
// SHIFT-SLOTS-NEXT: [0, 0, 0, 0]
// SHIFT-SLOTS-NEXT: [-0.25, 0, 0.25, 0.5]
// SHIFT-SLOTS-NEXT: [-0.75, 0, 0.75, 1.5]
func.func @shift(%batch: !llm.batch) -> tensor<?x4xf32> {
  %x = call @input(%batch) : (!llm.batch) -> tensor<?x4xf32>
  %layer = arith.constant 5 : index
  %y = llm.shift %x, @last[%layer], %batch : tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}

// CONV: [0.2053, -0.09003, 0.2137, 0.3112]
// CONV-NEXT: [0.2053, -0.09003, 0.4989, 1.491]
// CONV-NEXT: [-0.2726, -0.09003, 0.5791, 1.762]
// CONV-NEXT: [-0.1951, -0.09003, -0.1023, 3.796]
// CONV-SLOTS: [0.2053, -0.09003, 0.2137, 0.3112]
// CONV-SLOTS-NEXT: [0.5955, -0.09003, 0.302, 1.226]
// CONV-SLOTS-NEXT: [-0.1187, -0.09003, 0.3728, 0.3112]
// CONV-SLOTS-NEXT: [-0.2707, -0.09003, 0.8674, 1.226]
func.func @causal_conv(%batch: !llm.batch) -> tensor<?x4xf32> {
  %x = call @input(%batch) : (!llm.batch) -> tensor<?x4xf32>
  %layer = arith.constant 0 : index
  %w = arith.constant dense<[[1.0, 2.0, -1.0], [0.5, 0.0, 1.0], [-1.0, 1.0, 0.25], [2.0, 0.5, 1.0]]> : tensor<4x3xf32>
  %b = arith.constant dense<[0.1, -0.2, 0.3, 0.0]> : tensor<4xf32>
  %y = llm.causal_conv %x, %w bias %b, @tail[%layer], %batch activation silu : tensor<?x4xf32>, tensor<4x3xf32>, tensor<4xf32>
  return %y : tensor<?x4xf32>
}

// DIAGONAL: [-0.376, 0, 0.1807, -0.07384]
// DIAGONAL-NEXT: [-1.968, 0, 3.026, 7.234]
// DIAGONAL-NEXT: [-0.2526, 0, 0.2548, 0.2164]
// DIAGONAL-NEXT: [-0.8562, 0, 0.7614, 0.7628]
// DIAGONAL-SLOTS: [-0.376, 0, 0.1807, -0.07384]
// DIAGONAL-SLOTS-NEXT: [-1.729, 0, 2.878, 7.113]
// DIAGONAL-SLOTS-NEXT: [-0.1868, 0, 0.07612, -0.1063]
// DIAGONAL-SLOTS-NEXT: [-0.9129, 0, 1.002, 1.166]
func.func @diagonal(%batch: !llm.batch) -> tensor<?x4xf32> {
  %x = call @input(%batch) : (!llm.batch) -> tensor<?x4xf32>
  %layer = arith.constant 0 : index
  %a = arith.constant dense<[[0.1, 0.2], [0.3, -0.4], [0.5, 0.0], [-0.2, 0.7]]> : tensor<4x2xf32>
  %d = arith.constant dense<[1.0, 0.5, 0.0, -1.0]> : tensor<4xf32>
  %ones = arith.constant dense<1.0> : tensor<4xf32>
  %step = llm.activation softplus %x : tensor<?x4xf32>
  %more = llm.add_bias %x, %ones : tensor<?x4xf32>, tensor<4xf32>
  %in = llm.columns %more from 1 : tensor<?x4xf32> -> tensor<?x2xf32>
  %out = llm.columns %x from 2 : tensor<?x4xf32> -> tensor<?x2xf32>
  %y = llm.scan diagonal %x, @diagonal_state[%layer], %batch decay neg_exp %a step %step input %in output %out skip %d
    : (tensor<?x4xf32>, index, !llm.batch, tensor<4x2xf32>, tensor<?x4xf32>, tensor<?x2xf32>, tensor<?x2xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}

// SCALAR: [-0.223, 0, -0.06588, -0.1318]
// SCALAR-NEXT: [-0.6331, 0, 2.245, 4.489]
// SCALAR-NEXT: [-0.1067, 0, 0.2421, 0.4841]
// SCALAR-NEXT: [-0.2982, 0, 0.8234, 1.647]
// SCALAR-SLOTS: [-0.223, 0, -0.06588, -0.1318]
// SCALAR-SLOTS-NEXT: [-0.6797, 0, 1.882, 3.764]
// SCALAR-SLOTS-NEXT: [-0.1096, 0, -0.02528, -0.05056]
// SCALAR-SLOTS-NEXT: [-0.3093, 0, 0.9644, 1.929]
func.func @scalar(%batch: !llm.batch) -> tensor<?x4xf32> {
  %x = call @input(%batch) : (!llm.batch) -> tensor<?x4xf32>
  // Two heads of two channels and two states, each a group; steps between a half and three quarters.
  %layer = arith.constant 0 : index
  %a = arith.constant dense<[0.1, -0.5]> : tensor<2xf32>
  %d = arith.constant dense<[1.0, -1.0]> : tensor<2xf32>
  %ones = arith.constant dense<1.0> : tensor<4xf32>
  %first = llm.columns %x from 0 : tensor<?x4xf32> -> tensor<?x2xf32>
  %step = llm.activation softplus %first : tensor<?x2xf32>
  %in = llm.add_bias %x, %ones : tensor<?x4xf32>, tensor<4xf32>
  %y = llm.scan scalar %x, @heads[%layer], %batch decay neg_exp %a step %step input %in output %x skip %d {step_limit = array<f64: 0.5, 0.75>}
    : (tensor<?x4xf32>, index, !llm.batch, tensor<2xf32>, tensor<?x2xf32>, tensor<?x4xf32>, tensor<?x4xf32>, tensor<2xf32>) -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}

// DELTA: [-0.01757, 0, 0.01945, 0.0389]
// DELTA-NEXT: [-0.5943, 0, 0.7105, 1.421]
// DELTA-NEXT: [-0.0509, 0, 0.07929, 0.1586]
// DELTA-NEXT: [-0.141, 0, 0.2129, 0.4259]
// DELTA-SLOTS: [-0.01757, 0, 0.01945, 0.0389]
// DELTA-SLOTS-NEXT: [-0.5731, 0, 0.6898, 1.38]
// DELTA-SLOTS-NEXT: [-0.006405, 0, 0.008528, 0.01706]
// DELTA-SLOTS-NEXT: [-0.2098, 0, 0.2765, 0.5531]
func.func @delta(%batch: !llm.batch) -> tensor<?x4xf32> {
  %x = call @input(%batch) : (!llm.batch) -> tensor<?x4xf32>
  %layer = arith.constant 0 : index
  %a = arith.constant dense<[0.1, -0.5]> : tensor<2xf32>
  %first = llm.columns %x from 0 : tensor<?x4xf32> -> tensor<?x2xf32>
  %step = llm.activation softplus %first : tensor<?x2xf32>
  %key = llm.columns %x from 1 : tensor<?x4xf32> -> tensor<?x2xf32>
  %query = llm.columns %x from 2 : tensor<?x4xf32> -> tensor<?x2xf32>
  %beta = llm.activation sigmoid %query : tensor<?x2xf32>
  %y = llm.scan delta %x, @heads[%layer], %batch decay neg_exp %a step %step input %key output %query beta %beta
    : (tensor<?x4xf32>, index, !llm.batch, tensor<2xf32>, tensor<?x2xf32>, tensor<?x2xf32>, tensor<?x2xf32>, tensor<?x2xf32>) -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}

// GATED: [-0.25, 0, 0.25, 0.5]
// GATED-NEXT: [-0.6994, 0, 0.783, 1.505]
// GATED-NEXT: [-0.5325, 0, 0.3274, 0.3164]
// GATED-NEXT: [-0.6334, 0, 0.4394, 0.7571]
// GATED-SLOTS: [-0.25, 0, 0.25, 0.5]
// GATED-SLOTS-NEXT: [-0.75, 0, 0.75, 1.5]
// GATED-SLOTS-NEXT: [-0.2533, 0, 0.1866, 0.2719]
// GATED-SLOTS-NEXT: [-0.7773, 0, 0.5351, 0.7845]
func.func @gated(%batch: !llm.batch) -> tensor<?x4xf32> {
  %x = call @input(%batch) : (!llm.batch) -> tensor<?x4xf32>
  %layer = arith.constant 0 : index
  %a = arith.constant dense<[-2.0, -3.0, -1.0, 0.0]> : tensor<4xf32>
  %step = llm.activation sigmoid %x : tensor<?x4xf32>
  %y = llm.scan gated %x, @channels[%layer], %batch decay softplus8 %a step %step
    : (tensor<?x4xf32>, index, !llm.batch, tensor<4xf32>, tensor<?x4xf32>) -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}

// WKV: [-0.25, 0, 0.25, 0.5]
// WKV-NEXT: [-0.4159, 0, 0.6904, 1.381]
// WKV-NEXT: [-0.2365, 0, 0.4677, 1.365]
// WKV-NEXT: [-0.2624, 0, 0.3743, 1.083]
// WKV-SLOTS: [-0.25, 0, 0.25, 0.5]
// WKV-SLOTS-NEXT: [-0.75, 0, 0.75, 1.5]
// WKV-SLOTS-NEXT: [-0.1707, 0, 0.1651, 0.4056]
// WKV-SLOTS-NEXT: [-0.4722, 0, 0.5392, 1.363]
func.func @wkv(%batch: !llm.batch) -> tensor<?x4xf32> {
  %x = call @input(%batch) : (!llm.batch) -> tensor<?x4xf32>
  %layer = arith.constant 0 : index
  %a = arith.constant dense<[0.1, -1.0, 0.5, 0.0]> : tensor<4xf32>
  %u = arith.constant dense<[0.3, -0.3, 1.0, 0.0]> : tensor<4xf32>
  %key = llm.scale %x by 2.0 : tensor<?x4xf32>
  %y = llm.scan wkv %x, @mean[%layer], %batch decay neg_exp %a input %key skip %u
    : (tensor<?x4xf32>, index, !llm.batch, tensor<4xf32>, tensor<?x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}
