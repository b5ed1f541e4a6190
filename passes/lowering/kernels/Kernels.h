// Gives kernels their bodies.
//
// A kernel is a private function declaration with an attribute that says what it computes:
//
//   func.func private @k(!llvm.ptr, !llvm.ptr, i64, !llvm.ptr, !llvm.ptr)
//     attributes { tile.kernel = #tile.product<format = q4_0, inputs = 2048, arithmetic = int8, single = true> }
//
// emitKernel writes the body in scf, arith, vector, math and llvm ops, which the usual conversions to LLVM lower. What a
// kernel computes, operand by operand, stands with its attribute in dialects/tile/TileBase.td; the layouts it reads and
// writes in dialects/tile/Layout.h. Pointers to panels, int8 rows, f32 rows and scratch are 64-byte aligned, except that
// f32 rows need only 4.
#pragma once

#include "dialects/tile/Tile.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace llmc::kernels {

inline constexpr llvm::StringLiteral kKernelAttr = "tile.kernel";
// On a kernel that a block of threads runs: bytes of shared memory that it needs.
inline constexpr llvm::StringLiteral kSharedBytesAttr = "tile.shared_bytes";

// Dialects that bodies use: to be loaded by the pass that calls emitKernel.
void insertKernelDialects(mlir::DialectRegistry &registry);

// Errors, as diagnostics on the declaration: no or unknown kernel attribute, wrong argument types, a combination that no
// kernel has (int8 arithmetic on float weights, inputs that are no whole number of blocks).
mlir::LogicalResult emitKernel(mlir::func::FuncOp declaration, tile::TargetAttr target);

// Bytes that `scratch` of a product needs, one piece per worker; 0 if it may be null. The same for every target.
int64_t productScratchBytes(tile::ProductAttr product);
int64_t tiledProductScratchBytes(tile::TiledProductAttr product);
// Bytes that `scratch` of a linear needs for up to `maxTokens` tokens, one piece per worker.
int64_t linearScratchBytes(tile::LinearAttr linear, tile::TargetAttr target, int64_t maxTokens);
// Bytes of a row of `inputs` values as products of that arithmetic read it.
int64_t inputRowBytes(tile::Arithmetic arithmetic, int64_t inputs);

// Bytes that `scratch` of `attend_runs` needs, and of one part of a head in what it gives `merge_parts`.
int64_t attendScratchBytes(tile::AttendRunsAttr attend);
int64_t attendPartBytes(int64_t headDim);
// How many of the `shared` heads that read one head of a cache a device's block of threads takes together; 0: it has no kernel for it.
int64_t blockAttendGroup(mlir::Type element, int64_t headDim, int64_t shared, tile::TargetAttr target);

// Bytes that `scratch` of a scan needs for up to `maxTokens` tokens.
int64_t scanScratchBytes(tile::ScanAttr scan, int64_t maxTokens);
int64_t chunkScratchBytes(tile::ChunkScoresAttr scores);
int64_t chunkScratchBytes(tile::ChunkScanAttr scan, int64_t maxTokens);

} // namespace llmc::kernels
