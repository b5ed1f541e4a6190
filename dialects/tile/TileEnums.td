// Enumerations of the `tile` dialect, apart from those of `llm` so that each is generated once.
#ifndef LLMC_DIALECTS_TILE_ENUMS
#define LLMC_DIALECTS_TILE_ENUMS

include "mlir/IR/EnumAttr.td"

class Tile_I32Enum<string name, string summary, list<I32EnumAttrCase> cases> : I32EnumAttr<name, summary, cases> {
  let cppNamespace = "::llmc::tile";
  let genSpecializedAttr = 0;
}

def Tile_Arithmetic : Tile_I32Enum<"Arithmetic", "how products are formed", [
  I32EnumAttrCase<"f32", 0>,    // float32 inputs, weights decoded to float32
  I32EnumAttrCase<"int8", 1>,   // inputs rounded to int8 per group of 32, integer dot products, float32 sums over groups
  I32EnumAttrCase<"bf16", 2>]>; // inputs and weights rounded to bf16, dot products of pairs, float32 sums

def Tile_Dot : Tile_I32Enum<"Dot", "which instruction sums four byte products", [
  I32EnumAttrCase<"portable", 0>,
  I32EnumAttrCase<"avx2", 1>,     // pmaddubsw + pmaddwd, 256 bit
  I32EnumAttrCase<"vnni", 2>]>;   // vpdpbusd, 512 bit

def Tile_Tiles : Tile_I32Enum<"Tiles", "which registers hold matrices", [
  I32EnumAttrCase<"none", 0>,
  I32EnumAttrCase<"amx", 1>,         // eight of 16 rows x 64 bytes; products of bf16
  I32EnumAttrCase<"emulated", 2>]>;  // the same in memory, by the instructions' definition: to run such code anywhere

def Tile_Pointwise : Tile_I32Enum<"Pointwise", "row kernels without parameters", [
  I32EnumAttrCase<"add", 0>, I32EnumAttrCase<"copy", 1>, I32EnumAttrCase<"scale", 2>, I32EnumAttrCase<"softcap", 3>,
  I32EnumAttrCase<"activation", 4>, I32EnumAttrCase<"glu", 5>, I32EnumAttrCase<"mul", 6>, I32EnumAttrCase<"mix", 7>,
  I32EnumAttrCase<"clamp", 8>]>;

def Tile_Results : Tile_I32Enum<"Results", "what a product leaves of its results", [
  I32EnumAttrCase<"rows", 0>,    // all of them
  I32EnumAttrCase<"keys", 1>,    // of each panel the key of its greatest (dialects/tile/Layout.h)
  I32EnumAttrCase<"panel", 2>]>; // one panel of one row

#endif
