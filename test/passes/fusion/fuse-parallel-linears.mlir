// RUN: llmc-opt %s --split-input-file --llm-fuse-parallel-linears | FileCheck %s
// RUN: llmc-opt %s --split-input-file --llm-fuse-parallel-linears --mlir-pass-statistics 2>&1 >/dev/null | FileCheck %s --check-prefix=STATS

// STATS: llm-fuse-parallel-linears
// STATS-DAG: (S) 9 merged-linears
// STATS-DAG: (S) 1 mixed-biases
// STATS-DAG: (S) 2 stuck-operands

llm.weight @q : !llm.weights<2x128x64xbf16> from "blk.{layer}.q"
llm.weight @k : !llm.weights<2x32x64xbf16> from "blk.{layer}.k"
llm.weight @v : !llm.weights<2x32x64x!llm.quant<q8_0>> from "blk.{layer}.v"

// Q, K and V; loads that come between move up; formats may differ.
// CHECK-LABEL: @qkv
// CHECK: %[[WQ:.*]] = llm.weight_load @q
// CHECK: %[[WK:.*]] = llm.weight_load @k
// CHECK: %[[WV:.*]] = llm.weight_load @v
// CHECK: %[[Y:.*]]:3 = llm.linear %arg0[%[[WQ]], %[[WK]], %[[WV]]] :
// CHECK: return %[[Y]]#0, %[[Y]]#1, %[[Y]]#2
func.func @qkv(%x: tensor<?x64xf32>, %i: index) -> (tensor<?x128xf32>, tensor<?x32xf32>, tensor<?x32xf32>) {
  %wq = llm.weight_load @q[%i] : tensor<128x64xbf16>
  %q = llm.linear %x [%wq] : (tensor<?x64xf32>, tensor<128x64xbf16>) -> tensor<?x128xf32>
  %wk = llm.weight_load @k[%i] : tensor<32x64xbf16>
  %k = llm.linear %x [%wk] : (tensor<?x64xf32>, tensor<32x64xbf16>) -> tensor<?x32xf32>
  %wv = llm.weight_load @v[%i] : tensor<32x64x!llm.quant<q8_0>>
  %v = llm.linear %x [%wv] : (tensor<?x64xf32>, tensor<32x64x!llm.quant<q8_0>>) -> tensor<?x32xf32>
  return %q, %k, %v : tensor<?x128xf32>, tensor<?x32xf32>, tensor<?x32xf32>
}

// -----

// CHECK-LABEL: @biases
// CHECK-SAME: (%[[X:[^:]*]]: tensor<?x64xf32>, %[[W0:[^:]*]]: tensor<32x64xf32>, %[[W1:[^:]*]]: tensor<16x64xf32>, %[[B0:[^:]*]]: tensor<32xf32>, %[[B1:[^:]*]]: tensor<16xf32>)
// CHECK: llm.linear %[[X]][%[[W0]], %[[W1]]] bias[%[[B0]], %[[B1]]]
func.func @biases(%x: tensor<?x64xf32>, %w0: tensor<32x64xf32>, %w1: tensor<16x64xf32>, %b0: tensor<32xf32>, %b1: tensor<16xf32>)
    -> (tensor<?x32xf32>, tensor<?x16xf32>) {
  %a = llm.linear %x [%w0] bias [%b0] : (tensor<?x64xf32>, tensor<32x64xf32>, tensor<32xf32>) -> tensor<?x32xf32>
  %b = llm.linear %x [%w1] bias [%b1] : (tensor<?x64xf32>, tensor<16x64xf32>, tensor<16xf32>) -> tensor<?x16xf32>
  return %a, %b : tensor<?x32xf32>, tensor<?x16xf32>
}

// -----

// Whisper's k has no bias: q and v join, k stays.
// CHECK-LABEL: @mixed_biases
// CHECK-SAME: (%[[X:[^:]*]]: tensor<?x64xf32>, %[[W:[^:]*]]: tensor<64x64xf32>, %[[B:[^:]*]]: tensor<64xf32>)
// CHECK-DAG: llm.linear %[[X]][%[[W]], %[[W]]] bias[%[[B]], %[[B]]]
// CHECK-DAG: llm.linear %[[X]][%[[W]]] :
func.func @mixed_biases(%x: tensor<?x64xf32>, %w: tensor<64x64xf32>, %b: tensor<64xf32>)
    -> (tensor<?x64xf32>, tensor<?x64xf32>, tensor<?x64xf32>) {
  %q = llm.linear %x [%w] bias [%b] : (tensor<?x64xf32>, tensor<64x64xf32>, tensor<64xf32>) -> tensor<?x64xf32>
  %k = llm.linear %x [%w] : (tensor<?x64xf32>, tensor<64x64xf32>) -> tensor<?x64xf32>
  %v = llm.linear %x [%w] bias [%b] : (tensor<?x64xf32>, tensor<64x64xf32>, tensor<64xf32>) -> tensor<?x64xf32>
  return %q, %k, %v : tensor<?x64xf32>, tensor<?x64xf32>, tensor<?x64xf32>
}

