// RUN: llmc-opt %s --split-input-file --llm-fuse-attention | FileCheck %s
// RUN: llmc-opt %s --split-input-file --llm-fuse-attention --mlir-pass-statistics 2>&1 >/dev/null | FileCheck %s --check-prefix=STATS

// STATS: llm-fuse-attention
// STATS-DAG: (S) 3 fused-norms
// STATS-DAG: (S) 3 fused-ropes
// STATS-DAG: (S) 9 unlike-operands

!q = tensor<?x64xf32>
!k = tensor<?x32xf32>
!cs = tensor<?x16xf32>
!g = tensor<16xf32>
llm.state @kv : !llm.kv_cache<layers = 1, kv_heads = 2, head_dim = 16, f16>

// CHECK-LABEL: @norm_and_rope
// CHECK-SAME: (%[[Q:[^:]*]]: tensor<?x64xf32>, %[[K:[^:]*]]: tensor<?x32xf32>, %[[CS:[^:]*]]: tensor<?x16xf32>, %[[GQ:[^:]*]]: tensor<16xf32>, %[[GK:[^:]*]]: tensor<16xf32>,
// CHECK-NEXT: %[[Y:.*]] = llm.attention %[[Q]], %[[K]], %[[K]], @kv[%{{.*}}], %{{.*}} scale 2.500000e-01 norm <rms, eps = {{[^,>]*}}, offset = 1.000000e+00> %[[GQ]], %[[GK]] rotary <half, dim = 16> %[[CS]] {window = 8 : i64}
// CHECK-NEXT: return %[[Y]]
func.func @norm_and_rope(%q: !q, %k: !k, %cs: !cs, %gq: !g, %gk: !g, %i: index, %b: !llm.batch) -> !q {
  %qn = llm.rms_norm %q, %gq {eps = 1.0e-6, offset = 1.0} : !q, !g
  %kn = llm.rms_norm %k, %gk {eps = 1.0e-6, offset = 1.0} : !k, !g
  %qr = llm.rope %qn, %cs <half, dim = 16> head_dim 16 : !q, !cs
  %kr = llm.rope %kn, %cs <half, dim = 16> head_dim 16 : !k, !cs
  %y = llm.attention %qr, %kr, %k, @kv[%i], %b scale 0.25 {window = 8 : i64} : (!q, !k, !k, index, !llm.batch) -> !q
  return %y : !q
}

// CHECK-LABEL: @rope_alone
// CHECK-NEXT: llm.attention {{.*}} scale 2.500000e-01 rotary <half, dim = 16>
func.func @rope_alone(%q: !q, %k: !k, %cs: !cs, %i: index, %b: !llm.batch) -> !q {
  %qr = llm.rope %q, %cs <half, dim = 16> head_dim 16 : !q, !cs
  %kr = llm.rope %k, %cs <half, dim = 16> head_dim 16 : !k, !cs
  %y = llm.attention %qr, %kr, %k, @kv[%i], %b scale 0.25 : (!q, !k, !k, index, !llm.batch) -> !q
  return %y : !q
}

// Layers without positions.
// CHECK-LABEL: @norm_alone
// CHECK-NEXT: llm.attention {{.*}} scale 2.500000e-01 norm <rms, eps = {{[^,>]*}}>
func.func @norm_alone(%q: !q, %k: !k, %g: !g, %i: index, %b: !llm.batch) -> !q {
  %qn = llm.rms_norm %q, %g {eps = 1.0e-6} : !q, !g
  %kn = llm.rms_norm %k, %g {eps = 1.0e-6} : !k, !g
  %y = llm.attention %qn, %kn, %k, @kv[%i], %b scale 0.25 : (!q, !k, !k, index, !llm.batch) -> !q
  return %y : !q
}

