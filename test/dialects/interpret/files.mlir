// Which files a module may name, and what is said of tensors that do not fit their declaration.
// RUN: rm -rf %t && split-file %s %t && mkdir %t/in && cp %t/*.mlir %t/in
// RUN: %python %S/Inputs/write_weights.py %t/model.safetensors && cp %t/model.safetensors %t/in/model.safetensors
// RUN: cp %t/model.safetensors %t/in/second.safetensors && ln -s ../model.safetensors %t/in/link.safetensors
// RUN: not llmc-interpret %t/in/up.mlir 2>&1 | FileCheck %s --check-prefix=UP
// RUN: llmc-interpret %t/in/up.mlir --allow-outside | FileCheck %s --check-prefix=ALLOWED
// RUN: not llmc-interpret %t/in/link.mlir 2>&1 | FileCheck %s --check-prefix=LINK
// RUN: not llmc-interpret %t/in/absolute.mlir 2>&1 | FileCheck %s --check-prefix=ABSOLUTE
// RUN: not llmc-interpret %t/in/absent.mlir 2>&1 | FileCheck %s --check-prefix=ABSENT
// RUN: not llmc-interpret %t/in/missing.mlir 2>&1 | FileCheck %s --check-prefix=MISSING
// RUN: not llmc-interpret %t/in/twice.mlir 2>&1 | FileCheck %s --check-prefix=TWICE
// RUN: not llmc-interpret %t/in/format.mlir 2>&1 | FileCheck %s --check-prefix=FORMAT
// RUN: not llmc-interpret %t/in/shape.mlir 2>&1 | FileCheck %s --check-prefix=SHAPE
// RUN: not llmc-interpret %t/in/rows.mlir 2>&1 | FileCheck %s --check-prefix=ROWS

// UP: asset '../model.safetensors': leads out of the model's directory; if you trust this model, give --allow-outside
// ALLOWED: step 0 result 0: 0 x 2
//--- up.mlir
llm.asset @file weights "../model.safetensors"
llm.weight @w : !llm.weights<1x4x2xf32> from "embed"
func.func @step(%batch: !llm.batch) -> tensor<?x2xf32> {
  %w = llm.weight_load @w : tensor<4x2xf32>
  %x = llm.embedding %batch, %w tokens : tensor<4x2xf32> -> tensor<?x2xf32>
  return %x : tensor<?x2xf32>
}

// LINK: asset 'link.safetensors': a link leads out of the model's directory
//--- link.mlir
llm.asset @file weights "link.safetensors"
func.func @step() { return }

// ABSOLUTE: asset '/etc/hostname': leads out of the model's directory
//--- absolute.mlir
llm.asset @file weights "/etc/hostname"
func.func @step() { return }

// ABSENT: asset 'none.safetensors': can't open {{.*}}: No such file
//--- absent.mlir
llm.asset @file weights "none.safetensors"
func.func @step() { return }

// MISSING: no tensor 'embedding' in the model's weight files, wanted by @w
//--- missing.mlir
llm.asset @file weights "model.safetensors"
llm.weight @w : !llm.weights<1x4x2xf32> from "embedding"
func.func @step() { %w = llm.weight_load @w : tensor<4x2xf32> return }

// TWICE: model.safetensors: tensor 'embed' is also in {{.*}}second.safetensors
//--- twice.mlir
llm.asset @file weights "model.safetensors"
llm.asset @file2 weights "second.safetensors"
llm.weight @w : !llm.weights<1x4x2xf32> from "embed"
func.func @step() { %w = llm.weight_load @w : tensor<4x2xf32> return }

// FORMAT: model.safetensors: 'embed': want f16[4,2], got f32[4,2]
//--- format.mlir
llm.asset @file weights "model.safetensors"
llm.weight @w : !llm.weights<1x4x2xf16> from "embed"
func.func @step() { %w = llm.weight_load @w : tensor<4x2xf16> return }

// SHAPE: model.safetensors: 'embed': want f32[3,2], got f32[4,2]
//--- shape.mlir
llm.asset @file weights "model.safetensors"
llm.weight @w : !llm.weights<1x3x2xf32> from "embed"
func.func @step() { %w = llm.weight_load @w : tensor<3x2xf32> return }

// ROWS: model.safetensors: 'embed': want at least 5 rows, got f32[4,2]
//--- rows.mlir
llm.asset @file weights "model.safetensors"
llm.weight @w : !llm.weights<1x3x2xf32> from "embed" rows [2, 5]
func.func @step() { %w = llm.weight_load @w : tensor<3x2xf32> return }