// -----

// A parallel block: q and k join, gate and up join, and the two products stay apart.
// CHECK-LABEL: @keeps_glu_apart
// CHECK: llm.linear %{{.*}}[%{{[^,]*}}, %{{[^,]*}}] :
// CHECK: llm.linear %{{.*}}[%{{[^,]*}}, %{{[^,]*}}] :
// CHECK-NOT: llm.linear
// CHECK: llm.glu
func.func @keeps_glu_apart(%x: tensor<?x64xf32>, %w: tensor<64x64xf32>) -> (tensor<?x64xf32>, tensor<?x64xf32>, tensor<?x64xf32>) {
  %q = llm.linear %x [%w] : (tensor<?x64xf32>, tensor<64x64xf32>) -> tensor<?x64xf32>
  %k = llm.linear %x [%w] : (tensor<?x64xf32>, tensor<64x64xf32>) -> tensor<?x64xf32>
  %g = llm.linear %x [%w] : (tensor<?x64xf32>, tensor<64x64xf32>) -> tensor<?x64xf32>
  %u = llm.linear %x [%w] : (tensor<?x64xf32>, tensor<64x64xf32>) -> tensor<?x64xf32>
  %y = llm.glu silu %g, %u : tensor<?x64xf32>
  return %q, %k, %y : tensor<?x64xf32>, tensor<?x64xf32>, tensor<?x64xf32>
}

// -----

// A linear that an activation will fold into stays alone.
// CHECK-LABEL: @keeps_activation_apart
// CHECK: llm.linear %{{.*}}[%{{[^,]*}}] :
// CHECK: llm.linear %{{.*}}[%{{[^,]*}}] :
func.func @keeps_activation_apart(%x: tensor<?x64xf32>, %w: tensor<64x64xf32>) -> (tensor<?x64xf32>, tensor<?x64xf32>) {
  %q = llm.linear %x [%w] : (tensor<?x64xf32>, tensor<64x64xf32>) -> tensor<?x64xf32>
  %h = llm.linear %x [%w] : (tensor<?x64xf32>, tensor<64x64xf32>) -> tensor<?x64xf32>
  %y = llm.activation gelu %h : tensor<?x64xf32>
  return %q, %y : tensor<?x64xf32>, tensor<?x64xf32>
}

// -----

// Different inputs, and epilogues that are there already.
// CHECK-LABEL: @keeps_others
// CHECK-COUNT-4: llm.linear %{{.*}}[%{{[^,]*}}]
func.func @keeps_others(%x: tensor<?x64xf32>, %z: tensor<?x64xf32>, %w: tensor<64x64xf32>)
    -> (tensor<?x64xf32>, tensor<?x64xf32>, tensor<?x64xf32>, tensor<?x64xf32>) {
  %a = llm.linear %x [%w] : (tensor<?x64xf32>, tensor<64x64xf32>) -> tensor<?x64xf32>
  %b = llm.linear %z [%w] : (tensor<?x64xf32>, tensor<64x64xf32>) -> tensor<?x64xf32>
  %c = llm.linear %x [%w] activation relu : (tensor<?x64xf32>, tensor<64x64xf32>) -> tensor<?x64xf32>
  %d = llm.linear %x [%w] residual %z : (tensor<?x64xf32>, tensor<64x64xf32>, tensor<?x64xf32>) -> tensor<?x64xf32>
  return %a, %b, %c, %d : tensor<?x64xf32>, tensor<?x64xf32>, tensor<?x64xf32>, tensor<?x64xf32>
}

// -----

// One norm, folded already, joins; another norm of the same x stays.
// CHECK-LABEL: @norms
// CHECK-SAME: (%[[X:[^:]*]]: tensor<?x64xf32>, %[[W:[^:]*]]: tensor<64x64xf32>, %[[G:[^:]*]]: tensor<64xf32>)
// CHECK-DAG: llm.linear %[[X]][%[[W]], %[[W]]] norm <rms, eps = 1.000000e-05> %[[G]]
// CHECK-DAG: llm.linear %[[X]][%[[W]]] norm <rms, eps = 1.000000e-04> %[[G]]
func.func @norms(%x: tensor<?x64xf32>, %w: tensor<64x64xf32>, %g: tensor<64xf32>)
    -> (tensor<?x64xf32>, tensor<?x64xf32>, tensor<?x64xf32>) {
  %a = llm.linear %x [%w] norm #llm.norm<rms, eps = 1.0e-5> %g : (tensor<?x64xf32>, tensor<64x64xf32>, tensor<64xf32>) -> tensor<?x64xf32>
  %b = llm.linear %x [%w] norm #llm.norm<rms, eps = 1.0e-4> %g : (tensor<?x64xf32>, tensor<64x64xf32>, tensor<64xf32>) -> tensor<?x64xf32>
  %c = llm.linear %x [%w] norm #llm.norm<rms, eps = 1.0e-5> %g : (tensor<?x64xf32>, tensor<64x64xf32>, tensor<64xf32>) -> tensor<?x64xf32>
  return %a, %b, %c : tensor<?x64xf32>, tensor<?x64xf32>, tensor<?x64xf32>
}

