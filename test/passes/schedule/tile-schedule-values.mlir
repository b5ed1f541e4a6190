// Which values share memory: what a kernel overwrites must be nobody else's.
// RUN: llmc-opt %s --tile-schedule --split-input-file | FileCheck %s

// Keys and values from one row, and queries read again: what is rotated in place is a copy.
// CHECK-LABEL: func.func @step_1(
// CHECK: %[[X:.*]] = tile.buffer {{.*}} name "embedding"
// CHECK: scf.for
// CHECK-DAG: %[[Q:.*]] = tile.buffer {{.*}} name "q"
// CHECK-DAG: %[[K:.*]] = tile.buffer {{.*}} name "k"
// CHECK: call @copy
// CHECK: call @copy
// CHECK: scf.forall
// CHECK-DAG: %[[QROW:.*]] = tile.row %[[Q]]
// CHECK-DAG: %[[KROW:.*]] = tile.row %[[K]]
// CHECK-DAG: %[[VROW:.*]] = tile.row %[[X]]
// CHECK: call @prepare{{[^(]*}}(%{{[^,]*}}, %{{[^,]*}}, %[[QROW]], %[[KROW]], %[[VROW]],
module attributes {tile.target = #tile.target<"generic", vector = 128, dot = portable>} {
llm.asset @file weights "f"
llm.weight @embed : !llm.weights<1x8x8xf32> from "embed"
llm.state @kv : !llm.kv_cache<layers = 1, kv_heads = 1, head_dim = 8, f32>
func.func private @layer(%x: tensor<?x8xf32>, %i: index, %batch: !llm.batch, %cs: tensor<?x8xf32>) -> tensor<?x8xf32> {
  %y = llm.attention %x, %x, %x, @kv[%i], %batch scale 0.5 rotary <half, dim = 8> %cs
    : (tensor<?x8xf32>, tensor<?x8xf32>, tensor<?x8xf32>, index, !llm.batch, tensor<?x8xf32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}
func.func @step_1(%batch: !llm.batch) -> tensor<?x8xf32> attributes {llm.max_tokens = 1 : i64} {
  %t = llm.weight_load @embed : tensor<8x8xf32>
  %e = llm.embedding %batch, %t tokens : tensor<8x8xf32> -> tensor<?x8xf32>
  %cs = llm.rope_table %batch theta 1.0e4 -> tensor<?x8xf32>
  %x = llm.layers %e, %batch (%cs : tensor<?x8xf32>) kinds [@layer] order [0] : tensor<?x8xf32> -> tensor<?x8xf32>
  %r = llm.select_rows %x, %batch : tensor<?x8xf32> -> tensor<?x8xf32>
  return %r : tensor<?x8xf32>
}
}

// -----

// Without norm and rotation nothing is overwritten: no copies; and a row that is a key only may be turned where it lies.
// CHECK-LABEL: func.func @step_1(
// CHECK: %[[X:.*]] = tile.buffer {{.*}} name "embedding"
// CHECK: scf.for
// CHECK-NOT: call @copy
// CHECK: scf.forall
// CHECK: tile.row %[[X]]
// CHECK: call @prepare
module attributes {tile.target = #tile.target<"generic", vector = 128, dot = portable>} {
llm.asset @file weights "f"
llm.weight @embed : !llm.weights<1x8x8xf32> from "embed"
llm.state @kv : !llm.kv_cache<layers = 1, kv_heads = 1, head_dim = 8, f32>
func.func private @layer(%x: tensor<?x8xf32>, %i: index, %batch: !llm.batch) -> tensor<?x8xf32> {
  %y = llm.attention %x, %x, %x, @kv[%i], %batch scale 0.5
    : (tensor<?x8xf32>, tensor<?x8xf32>, tensor<?x8xf32>, index, !llm.batch) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}
func.func @step_1(%batch: !llm.batch) -> tensor<?x8xf32> attributes {llm.max_tokens = 1 : i64} {
  %t = llm.weight_load @embed : tensor<8x8xf32>
  %e = llm.embedding %batch, %t tokens : tensor<8x8xf32> -> tensor<?x8xf32>
  %x = llm.layers %e, %batch kinds [@layer] order [0] : tensor<?x8xf32> -> tensor<?x8xf32>
  %r = llm.select_rows %x, %batch : tensor<?x8xf32> -> tensor<?x8xf32>
  return %r : tensor<?x8xf32>
}
}

// -----

// The layers' input has a second reader behind them: they run on a copy.
// CHECK-LABEL: func.func @step_1(
// CHECK: %[[E:.*]] = tile.buffer {{.*}} name "embedding"
// CHECK: %[[X:.*]] = tile.buffer {{.*}} name "x"
// CHECK: call @copy
// CHECK: scf.for
// The sum is the last to read the layer's input, and takes its place; a second reader after it would not allow that.
// CHECK: call @activation
// CHECK-NEXT: tile.row
// CHECK-NEXT: tile.row %[[X]]
// CHECK-NEXT: %[[TO:.*]] = tile.row %[[X]]
// CHECK-NEXT: call @add{{[^(]*}}({{.*}}, %[[TO]])
// CHECK: tile.row %[[E]]
// CHECK: return
module attributes {tile.target = #tile.target<"generic", vector = 128, dot = portable>} {
llm.asset @file weights "f"
llm.weight @embed : !llm.weights<1x8x8xf32> from "embed"
func.func private @layer(%x: tensor<?x8xf32>, %i: index, %batch: !llm.batch) -> tensor<?x8xf32> {
  %a = llm.activation silu %x : tensor<?x8xf32>
  %y = llm.add %a, %x : tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}
func.func @step_1(%batch: !llm.batch) -> tensor<?x8xf32> attributes {llm.max_tokens = 1 : i64} {
  %t = llm.weight_load @embed : tensor<8x8xf32>
  %e = llm.embedding %batch, %t tokens : tensor<8x8xf32> -> tensor<?x8xf32>
  %x = llm.layers %e, %batch kinds [@layer] order [0] : tensor<?x8xf32> -> tensor<?x8xf32>
  %s = llm.add %x, %e : tensor<?x8xf32>
  %r = llm.select_rows %s, %batch : tensor<?x8xf32> -> tensor<?x8xf32>
  return %r : tensor<?x8xf32>
}
}

// -----

// A layer may give back its input, or what it was given beside it; and arrays with gaps are looked up by depth, of either kind.
// CHECK-LABEL: func.func @step_1(
// CHECK: scf.for %[[I:.*]] =
// CHECK: %[[KIND:.*]] = tile.lookup [0, 1, 2, 1][%[[I]]]
// CHECK: scf.index_switch
// CHECK: case 1
// CHECK: %[[AT:.*]] = tile.lookup [0, 0, 0, 1][%[[I]]]
// CHECK: tile.weight %{{.*}} @gain[%[[AT]]]
// CHECK: case 2
// CHECK: call @copy
// CHECK: default
// CHECK-NOT: call
// CHECK: tile.row
module attributes {tile.target = #tile.target<"generic", vector = 128, dot = portable>} {
llm.asset @file weights "f"
llm.weight @embed : !llm.weights<1x8x8xf32> from "embed"
llm.weight @gain : !llm.weights<2x8xf32> from "{layer}.gain" layers [1, 3]
func.func private @same(%x: tensor<?x8xf32>, %i: index, %batch: !llm.batch, %other: tensor<?x8xf32>) -> tensor<?x8xf32> {
  return %x : tensor<?x8xf32>
}
func.func private @normal(%x: tensor<?x8xf32>, %i: index, %batch: !llm.batch, %other: tensor<?x8xf32>) -> tensor<?x8xf32> {
  %g = llm.weight_load @gain[%i] : tensor<8xf32>
  %y = llm.rms_norm %x, %g {eps = 1.0e-5} : tensor<?x8xf32>, tensor<8xf32>
  return %y : tensor<?x8xf32>
}
func.func private @other(%x: tensor<?x8xf32>, %i: index, %batch: !llm.batch, %other: tensor<?x8xf32>) -> tensor<?x8xf32> {
  return %other : tensor<?x8xf32>
}
func.func @step_1(%batch: !llm.batch) -> tensor<?x8xf32> attributes {llm.max_tokens = 1 : i64} {
  %t = llm.weight_load @embed : tensor<8x8xf32>
  %e = llm.embedding %batch, %t tokens : tensor<8x8xf32> -> tensor<?x8xf32>
  %p = llm.embedding %batch, %t positions : tensor<8x8xf32> -> tensor<?x8xf32>
  %x = llm.layers %e, %batch (%p : tensor<?x8xf32>) kinds [@same, @normal, @other] order [0, 1, 2, 1] : tensor<?x8xf32> -> tensor<?x8xf32>
  %r = llm.select_rows %x, %batch : tensor<?x8xf32> -> tensor<?x8xf32>
  return %r : tensor<?x8xf32>
}
}

// -----

// One value as both results is written twice.
// CHECK-LABEL: func.func @step_1(
// CHECK-DAG: %[[LOGITS:.*]] = tile.field %{{.*}} "logits"
// CHECK-DAG: %[[HIDDEN:.*]] = tile.field %{{.*}} "hidden"
// CHECK: %[[TO:.*]] = tile.row %[[LOGITS]]
// CHECK: call @copy{{[^(]*}}(%{{.*}}, %[[TO]])
// CHECK: %[[FROM:.*]] = tile.row %[[LOGITS]]
// CHECK: %[[TO:.*]] = tile.row %[[HIDDEN]]
// CHECK: call @copy{{[^(]*}}(%[[FROM]], %[[TO]])
// CHECK: return
module attributes {tile.target = #tile.target<"generic", vector = 128, dot = portable>} {
llm.asset @file weights "f"
llm.weight @embed : !llm.weights<1x8x8xf32> from "embed"
func.func @step_1(%batch: !llm.batch) -> (tensor<?x8xf32>, tensor<?x8xf32>) attributes {llm.max_tokens = 1 : i64} {
  %t = llm.weight_load @embed : tensor<8x8xf32>
  %e = llm.embedding %batch, %t tokens : tensor<8x8xf32> -> tensor<?x8xf32>
  %r = llm.select_rows %e, %batch : tensor<?x8xf32> -> tensor<?x8xf32>
  return %r, %r : tensor<?x8xf32>, tensor<?x8xf32>
}
}
