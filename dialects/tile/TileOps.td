// Ops of the `tile` dialect: what a step function needs beside scf, arith and calls.
#ifndef LLMC_DIALECTS_TILE_OPS
#define LLMC_DIALECTS_TILE_OPS

include "dialects/tile/TileBase.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

def Tile_Ptr : Type<CPred<"::llvm::isa<::mlir::LLVM::LLVMPointerType>($_self)">, "pointer", "::mlir::LLVM::LLVMPointerType">,
    BuildableType<"::mlir::LLVM::LLVMPointerType::get($_builder.getContext())">;

class Tile_Op<string mnemonic, list<Trait> traits = []> : Op<Tile_Dialect, mnemonic, traits>;

def Tile_FieldOp : Tile_Op<"field", [Pure]> {
  let summary = "A field of the step's arguments (struct llmc_step)";
  let description = [{ `%t = tile.field %step "tokens" : i64`. (C1) `name` is a field of runtime/artifact/Artifact.h, and the type its type. }];
  let arguments = (ins Tile_Ptr:$step, StrAttr:$name);
  let results = (outs AnyType:$value);
  let assemblyFormat = "$step $name attr-dict `:` type($value)";
  let hasVerifier = 1;
}

def Tile_BufferOp : Tile_Op<"buffer"> {
  let summary = "Memory of the step, shared by all workers";
  let description = [{
    `%b = tile.buffer %step bytes 2560 name "x"`. `tile-plan-memory` gives it an `offset` in the arena; buffers whose lives do not
    overlap share memory.
  }];
  let arguments = (ins Tile_Ptr:$step, I64Attr:$bytes, StrAttr:$name, OptionalAttr<I64Attr>:$offset);
  let results = (outs Res<Tile_Ptr, "", [MemAlloc]>:$value); // two alike are two
  let assemblyFormat = "$step `bytes` $bytes `name` $name (`offset` $offset^)? attr-dict";
}

def Tile_ScratchOp : Tile_Op<"scratch", [Pure]> {
  let summary = "Memory of this worker, for the length of one tile";
  let arguments = (ins Tile_Ptr:$step, I64:$worker, I64Attr:$bytes);
  let results = (outs Tile_Ptr:$value);
  let assemblyFormat = "$step `,` $worker `bytes` $bytes attr-dict";
}

def Tile_WeightOp : Tile_Op<"weight", [Pure]> {
  let summary = "The packed weight of a layer";
  let arguments = (ins Tile_Ptr:$step, FlatSymbolRefAttr:$weight, I64:$layer);
  let results = (outs Tile_Ptr:$value);
  let assemblyFormat = "$step $weight `[` $layer `]` attr-dict";
}

def Tile_StateOp : Tile_Op<"state", [Pure]> {
  let summary = "A layer's part of a state, in slot `slot`";
  let arguments = (ins Tile_Ptr:$step, FlatSymbolRefAttr:$state, I64:$layer, I64:$slot);
  let results = (outs Tile_Ptr:$value);
  let assemblyFormat = "$step $state `[` $layer `]` `slot` $slot attr-dict";
}

def Tile_Table : ConfinedAttr<DenseI64ArrayAttr, [
  AttrConstraint<CPred<"!::llvm::cast<::mlir::DenseI64ArrayAttr>($_self).empty()">, "not empty">]>;

def Tile_LookupOp : Tile_Op<"lookup", [Pure]> {
  let summary = "An entry of a constant table";
  let description = [{ `%kind = tile.lookup [0, 0, 1][%layer]`. (C1) the table is not empty; the index is in range when it runs. }];
  let arguments = (ins Tile_Table:$table, I64:$index); // lookup_c1
  let results = (outs I64:$value);
  let assemblyFormat = "$table `[` $index `]` attr-dict";
}

def Tile_RowOp : Tile_Op<"row", [Pure]> {
  let summary = "Row `index` of a matrix: base + index * bytes + offset";
  let arguments = (ins Tile_Ptr:$base, I64:$index, I64Attr:$bytes, DefaultValuedAttr<I64Attr, "0">:$offset);
  let results = (outs Tile_Ptr:$value);
  let assemblyFormat = "$base `[` $index `]` `bytes` $bytes (`offset` $offset^)? attr-dict";
}

def Tile_EntryOp : Tile_Op<"entry", [Pure]> {
  let summary = "Entry `index` of an i32 array of the step, widened";
  let arguments = (ins Tile_Ptr:$base, I64:$index);
  let results = (outs I64:$value);
  let assemblyFormat = "$base `[` $index `]` attr-dict";
}

def Tile_WorkersOp : Tile_Op<"workers", [Pure]> {
  let summary = "How many workers run the step";
  let arguments = (ins Tile_Ptr:$step);
  let results = (outs I64:$count);
  let assemblyFormat = "$step attr-dict";
}

def Tile_LaunchOp : Tile_Op<"launch"> {
  let summary = "Run a parallel loop of the step on a device";
  let description = [{
    `tile.launch %launcher phase 3 (%layer)`, on the host: the device runs phase 3 of the step for this layer after all that was launched before.
  }];
  let arguments = (ins Tile_Ptr:$launcher, ConfinedAttr<I64Attr, [IntNonNegative]>:$phase, I64:$layer);
  let assemblyFormat = "$launcher `phase` $phase `(` $layer `)` attr-dict";
}

def Tile_ClaimOp : Tile_Op<"claim"> {
  let summary = "Take the next tile of the loop that all workers are in";
  let arguments = (ins Tile_Ptr:$step);
  let results = (outs I64:$tile);
  let assemblyFormat = "$step attr-dict";
}

def Tile_BarrierOp : Tile_Op<"barrier"> {
  let summary = "Wait for all workers; the claim counter starts again at 0";
  let arguments = (ins Tile_Ptr:$step);
  let assemblyFormat = "$step attr-dict";
}

def Tile_MarkOp : Tile_Op<"mark"> {
  let summary = "Tell the step's profile where this worker is";
  let description = [{
    `tile.mark %step, %worker site 3 moment 1`. `moment` is one of enum llmc_profile_moment (runtime/artifact/Artifact.h); `site` the number of the loop.
  }];
  let arguments = (ins Tile_Ptr:$step, I64:$worker, ConfinedAttr<I64Attr, [IntNonNegative]>:$site,
                       ConfinedAttr<I64Attr, [IntMinValue<0>, IntMaxValue<2>]>:$moment);
  let assemblyFormat = "$step `,` $worker `site` $site `moment` $moment attr-dict";
}

def Tile_CountOp : Tile_Op<"count"> {
  let summary = "Add to a row of a table of the step's profile";
  let description = [{
    `tile.count %step counter 0 row %expert by %amount`. Tables are numbered as `tile.counters` of the step function lists them.
  }];
  let arguments = (ins Tile_Ptr:$step, ConfinedAttr<I64Attr, [IntNonNegative]>:$counter, I64:$row, I64:$amount);
  let assemblyFormat = "$step `counter` $counter `row` $row `by` $amount attr-dict";
}

#endif
