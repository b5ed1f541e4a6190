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
// (x, out); see #tile.quantize.
void emitQuantize(KernelBuilder &b, tile::QuantizeAttr quantize);
// (weight, row, out); see #tile.decode_row.
void emitDecodeRow(KernelBuilder &b, tile::DecodeRowAttr decode);

int64_t floatProductScratchBytes(tile::ProductAttr product);
int64_t int8ProductScratchBytes(tile::ProductAttr product);

} // namespace llmc::kernels