// -----

// The product is pure: that a state is written between two of them changes nothing.
llm.state @kv : !llm.kv_cache<layers = 2, kv_heads = 1, head_dim = 64, f16>
// CHECK-LABEL: @across_attention
// CHECK: %[[QB:.*]]:2 = llm.linear
// CHECK: llm.attention %[[QB]]#0
// CHECK-NOT: llm.linear
func.func @across_attention(%x: tensor<?x64xf32>, %w: tensor<64x64xf32>, %i: index, %batch: !llm.batch)
    -> (tensor<?x64xf32>, tensor<?x64xf32>) {
  %q = llm.linear %x [%w] : (tensor<?x64xf32>, tensor<64x64xf32>) -> tensor<?x64xf32>
  %a = llm.attention %q, %x, %x, @kv[%i], %batch scale 0.125
    : (tensor<?x64xf32>, tensor<?x64xf32>, tensor<?x64xf32>, index, !llm.batch) -> tensor<?x64xf32>
  %b = llm.linear %x [%w] : (tensor<?x64xf32>, tensor<64x64xf32>) -> tensor<?x64xf32>
  return %a, %b : tensor<?x64xf32>, tensor<?x64xf32>
}

// -----

// A weight that comes out of an op with effects can't move over it: the second linear stays, the third joins.
func.func private @decode(%w: tensor<64x64xf32>) -> tensor<64x64xf32>
// CHECK-LABEL: @effects_pin_weights
// CHECK: %[[A:.*]]:2 = llm.linear %{{.*}}[%[[W:.*]], %[[W]]]
// CHECK: %[[D:.*]] = call @decode
// CHECK: llm.linear %{{.*}}[%[[D]]]
func.func @effects_pin_weights(%x: tensor<?x64xf32>, %w: tensor<64x64xf32>)
    -> (tensor<?x64xf32>, tensor<?x64xf32>, tensor<?x64xf32>) {
  %a = llm.linear %x [%w] : (tensor<?x64xf32>, tensor<64x64xf32>) -> tensor<?x64xf32>
  %d = func.call @decode(%w) : (tensor<64x64xf32>) -> tensor<64x64xf32>
  %b = llm.linear %x [%d] : (tensor<?x64xf32>, tensor<64x64xf32>) -> tensor<?x64xf32>
  %c = llm.linear %x [%w] : (tensor<?x64xf32>, tensor<64x64xf32>) -> tensor<?x64xf32>
  return %a, %b, %c : tensor<?x64xf32>, tensor<?x64xf32>, tensor<?x64xf32>
}

// -----

// A weight that the first product helps to make: they can't run at once.
// CHECK-LABEL: @dependent_weight
// CHECK: llm.linear
// CHECK: tensor.cast
// CHECK: llm.linear
func.func @dependent_weight(%x: tensor<?x64xf32>, %w: tensor<64x64xf32>) -> (tensor<?x64xf32>, tensor<?x64xf32>) {
  %a = llm.linear %x [%w] : (tensor<?x64xf32>, tensor<64x64xf32>) -> tensor<?x64xf32>
  %made = tensor.cast %a : tensor<?x64xf32> to tensor<64x64xf32>
  %b = llm.linear %x [%made] : (tensor<?x64xf32>, tensor<64x64xf32>) -> tensor<?x64xf32>
  return %a, %b : tensor<?x64xf32>, tensor<?x64xf32>
}

// -----

// One of them runs only sometimes.
// CHECK-LABEL: @other_block
// CHECK: llm.linear %{{.*}}[%{{[^,]*}}] :
// CHECK: scf.if
// CHECK: llm.linear %{{.*}}[%{{[^,]*}}] :
func.func @other_block(%x: tensor<?x64xf32>, %w: tensor<64x64xf32>, %c: i1) -> (tensor<?x64xf32>, tensor<?x64xf32>) {
  %a = llm.linear %x [%w] : (tensor<?x64xf32>, tensor<64x64xf32>) -> tensor<?x64xf32>
  %b = scf.if %c -> tensor<?x64xf32> {
    %y = llm.linear %x [%w] : (tensor<?x64xf32>, tensor<64x64xf32>) -> tensor<?x64xf32>
    scf.yield %y : tensor<?x64xf32>
  } else {
    scf.yield %x : tensor<?x64xf32>
  }
  return %a, %b : tensor<?x64xf32>, tensor<?x64xf32>
}
