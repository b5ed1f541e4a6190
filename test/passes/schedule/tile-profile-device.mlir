// RUN: llmc-opt %s --tile-profile --tile-form-blocks | FileCheck %s

// On a GPU a profile only describes: site n is phase n, and nothing in the step is marked or counted.
module attributes {tile.target = #tile.target<"sm_90", vector = 128, dot = portable in blocks of 256>} {
llm.asset @weights0 weights "model.safetensors"
llm.weight @stack : !llm.weights<1x8x64x32xbf16> from "stack"
func.func private @norm_0(!llvm.ptr, !llvm.ptr) attributes {tile.kernel = #tile.unit_norm<channels = 32, group = 32, eps = 1.0e-5>}
func.func private @linear_0(!llvm.ptr, !llvm.ptr)
  attributes {tile.kernel = #tile.linear<weights = [tensor<64x32xbf16>], arithmetic = bf16, single = true, panels = 1, bias = false, glu = false, residual = false>}

// CHECK-NOT: tile.mark
// CHECK-NOT: tile.count
// CHECK: func.func @step_1(
// CHECK-SAME: tile.sites = [{arithmetic = "f32", name = "unit_norm", row_operations = 96 : i64},
// CHECK-SAME: {arithmetic = "bf16", choices = 2 : i64, matrices = 8 : i64, name = "linear @stack", row_operations = 8192 : i64, weight_bytes = 32768 : i64}]
// CHECK-NOT: tile.mark
// CHECK-NOT: tile.counters
func.func @step_1(%step: !llvm.ptr, %worker: i64) attributes {llm.max_tokens = 1 : i64} {
  %x = tile.buffer %step bytes 64 name "x" offset 128
  %zero = arith.constant 0 : i64
  scf.forall (%i) in (1) {
    func.call @norm_0(%x, %x) : (!llvm.ptr, !llvm.ptr) -> ()
  }
  scf.forall (%i) in (4) {
    %w = tile.weight %step @stack[%zero]
    func.call @linear_0(%w, %x) {tile.calls = 16 : i64, tile.choices = 2 : i64, tile.matrices = 8 : i64} : (!llvm.ptr, !llvm.ptr) -> ()
  }
  return
}
}