// Another run finds the rotation folded in and adds the norms.
// CHECK-LABEL: @norm_before_rotary
// CHECK-NEXT: llm.attention {{.*}} norm <rms, eps = {{[^,>]*}}> {{.*}} rotary <half, dim = 16>
func.func @norm_before_rotary(%q: !q, %k: !k, %g: !g, %cs: !cs, %i: index, %b: !llm.batch) -> !q {
  %qn = llm.rms_norm %q, %g {eps = 1.0e-6} : !q, !g
  %kn = llm.rms_norm %k, %g {eps = 1.0e-6} : !k, !g
  %y = llm.attention %qn, %kn, %k, @kv[%i], %b scale 0.25 rotary <half, dim = 16> %cs : (!q, !k, !k, index, !llm.batch, !cs) -> !q
  return %y : !q
}

// Norms of all channels are not norms of heads: the ropes go in, the norms stay.
// CHECK-LABEL: @norm_of_all_channels
// CHECK-COUNT-2: llm.rms_norm
// CHECK-NEXT: llm.attention {{.*}} scale 2.500000e-01 rotary
func.func @norm_of_all_channels(%q: !q, %k: !k, %gq: tensor<64xf32>, %gk: tensor<32xf32>, %cs: !cs, %i: index, %b: !llm.batch) -> !q {
  %qn = llm.rms_norm %q, %gq {eps = 1.0e-6} : !q, tensor<64xf32>
  %kn = llm.rms_norm %k, %gk {eps = 1.0e-6} : !k, tensor<32xf32>
  %qr = llm.rope %qn, %cs <half, dim = 16> head_dim 16 : !q, !cs
  %kr = llm.rope %kn, %cs <half, dim = 16> head_dim 16 : !k, !cs
  %y = llm.attention %qr, %kr, %k, @kv[%i], %b scale 0.25 : (!q, !k, !k, index, !llm.batch) -> !q
  return %y : !q
}

// Nothing to fold.
// CHECK-LABEL: @plain
// CHECK-NEXT: llm.attention {{.*}} scale 2.500000e-01 :
func.func @plain(%q: !q, %k: !k, %i: index, %b: !llm.batch) -> !q {
  %y = llm.attention %q, %k, %k, @kv[%i], %b scale 0.25 : (!q, !k, !k, index, !llm.batch) -> !q
  return %y : !q
}

// -----

// What is refused: q and k not made alike.
!q = tensor<?x64xf32>
!k = tensor<?x32xf32>
!cs = tensor<?x16xf32>
!g = tensor<16xf32>
llm.state @kv : !llm.kv_cache<layers = 1, kv_heads = 2, head_dim = 16, f16>

// CHECK-LABEL: @only_q_turns
// CHECK: llm.rope
func.func @only_q_turns(%q: !q, %k: !k, %cs: !cs, %i: index, %b: !llm.batch) -> !q {
  %qr = llm.rope %q, %cs <half, dim = 16> head_dim 16 : !q, !cs
  %y = llm.attention %qr, %k, %k, @kv[%i], %b scale 0.25 : (!q, !k, !k, index, !llm.batch) -> !q
  return %y : !q
}

// CHECK-LABEL: @other_table
// CHECK-COUNT-2: llm.rope
func.func @other_table(%q: !q, %k: !k, %cs0: !cs, %cs1: !cs, %i: index, %b: !llm.batch) -> !q {
  %qr = llm.rope %q, %cs0 <half, dim = 16> head_dim 16 : !q, !cs
  %kr = llm.rope %k, %cs1 <half, dim = 16> head_dim 16 : !k, !cs
  %y = llm.attention %qr, %kr, %k, @kv[%i], %b scale 0.25 : (!q, !k, !k, index, !llm.batch) -> !q
  return %y : !q
}

