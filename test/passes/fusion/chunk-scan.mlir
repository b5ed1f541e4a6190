// RUN: llmc-opt %s --llm-chunk-scan --split-input-file | FileCheck %s
// RUN: llmc-opt %s --llm-chunk-scan=length=32 --split-input-file | FileCheck %s --check-prefix=GIVEN
// RUN: not llmc-opt %s --llm-chunk-scan=length=20 --split-input-file 2>&1 | FileCheck %s --check-prefix=ODD
// ODD: llm-chunk-scan: 'length' must be a multiple of 16 up to 1024, got 20

llm.state @ssm : !llm.recurrent<1x32x64x128>
llm.state @small : !llm.recurrent<1x4x16x2>
llm.state @narrow : !llm.recurrent<1x4x24x128>
llm.state @delta : !llm.recurrent<1x4x64x64>

// Heads of Mamba-2's usual size; the length is that of the least cost.
// CHECK-LABEL: @usual
// CHECK: llm.scan scalar {{.*}} chunk 32 :
// GIVEN-LABEL: @usual
// GIVEN: chunk 32
func.func @usual(%x: tensor<?x2048xf32>, %l: index, %b: !llm.batch, %a: tensor<32xf32>, %s: tensor<?x32xf32>, %n: tensor<?x128xf32>) -> tensor<?x2048xf32> {
  %y = llm.scan scalar %x, @ssm[%l], %b decay neg_exp %a step %s input %n output %n
    : (tensor<?x2048xf32>, index, !llm.batch, tensor<32xf32>, tensor<?x32xf32>, tensor<?x128xf32>, tensor<?x128xf32>) -> tensor<?x2048xf32>
  return %y : tensor<?x2048xf32>
}

// With two states a channel, products cost more than they save.
// CHECK-LABEL: @few_states
// CHECK-NOT: chunk
// GIVEN-LABEL: @few_states
// GIVEN: chunk 32
func.func @few_states(%x: tensor<?x64xf32>, %l: index, %b: !llm.batch, %a: tensor<4xf32>, %s: tensor<?x4xf32>, %n: tensor<?x2xf32>) -> tensor<?x64xf32> {
  %y = llm.scan scalar %x, @small[%l], %b decay neg_exp %a step %s input %n output %n
    : (tensor<?x64xf32>, index, !llm.batch, tensor<4xf32>, tensor<?x4xf32>, tensor<?x2xf32>, tensor<?x2xf32>) -> tensor<?x64xf32>
  return %y : tensor<?x64xf32>
}

// Heads that are no whole panels stay, and so do other recurrences.
// CHECK-LABEL: @others
// CHECK-NOT: chunk
// GIVEN-LABEL: @others
// GIVEN-NOT: chunk
func.func @others(%x: tensor<?x96xf32>, %v: tensor<?x256xf32>, %l: index, %b: !llm.batch, %a: tensor<4xf32>, %s: tensor<?x4xf32>, %n: tensor<?x128xf32>, %k: tensor<?x64xf32>) {
  %0 = llm.scan scalar %x, @narrow[%l], %b decay neg_exp %a step %s input %n output %n
    : (tensor<?x96xf32>, index, !llm.batch, tensor<4xf32>, tensor<?x4xf32>, tensor<?x128xf32>, tensor<?x128xf32>) -> tensor<?x96xf32>
  %1 = llm.scan delta %v, @delta[%l], %b decay neg_exp %a step %s input %k output %k beta %s
    : (tensor<?x256xf32>, index, !llm.batch, tensor<4xf32>, tensor<?x4xf32>, tensor<?x64xf32>, tensor<?x64xf32>, tensor<?x4xf32>) -> tensor<?x256xf32>
  return
}
