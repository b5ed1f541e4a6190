// RUN: llmc-opt %s --split-input-file --verify-diagnostics

func.func @field_c1_name(%step: !llvm.ptr) {
  // expected-error @+1 {{no field 'batch' in llmc_step}}
  %0 = tile.field %step "batch" : i64
  return
}

// -----

func.func @field_c1_number(%step: !llvm.ptr) {
  // expected-error @+1 {{field 'tokens' is an i64}}
  %0 = tile.field %step "tokens" : !llvm.ptr
  return
}

// -----

func.func @field_c1_pointer(%step: !llvm.ptr) {
  // expected-error @+1 {{field 'arena' is a pointer}}
  %0 = tile.field %step "arena" : i64
  return
}

// -----

func.func @field_c1_other(%step: !llvm.ptr) {
  // expected-error @+1 {{field 'tokens' is an i64}}
  %0 = tile.field %step "tokens" : i32
  return
}

// -----

func.func @lookup_c1(%i: i64) {
  // expected-error @+1 {{attribute 'table' failed to satisfy constraint: i64 dense array attribute not empty}}
  %0 = tile.lookup [][%i]
  return
}

// -----

func.func @step_is_a_pointer(%step: i64) {
  // expected-error @+1 {{operand #0 must be pointer}}
  %0 = "tile.claim"(%step) : (i64) -> i64
  return
}

// -----

// expected-error @+2 {{to be one of: portable, avx2, vnni}}
// expected-error @+1 {{failed to parse Tile_TargetAttr parameter}}
module attributes {tile.target = #tile.target<"x86-64-v3", vector = 256, dot = sse>} {}

// -----

// @target_c1
// expected-error @+1 {{tiles = amx: want bf16 = true with them}}
module attributes {tile.target = #tile.target<"x86-64-v3", vector = 256, dot = avx2, bf16 = false, tiles = amx>} {}

// -----

// @target_c2
// expected-error @+1 {{threads = 100: want 0 or a multiple of 32 up to 1024}}
module attributes {tile.target = #tile.target<"sm_90", vector = 128, dot = portable in blocks of 100>} {}

// -----

func.func @mark_moment(%step: !llvm.ptr, %worker: i64) {
  // expected-error @+1 {{attribute 'moment' failed to satisfy constraint}}
  tile.mark %step, %worker site 0 moment 3
  return
}
