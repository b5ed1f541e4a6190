// Every attribute of the tile dialect is read and printed the same.
// RUN: llmc-opt %s | llmc-opt | FileCheck %s
// RUN: llmc-opt %s --mlir-print-op-generic | llmc-opt | FileCheck %s

// CHECK: tile.target = #tile.target<"x86-64-v4", vector = 512, dot = vnni>
module attributes {tile.target = #tile.target<"x86-64-v4", vector = 512, dot = vnni>} {
// CHECK: #tile.product<format = q4_0, inputs = 2048, arithmetic = int8, single = true>
func.func private @product(!llvm.ptr, !llvm.ptr, i64, !llvm.ptr, !llvm.ptr) attributes {
  tile.kernel = #tile.product<format = q4_0, inputs = 2048, arithmetic = int8, single = true>}
// CHECK: #tile.tiled_product<format = q4_0, inputs = 2048, most = 8>
func.func private @tiled_product(!llvm.ptr, i64, !llvm.ptr, i64, !llvm.ptr, !llvm.ptr) attributes {
  tile.kernel = #tile.tiled_product<format = q4_0, inputs = 2048, most = 8>}
// CHECK: tiles = emulated>
func.func private @on_tiles() attributes {target = #tile.target<"x", vector = 512, dot = vnni, bf16 = true, tiles = emulated>}
// CHECK: dot = portable in blocks of 256>
func.func private @in_blocks() attributes {target = #tile.target<"sm_90", vector = 128, dot = portable in blocks of 256>}
// CHECK: dot = portable, bf16 = true in blocks of 64>
func.func private @in_small_blocks() attributes {target = #tile.target<"sm_80", vector = 128, dot = portable, bf16 = true in blocks of 64>}
// CHECK: #tile.product<format = bf16, inputs = 5, arithmetic = f32, single = false>
func.func private @product_float(!llvm.ptr, !llvm.ptr, i64, !llvm.ptr, !llvm.ptr) attributes {
  tile.kernel = #tile.product<format = bf16, inputs = 5, arithmetic = f32, single = false>}
// CHECK: #tile.quantize<inputs = 64>
func.func private @quantize(!llvm.ptr, !llvm.ptr) attributes {tile.kernel = #tile.quantize<inputs = 64>}
// CHECK: #tile.decode_row<format = q6_k, inputs = 256>
func.func private @decode(!llvm.ptr, i64, !llvm.ptr) attributes {tile.kernel = #tile.decode_row<format = q6_k, inputs = 256>}
// CHECK: #tile.norm<channels = 64, group = 16, norm = <rms, eps = {{.*}}, offset = {{.*}}>, bias = false>
func.func private @norm(!llvm.ptr, !llvm.ptr, !llvm.ptr) attributes {
  tile.kernel = #tile.norm<channels = 64, group = 16, norm = <rms, eps = 1.0e-5, offset = 1.0>, bias = false>}
// CHECK: #tile.norm<channels = 64, group = 64, norm = <layer, eps = {{[^>]*}}>, bias = true>
func.func private @layer_norm(!llvm.ptr, !llvm.ptr, !llvm.ptr, !llvm.ptr) attributes {
  tile.kernel = #tile.norm<channels = 64, group = 64, norm = <layer, eps = 1.0e-5>, bias = true>}
// CHECK: #tile.pointwise<kind = add, channels = 7>
func.func private @add(!llvm.ptr, !llvm.ptr, !llvm.ptr) attributes {tile.kernel = #tile.pointwise<kind = add, channels = 7>}
// CHECK: #tile.pointwise<kind = copy, channels = 7>
func.func private @copy(!llvm.ptr, !llvm.ptr) attributes {tile.kernel = #tile.pointwise<kind = copy, channels = 7>}
// CHECK: #tile.pointwise<kind = scale, channels = 7, constant = {{0.5|5.0*e-01}}>
func.func private @scale(!llvm.ptr, !llvm.ptr) attributes {tile.kernel = #tile.pointwise<kind = scale, channels = 7, constant = 0.5>}
// CHECK: #tile.pointwise<kind = softcap, channels = 7, constant = {{30|30.0*|3.0*e\+01}}>
func.func private @softcap(!llvm.ptr, !llvm.ptr) attributes {tile.kernel = #tile.pointwise<kind = softcap, channels = 7, constant = 30.0>}
// CHECK: #tile.pointwise<kind = activation, channels = 7, activation = {{.*}}gelu_tanh>
func.func private @activation(!llvm.ptr, !llvm.ptr) attributes {
  tile.kernel = #tile.pointwise<kind = activation, channels = 7, activation = gelu_tanh>}
// CHECK: #tile.pointwise<kind = glu, channels = 7, activation = {{.*}}silu>
func.func private @glu(!llvm.ptr, !llvm.ptr, !llvm.ptr) attributes {
  tile.kernel = #tile.pointwise<kind = glu, channels = 7, activation = silu>}
// CHECK: #tile.rope_table<dim = 32, theta = {{.*}}>
func.func private @table(i64, i64, !llvm.ptr) attributes {tile.kernel = #tile.rope_table<dim = 32, theta = 1.0e4>}
// CHECK: #tile.rope_table<dim = 32, theta = {{.*}}, factors = true>
func.func private @table_factors(i64, i64, !llvm.ptr, !llvm.ptr) attributes {
  tile.kernel = #tile.rope_table<dim = 32, theta = 1.0e4, factors = true>}
// CHECK: #tile.rope<channels = 64, head_dim = 32, rotary = <half, dim = 16>>
func.func private @rope(!llvm.ptr, !llvm.ptr, !llvm.ptr) attributes {
  tile.kernel = #tile.rope<channels = 64, head_dim = 32, rotary = <half, dim = 16>>}
// CHECK: #tile.prepare<heads = 4, kv_heads = 2, head_dim = 32, element = f16, rotary = <interleaved, dim = 32>, norm = <rms, eps = {{[^>]*}}>>
func.func private @prepare(i64, i64, !llvm.ptr, !llvm.ptr, !llvm.ptr, !llvm.ptr, !llvm.ptr, !llvm.ptr, !llvm.ptr) attributes {
  tile.kernel = #tile.prepare<heads = 4, kv_heads = 2, head_dim = 32, element = f16, rotary = <interleaved, dim = 32>, norm = <rms, eps = 1.0e-6>>}
// CHECK: #tile.prepare<heads = 4, kv_heads = 2, head_dim = 32, element = f32>
func.func private @prepare_plain(i64, i64, !llvm.ptr, !llvm.ptr, !llvm.ptr, !llvm.ptr) attributes {
  tile.kernel = #tile.prepare<heads = 4, kv_heads = 2, head_dim = 32, element = f32>}
// CHECK: #tile.attend<heads = 4, kv_heads = 2, head_dim = 32, element = f16, scale = {{.*}}, window = 512, softcap = {{.*}}>
func.func private @attend(i64, i64, !llvm.ptr, !llvm.ptr, !llvm.ptr, !llvm.ptr) attributes {
  tile.kernel = #tile.attend<heads = 4, kv_heads = 2, head_dim = 32, element = f16, scale = 0.125, window = 512, softcap = 50.0>}
// CHECK: #tile.attend_runs<heads = 4, kv_heads = 1, head_dim = 32, element = !llm.quant<q8_0>, scale = {{.*}}, window = 0, softcap = {{.*}}, sinks = true, group = 4, count = 1, q_bytes = 512, out_bytes = 512, split = true, partial = true>
func.func private @attend_runs(i64, i64, !llvm.ptr, !llvm.ptr, !llvm.ptr, !llvm.ptr, !llvm.ptr, !llvm.ptr, !llvm.ptr) attributes {
  tile.kernel = #tile.attend_runs<heads = 4, kv_heads = 1, head_dim = 32, element = !llm.quant<q8_0>, scale = 0.125, window = 0, softcap = 0.0, sinks = true, group = 4,
    count = 1, q_bytes = 512, out_bytes = 512, split = true, partial = true>}
// CHECK: #tile.merge_parts<heads = 4, head_dim = 32, scale = {{.*}}, softcap = {{.*}}, sinks = true>
func.func private @merge_parts(i64, !llvm.ptr, !llvm.ptr, !llvm.ptr) attributes {
  tile.kernel = #tile.merge_parts<heads = 4, head_dim = 32, scale = 0.125, softcap = 0.0, sinks = true>}
// CHECK: #tile.linear<weights = [tensor<48x256x!llm.quant<q4_k|q6_k>>, tensor<7x256xf32>], arithmetic = f32, single = true, panels = 3, bias = false, glu = false, residual = false>
func.func private @linear(i64, i64, !llvm.ptr, !llvm.ptr, !llvm.ptr, !llvm.ptr, i64, i64, !llvm.ptr, !llvm.ptr) attributes {
  tile.kernel = #tile.linear<weights = [tensor<48x256x!llm.quant<q4_k|q6_k>>, tensor<7x256xf32>], arithmetic = f32, single = true, panels = 3,
    bias = false, glu = false, residual = false>}
// CHECK: activation = {{.*}}gelu>
func.func private @linear_glu(i64, i64, !llvm.ptr, !llvm.ptr, !llvm.ptr, !llvm.ptr, i64, i64, !llvm.ptr, !llvm.ptr, !llvm.ptr, !llvm.ptr) attributes {
  tile.kernel = #tile.linear<weights = [tensor<16x32xf16>, tensor<16x32xf16>], arithmetic = f32, single = false, panels = 1,
    bias = true, glu = true, residual = true, activation = gelu>}
// CHECK: #tile.unit_norm<channels = 64, group = 32, eps = {{[^>]*}}>
func.func private @unit_norm(!llvm.ptr, !llvm.ptr) attributes {tile.kernel = #tile.unit_norm<channels = 64, group = 32, eps = 1.0e-5>}
// CHECK: #tile.conv<channels = 64, taps = 4, format = bf16, bias = false, x_bytes = 320, panels = 2, activation = {{.*}}silu>
func.func private @conv(i64, i64, !llvm.ptr, !llvm.ptr, !llvm.ptr, !llvm.ptr, !llvm.ptr, !llvm.ptr, !llvm.ptr) attributes {
  tile.kernel = #tile.conv<channels = 64, taps = 4, format = bf16, bias = false, x_bytes = 320, panels = 2, activation = silu>}
// CHECK: #tile.shift<channels = 64, x_bytes = 256, panels = 1>
func.func private @shift(i64, i64, !llvm.ptr, !llvm.ptr, !llvm.ptr, !llvm.ptr, !llvm.ptr, !llvm.ptr) attributes {
  tile.kernel = #tile.shift<channels = 64, x_bytes = 256, panels = 1>}
// CHECK: #tile.scan<kind = gated, form = softplus8, format = f32, heads = 1, width = 64, states = 1, groups = 1, x_bytes = 256, step_bytes = 256, input_bytes = 0, output_bytes = 0, beta_bytes = 0, skip = false, panels = 1>
func.func private @gated(i64, i64, !llvm.ptr, !llvm.ptr, !llvm.ptr, !llvm.ptr, !llvm.ptr, !llvm.ptr, !llvm.ptr, !llvm.ptr, !llvm.ptr) attributes {
  tile.kernel = #tile.scan<kind = gated, form = softplus8, format = f32, heads = 1, width = 64, states = 1, groups = 1, x_bytes = 256,
    step_bytes = 256, input_bytes = 0, output_bytes = 0, beta_bytes = 0, skip = false, panels = 1>}
// CHECK: #tile.chunk_scores<groups = 1, states = 16, chunk = 32, input_bytes = 64, output_bytes = 64, tiles = 4, bf16 = true>
func.func private @scores(i64, i64, !llvm.ptr, !llvm.ptr, !llvm.ptr, !llvm.ptr, !llvm.ptr, !llvm.ptr, !llvm.ptr, !llvm.ptr) attributes {
  tile.kernel = #tile.chunk_scores<groups = 1, states = 16, chunk = 32, input_bytes = 64, output_bytes = 64, tiles = 4, bf16 = true>}
// CHECK: #tile.chunk_scan<scan = <kind = scalar, {{.*}}limit = [1.000000e-01, 2.000000e+00]>, chunk = 32, bf16 = true>
func.func private @chunks(!llvm.ptr) attributes {
  tile.kernel = #tile.chunk_scan<scan = <kind = scalar, form = rate, format = f32, heads = 2, width = 16, states = 16, groups = 1, x_bytes = 128,
    step_bytes = 8, input_bytes = 64, output_bytes = 64, beta_bytes = 0, skip = false, panels = 1, limit = [0.1, 2.0]>, chunk = 32, bf16 = true>}
}
