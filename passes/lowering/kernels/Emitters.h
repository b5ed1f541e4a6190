// The emitters of kernel bodies, one per kind of kernel attribute. Each builds everything but the return.
//
// To add a kind: define its attribute in dialects/tile/TileBase.td, declare its emitter here, write it in a file of its
// own, and add a line to the table in Kernels.cpp.
#pragma once

#include "passes/lowering/kernels/KernelBuilder.h"

namespace llmc::kernels {

// (panel, x, tokens, out, scratch); see #tile.product.
void emitFloatProduct(KernelBuilder &b, tile::ProductAttr product);
void emitInt8Product(KernelBuilder &b, tile::ProductAttr product);
void emitBf16Product(KernelBuilder &b, tile::ProductAttr product);
// (panel, panels, x, tokens, out, scratch); see #tile.tiled_product.
void emitTiledProduct(KernelBuilder &b, tile::TiledProductAttr product);
// (x, out); see #tile.quantize.
void emitQuantize(KernelBuilder &b, tile::QuantizeAttr quantize);
// (weight, row, out); see #tile.decode_row.
void emitDecodeRow(KernelBuilder &b, tile::DecodeRowAttr decode);

// See the attributes' descriptions for their arguments.
void emitNorm(KernelBuilder &b, tile::NormAttr norm);
void emitPointwise(KernelBuilder &b, tile::PointwiseKernelAttr kernel);
void emitUnitNorm(KernelBuilder &b, tile::UnitNormAttr norm);
void emitRopeTable(KernelBuilder &b, tile::RopeTableAttr table);
void emitRopeTableAt(KernelBuilder &b, tile::RopeTableAttr table, Value index); // of one pair
void emitRope(KernelBuilder &b, tile::RopeAttr rope);
void emitPrepare(KernelBuilder &b, tile::PrepareAttr prepare);
void emitAttend(KernelBuilder &b, tile::AttendAttr attend);
void emitRelativeBias(KernelBuilder &b, tile::RelativeBiasAttr bias);
void emitAttendRuns(KernelBuilder &b, tile::AttendRunsAttr attend);
void emitMergeParts(KernelBuilder &b, tile::MergePartsAttr merge);
void emitLatentPrepare(KernelBuilder &b, tile::LatentPrepareAttr prepare);
void emitLatentAttend(KernelBuilder &b, tile::LatentAttendAttr attend);
void emitRoute(KernelBuilder &b, tile::RouteAttr route);
void emitGroupTokens(KernelBuilder &b, tile::GroupTokensAttr group);
void emitCombine(KernelBuilder &b, tile::CombineAttr combine);
void emitConv(KernelBuilder &b, tile::ConvAttr conv);
void emitShift(KernelBuilder &b, tile::ShiftAttr shift);
void emitScan(KernelBuilder &b, tile::ScanAttr scan);
void emitChunkScores(KernelBuilder &b, tile::ChunkScoresAttr scores);
void emitChunkScan(KernelBuilder &b, tile::ChunkScanAttr scan);
void emitLinear(KernelBuilder &b, tile::LinearAttr linear);
void emitBestPanels(KernelBuilder &b, tile::BestPanelsAttr kernel);

int64_t floatProductScratchBytes(tile::ProductAttr product);
int64_t int8ProductScratchBytes(tile::ProductAttr product);
int64_t bf16ProductScratchBytes(tile::ProductAttr product);

} // namespace llmc::kernels
