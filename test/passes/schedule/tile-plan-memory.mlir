// RUN: llmc-opt %s --pass-pipeline="builtin.module(func.func(tile-plan-memory))" | FileCheck %s
// RUN: llmc-opt %s --pass-pipeline="builtin.module(func.func(tile-plan-memory))" --mlir-pass-statistics 2>&1 >/dev/null | FileCheck %s --check-prefix=STATS
// STATS-DAG: (S) {{[0-9]+}} arena-bytes
// STATS-DAG: (S) {{[0-9]+}} buffer-bytes

func.func private @use(!llvm.ptr)

// A chain: a and c never live at once and share memory; b overlaps both. What two loops touch lives through both.
// CHECK-LABEL: func.func @chain(
// CHECK-SAME: tile.arena_bytes = 192 : i64, tile.scratch_bytes = 640 : i64
// CHECK: bytes 128 name "a" offset 0
// CHECK: bytes 64 name "b" offset 128
// CHECK: bytes 128 name "c" offset 0
// CHECK: bytes 64 name "unused" offset 0
func.func @chain(%step: !llvm.ptr, %worker: i64) attributes {llm.max_tokens = 1 : i64} {
  %n = arith.constant 4 : index
  %a = tile.buffer %step bytes 128 name "a"
  %b = tile.buffer %step bytes 64 name "b"
  %c = tile.buffer %step bytes 128 name "c"
  %unused = tile.buffer %step bytes 64 name "unused"
  scf.forall (%i) in (%n) {
    func.call @use(%a) : (!llvm.ptr) -> ()
  }
  scf.forall (%i) in (%n) {
    %s = tile.scratch %step, %worker bytes 640
    func.call @use(%a) : (!llvm.ptr) -> ()
    func.call @use(%b) : (!llvm.ptr) -> ()
  }
  scf.forall (%i) in (%n) {
    %s = tile.scratch %step, %worker bytes 64
    func.call @use(%b) : (!llvm.ptr) -> ()
    func.call @use(%c) : (!llvm.ptr) -> ()
  }
  return
}

// A buffer from outside of a loop over layers that its first parallel loop reads is needed again in the next turn: nothing inside may
// take its place, though inside the loop its last reader has run.
// CHECK-LABEL: func.func @layers(
// CHECK-SAME: tile.arena_bytes = 256 : i64
// CHECK: bytes 128 name "x" offset 0
// CHECK: bytes 64 name "first" offset 128
// CHECK: bytes 64 name "second" offset 192
// CHECK: bytes 64 name "third" offset 128
// CHECK: bytes 128 name "after" offset
func.func @layers(%step: !llvm.ptr, %worker: i64) attributes {llm.max_tokens = 1 : i64} {
  %n = arith.constant 4 : index
  %zero = arith.constant 0 : i64
  %one = arith.constant 1 : i64
  %x = tile.buffer %step bytes 128 name "x"
  scf.for %layer = %zero to %one step %one : i64 {
    %first = tile.buffer %step bytes 64 name "first"
    %second = tile.buffer %step bytes 64 name "second"
    %third = tile.buffer %step bytes 64 name "third"
    scf.forall (%i) in (%n) {
      func.call @use(%x) : (!llvm.ptr) -> ()
      func.call @use(%first) : (!llvm.ptr) -> ()
    }
    scf.forall (%i) in (%n) {
      func.call @use(%first) : (!llvm.ptr) -> ()
      func.call @use(%second) : (!llvm.ptr) -> ()
    }
    scf.forall (%i) in (%n) {
      func.call @use(%second) : (!llvm.ptr) -> ()
      func.call @use(%third) : (!llvm.ptr) -> ()
    }
  }
  %after = tile.buffer %step bytes 128 name "after"
  scf.forall (%i) in (%n) {
    func.call @use(%after) : (!llvm.ptr) -> ()
  }
  return
}

// Kinds of layers do not run at once, but each is planned for as if they did.
// CHECK-LABEL: func.func @kinds(
// CHECK: bytes 64 name "x" offset
// CHECK: bytes 128 name "one" offset
// CHECK: bytes 128 name "two" offset
func.func @kinds(%step: !llvm.ptr, %kind: index) attributes {llm.max_tokens = 1 : i64} {
  %n = arith.constant 4 : index
  %x = tile.buffer %step bytes 64 name "x"
  scf.index_switch %kind
  case 1 {
    %one = tile.buffer %step bytes 128 name "one"
    scf.forall (%i) in (%n) {
      func.call @use(%one) : (!llvm.ptr) -> ()
    }
    scf.yield
  }
  default {
    %two = tile.buffer %step bytes 128 name "two"
    scf.forall (%i) in (%n) {
      func.call @use(%two) : (!llvm.ptr) -> ()
      func.call @use(%x) : (!llvm.ptr) -> ()
    }
    scf.yield
  }
  return
}

// Other functions are left alone.
// CHECK-LABEL: func.func @other(
// CHECK-NOT: offset
func.func @other(%step: !llvm.ptr) {
  %x = tile.buffer %step bytes 64 name "x"
  func.call @use(%x) : (!llvm.ptr) -> ()
  return
}
