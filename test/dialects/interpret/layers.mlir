// Weights come from a file: per layer, at some depths only, transposed, a part of the rows, in three formats.
// RUN: rm -rf %t && mkdir %t && %python %S/Inputs/write_weights.py %t/model.safetensors && cp %s %t/model.mlir
// RUN: llmc-interpret %t/model.mlir --tokens 0,1,3 --rows 2,0 | FileCheck %s
// RUN: llmc-interpret %t/model.mlir --tokens 3 --observe | FileCheck %s --check-prefix=OBSERVE
// RUN: not llmc-interpret %t/model.mlir --tokens 4 2>&1 | FileCheck %s --check-prefix=OUTSIDE
// RUN: not llmc-interpret %t/model.mlir --tokens 1,2 --positions 0,2 2>&1 | FileCheck %s --check-prefix=GAP
// RUN: not llmc-interpret %t/model.mlir --tokens 1 --rows 1 2>&1 | FileCheck %s --check-prefix=ROW
// RUN: not llmc-interpret %t/model.mlir --function absent --tokens 1 2>&1 | FileCheck %s --check-prefix=ABSENT
// RUN: not llmc-interpret %t/model.mlir --function no_such_layer --tokens 1 2>&1 | FileCheck %s --check-prefix=LAYER
// RUN: not llmc-interpret %t/model.mlir --function forever --tokens 1 2>&1 | FileCheck %s --check-prefix=FOREVER
// RUN: not llmc-interpret %t/model.mlir --function ragged --tokens 1,2 --rows 1 2>&1 | FileCheck %s --check-prefix=RAGGED
// RUN: not llmc-interpret %t/model.mlir --function foreign --tokens 1 2>&1 | FileCheck %s --check-prefix=FOREIGN

llm.asset @file weights "model.safetensors"
llm.weight @embed : !llm.weights<1x4x2xf32> from "embed"
llm.weight @mix : !llm.weights<2x2x2xf16> from "h.{layer}.qkv" transpose rows [2, 4] layers [0, 2]
llm.weight @bias : !llm.weights<2x2xf32> from "h.{layer}.bias" rows [2, 4] layers [0, 2]
llm.weight @head : !llm.weights<1x3x2xbf16> from "head" rows [1, 4]

// Layer 0 adds (1, 2); layer 1 doubles; layer 2 swaps and adds (10, 20).
// OBSERVE: llm.embedding#0 layer -1: 1 x 2
// OBSERVE-NEXT: [7, 8]
// OBSERVE-NEXT: llm.linear#0 layer 0: 1 x 2
// OBSERVE-NEXT: [8, 10]
// OBSERVE-NEXT: llm.scale#0 layer 1: 1 x 2
// OBSERVE-NEXT: [16, 20]
// OBSERVE-NEXT: llm.linear#0 layer 2: 1 x 2
// OBSERVE-NEXT: [30, 36]
func.func private @mixing(%x: tensor<?x2xf32>, %layer: index, %batch: !llm.batch) -> tensor<?x2xf32> {
  %w = llm.weight_load @mix[%layer] : tensor<2x2xf16>
  %b = llm.weight_load @bias[%layer] : tensor<2xf32>
  %y = llm.linear %x[%w] bias[%b] : (tensor<?x2xf32>, tensor<2x2xf16>, tensor<2xf32>) -> tensor<?x2xf32>
  return %y : tensor<?x2xf32>
}
func.func private @doubling(%x: tensor<?x2xf32>, %layer: index, %batch: !llm.batch) -> tensor<?x2xf32> {
  %y = llm.scale %x by 2.0 : tensor<?x2xf32>
  return %y : tensor<?x2xf32>
}

// CHECK: step 0 result 0: 2 x 3
// CHECK-NEXT: [30, 36, 66]
// CHECK-NEXT: [18, 24, 42]
// CHECK-NEXT: step 0 result 1: 3 x 2
// CHECK-NEXT: [18, 24]
// CHECK-NEXT: [22, 28]
// CHECK-NEXT: [30, 36]
// OUTSIDE: llm.embedding at {{.*}}: index 4 is outside a table of 4 rows
// GAP: batch: slot 0 goes on at position 1, got 2
// ROW: batch: row 1 is not one of 1 tokens
// ABSENT: has no function @absent
func.func @step(%batch: !llm.batch) -> (tensor<?x3xf32>, tensor<?x2xf32>) {
  %table = llm.weight_load @embed : tensor<4x2xf32>
  %x = llm.embedding %batch, %table tokens : tensor<4x2xf32> -> tensor<?x2xf32>
  %h = llm.layers %x, %batch kinds [@mixing, @doubling] order [0, 1, 0] : tensor<?x2xf32> -> tensor<?x2xf32>
  %r = llm.select_rows %h, %batch : tensor<?x2xf32> -> tensor<?x2xf32>
  %w = llm.weight_load @head : tensor<3x2xbf16>
  %y = llm.linear %r[%w] : (tensor<?x2xf32>, tensor<3x2xbf16>) -> tensor<?x3xf32>
  return %y, %h : tensor<?x3xf32>, tensor<?x2xf32>
}

// LAYER: llm.weight_load at {{.*}}: @mix has no layer 1
func.func @no_such_layer(%batch: !llm.batch) -> tensor<?x2xf32> {
  %table = llm.weight_load @embed : tensor<4x2xf32>
  %x = llm.embedding %batch, %table tokens : tensor<4x2xf32> -> tensor<?x2xf32>
  %y = llm.layers %x, %batch kinds [@mixing] order [0, 0] : tensor<?x2xf32> -> tensor<?x2xf32>
  return %y : tensor<?x2xf32>
}

// FOREVER: functions call each other more than 32 deep
func.func @forever(%batch: !llm.batch) -> tensor<?x2xf32> {
  %y = call @forever(%batch) : (!llm.batch) -> tensor<?x2xf32>
  return %y : tensor<?x2xf32>
}

// RAGGED: llm.add at {{.*}}: operands have {{[12]}} and {{[12]}} rows
func.func @ragged(%batch: !llm.batch) -> tensor<?x2xf32> {
  %table = llm.weight_load @embed : tensor<4x2xf32>
  %x = llm.embedding %batch, %table tokens : tensor<4x2xf32> -> tensor<?x2xf32>
  %r = llm.select_rows %x, %batch : tensor<?x2xf32> -> tensor<?x2xf32>
  %y = llm.add %r, %x : tensor<?x2xf32>
  return %y : tensor<?x2xf32>
}

// FOREIGN: arith.addi at {{.*}}: the interpreter runs the llm dialect
func.func @foreign(%batch: !llm.batch) -> tensor<?x2xf32> {
  %c = arith.constant 1 : index
  %d = arith.addi %c, %c : index
  %table = llm.weight_load @embed : tensor<4x2xf32>
  %x = llm.embedding %batch, %table tokens : tensor<4x2xf32> -> tensor<?x2xf32>
  return %x : tensor<?x2xf32>
}
