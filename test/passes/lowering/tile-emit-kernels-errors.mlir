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

module attributes {tile.target = #tile.target<"x86-64-v4-bf16", vector = 512, dot = vnni, bf16 = true>} {
  // expected-error @+1 {{bf16 arithmetic: want bf16 or f16 weights, got q4_0}}
  func.func private @bf16_quants(!llvm.ptr, !llvm.ptr, i64, !llvm.ptr, !llvm.ptr)
    attributes {tile.kernel = #tile.product<format = q4_0, inputs = 64, arithmetic = bf16, single = true>}
}

// -----

module attributes {tile.target = #tile.target<"x86-64-v3", vector = 256, dot = avx2>} {
  // expected-error @+1 {{bf16 arithmetic: want a target with bf16 dot products, got #tile.target<"x86-64-v3"}}
  func.func private @bf16_without_dots(!llvm.ptr, !llvm.ptr, i64, !llvm.ptr, !llvm.ptr)
    attributes {tile.kernel = #tile.product<format = bf16, inputs = 64, arithmetic = bf16, single = true>}
}

// -----

module attributes {tile.target = #tile.target<"x86-64-v3", vector = 256, dot = avx2>} {
  // expected-error @+1 {{quantize: want int8 or bf16 arithmetic, got f32}}
  func.func private @round_to_floats(!llvm.ptr, !llvm.ptr) attributes {tile.kernel = #tile.quantize<inputs = 64, arithmetic = f32>}
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

// -----

module attributes {tile.target = #tile.target<"x86-64-v3", vector = 256, dot = avx2>} {
  // expected-error @+1 {{conv: want float weights, got q8_0}}
  func.func private @quantised_taps(i64, i64, !llvm.ptr, !llvm.ptr, !llvm.ptr, !llvm.ptr, !llvm.ptr, !llvm.ptr, !llvm.ptr) attributes {
    tile.kernel = #tile.conv<channels = 64, taps = 4, format = q8_0, bias = false, x_bytes = 256, panels = 1>}
}

// -----

module attributes {tile.target = #tile.target<"x86-64-v3", vector = 256, dot = avx2>} {
  // expected-error @+1 {{chunk: want a multiple of 16 up to 1024, got 24}}
  func.func private @odd_chunk(i64, i64, !llvm.ptr, !llvm.ptr, !llvm.ptr, !llvm.ptr, !llvm.ptr, !llvm.ptr, !llvm.ptr, !llvm.ptr) attributes {
    tile.kernel = #tile.chunk_scores<groups = 1, states = 16, chunk = 24, input_bytes = 64, output_bytes = 64, tiles = 4, bf16 = false>}
}

// -----

module attributes {tile.target = #tile.target<"x86-64-v3", vector = 256, dot = avx2>} {
  // expected-error @+1 {{chunk_scan: want heads of a multiple of 16 channels in a scalar scan}}
  func.func private @narrow_heads(i64, i64, !llvm.ptr, !llvm.ptr, !llvm.ptr, !llvm.ptr, !llvm.ptr, !llvm.ptr, !llvm.ptr, !llvm.ptr, !llvm.ptr,
    !llvm.ptr, !llvm.ptr, !llvm.ptr, !llvm.ptr, !llvm.ptr) attributes {
    tile.kernel = #tile.chunk_scan<scan = <kind = scalar, form = rate, format = f32, heads = 2, width = 24, states = 16, groups = 1, x_bytes = 192,
      step_bytes = 8, input_bytes = 64, output_bytes = 64, beta_bytes = 0, skip = false, panels = 1>, chunk = 32, bf16 = false>}
}

// -----

module attributes {tile.target = #tile.target<"x86-64-v4-bf16", vector = 512, dot = vnni, bf16 = true>} {
  // expected-error @+1 {{tiled_product: want a target with tiles, got #tile.target<"x86-64-v4-bf16"}}
  func.func private @no_tiles(!llvm.ptr, i64, !llvm.ptr, i64, !llvm.ptr, !llvm.ptr)
    attributes {tile.kernel = #tile.tiled_product<format = q4_0, inputs = 64, most = 8>}
}

// -----

module attributes {tile.target = #tile.target<"x86-64-v4-amx", vector = 512, dot = vnni, bf16 = true, tiles = amx>} {
  // expected-error @+1 {{tiled_product: want bf16, f16 or quantised weights, got f32}}
  func.func private @tiles_of_f32(!llvm.ptr, i64, !llvm.ptr, i64, !llvm.ptr, !llvm.ptr)
    attributes {tile.kernel = #tile.tiled_product<format = f32, inputs = 64, most = 8>}
}

// -----

module attributes {tile.target = #tile.target<"x86-64-v4-amx", vector = 512, dot = vnni, bf16 = true, tiles = amx>} {
  // expected-error @+1 {{tiled_product: want at least one panel, got 0}}
  func.func private @no_panels(!llvm.ptr, i64, !llvm.ptr, i64, !llvm.ptr, !llvm.ptr)
    attributes {tile.kernel = #tile.tiled_product<format = q4_0, inputs = 64, most = 0>}
}
