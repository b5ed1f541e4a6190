// RUN: llmc-opt %s --tile-emit-kernels --split-input-file --verify-diagnostics

module attributes {tile.target = #tile.target<"x86-64-v3", vector = 256, dot = avx2>} {
  // expected-error @+1 {{kernel of q4_k: want a positive multiple of 256 inputs, at most 2^24, got 128}}
  func.func private @part_of_a_block(!llvm.ptr, !llvm.ptr, i64, !llvm.ptr, !llvm.ptr)
    attributes {tile.kernel = #tile.product<format = q4_k, inputs = 128, arithmetic = int8, single = true>}
}

// -----

module attributes {tile.target = #tile.target<"x86-64-v3", vector = 256, dot = avx2>} {
  // expected-error @+1 {{int8 arithmetic: want quantised weights, got f16}}
  func.func private @int8_floats(!llvm.ptr, !llvm.ptr, i64, !llvm.ptr, !llvm.ptr)
    attributes {tile.kernel = #tile.product<format = f16, inputs = 64, arithmetic = int8, single = true>}
}

// -----

module attributes {tile.target = #tile.target<"x86-64-v3", vector = 256, dot = avx2>} {
  // expected-error @+1 {{quantize: want a positive multiple of 32 inputs, got 40}}
  func.func private @part_of_a_group(!llvm.ptr, !llvm.ptr) attributes {tile.kernel = #tile.quantize<inputs = 40>}
}

// -----

module attributes {tile.target = #tile.target<"x86-64-v3", vector = 256, dot = avx2>} {
  // expected-error @+1 {{want a declaration whose arguments are 'pp'}}
  func.func private @wrong_arguments(!llvm.ptr, i64) attributes {tile.kernel = #tile.quantize<inputs = 32>}
}