// CHECK-LABEL: @other_rotary
// CHECK-COUNT-2: llm.rope
func.func @other_rotary(%q: !q, %k: !k, %cs: !cs, %i: index, %b: !llm.batch) -> !q {
  %qr = llm.rope %q, %cs <half, dim = 16> head_dim 16 : !q, !cs
  %kr = llm.rope %k, %cs <interleaved, dim = 16> head_dim 16 : !k, !cs
  %y = llm.attention %qr, %kr, %k, @kv[%i], %b scale 0.25 : (!q, !k, !k, index, !llm.batch) -> !q
  return %y : !q
}

// The ropes see heads of 32, the cache heads of 16.
// CHECK-LABEL: @other_head_dim
// CHECK-COUNT-2: llm.rope
func.func @other_head_dim(%q: !q, %k: !k, %cs: !cs, %i: index, %b: !llm.batch) -> !q {
  %qr = llm.rope %q, %cs <half, dim = 16> head_dim 32 : !q, !cs
  %kr = llm.rope %k, %cs <half, dim = 16> head_dim 32 : !k, !cs
  %y = llm.attention %qr, %kr, %k, @kv[%i], %b scale 0.25 : (!q, !k, !k, index, !llm.batch) -> !q
  return %y : !q
}

// A second reader of the turned k (a layer that shares its keys) keeps both ropes.
// CHECK-LABEL: @second_reader
// CHECK-COUNT-2: llm.rope
func.func @second_reader(%q: !q, %k: !k, %cs: !cs, %i: index, %b: !llm.batch) -> (!q, !k) {
  %qr = llm.rope %q, %cs <half, dim = 16> head_dim 16 : !q, !cs
  %kr = llm.rope %k, %cs <half, dim = 16> head_dim 16 : !k, !cs
  %y = llm.attention %qr, %kr, %k, @kv[%i], %b scale 0.25 : (!q, !k, !k, index, !llm.batch) -> !q
  return %y, %kr : !q, !k
}

// CHECK-LABEL: @other_epsilon
// CHECK-COUNT-2: llm.rms_norm
func.func @other_epsilon(%q: !q, %k: !k, %g: !g, %i: index, %b: !llm.batch) -> !q {
  %qn = llm.rms_norm %q, %g {eps = 1.0e-6} : !q, !g
  %kn = llm.rms_norm %k, %g {eps = 1.0e-5} : !k, !g
  %y = llm.attention %qn, %kn, %k, @kv[%i], %b scale 0.25 : (!q, !k, !k, index, !llm.batch) -> !q
  return %y : !q
}

// CHECK-LABEL: @other_offset
// CHECK-COUNT-2: llm.rms_norm
func.func @other_offset(%q: !q, %k: !k, %g: !g, %i: index, %b: !llm.batch) -> !q {
  %qn = llm.rms_norm %q, %g {eps = 1.0e-6, offset = 1.0} : !q, !g
  %kn = llm.rms_norm %k, %g {eps = 1.0e-6} : !k, !g
  %y = llm.attention %qn, %kn, %k, @kv[%i], %b scale 0.25 : (!q, !k, !k, index, !llm.batch) -> !q
  return %y : !q
}

// Attention normalises before it turns, not after.
// CHECK-LABEL: @rope_before_norm
// CHECK-COUNT-2: llm.rope
// CHECK-COUNT-2: llm.rms_norm
func.func @rope_before_norm(%q: !q, %k: !k, %g: !g, %cs: !cs, %i: index, %b: !llm.batch) -> !q {
  %qr = llm.rope %q, %cs <half, dim = 16> head_dim 16 : !q, !cs
  %kr = llm.rope %k, %cs <half, dim = 16> head_dim 16 : !k, !cs
  %qn = llm.rms_norm %qr, %g {eps = 1.0e-6} : !q, !g
  %kn = llm.rms_norm %kr, %g {eps = 1.0e-6} : !k, !g
  %y = llm.attention %qn, %kn, %k, @kv[%i], %b scale 0.25 : (!q, !k, !k, index, !llm.batch) -> !q
  return %y : !q
}
