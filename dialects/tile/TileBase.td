// The `tile` dialect: how one step runs. Step functions are sequences of `scf.forall` loops over tiles whose bodies call
// kernels; kernels are private functions that carry an attribute saying what they compute until a lowering gives them a body.
#ifndef LLMC_DIALECTS_TILE_BASE
#define LLMC_DIALECTS_TILE_BASE

include "dialects/llm/LLMBase.td"
include "dialects/tile/TileEnums.td"

def Tile_Dialect : Dialect {
  let name = "tile";
  let cppNamespace = "::llmc::tile";
  let summary = "One step of a model as parallel loops over tiles";
  let useDefaultAttributePrinterParser = 1;
  let dependentDialects = ["::llmc::llm::LLMDialect", "::mlir::LLVM::LLVMDialect", "::mlir::scf::SCFDialect",
                           "::mlir::arith::ArithDialect", "::mlir::func::FuncDialect"];
}

class Tile_Attr<string name, string mnemonic_> : AttrDef<Tile_Dialect, name> { let mnemonic = mnemonic_; }

def Tile_TargetAttr : Tile_Attr<"Target", "target"> {
  let summary = "What kernels may assume of the machine";
  let description = [{
    Module attribute `tile.target = #tile.target<"x86-64-v3", vector = 256, dot = avx2>`. `vector`: bits of a register that float loops use.
  }];
  let parameters = (ins StringRefParameter<>:$name, "int64_t":$vector_bits, EnumParameter<Tile_Dot>:$dot);
  let assemblyFormat = "`<` $name `,` `vector` `=` $vector_bits `,` `dot` `=` $dot `>`";
}

def Tile_ProductAttr : Tile_Attr<"Product", "product"> {
  let summary = "Kernel: one panel of 16 outputs times the rows of the step";
  let description = [{
    `@k(panel, x, tokens: i64, out, scratch)`, pointers but for tokens. `out[t][0..15] = x[t] . panel^T`, f32 [tokens][16].
    `x`: f32 [tokens][inputs] for f32 arithmetic; the int8 row layout of dialects/tile/Layout.h for int8. `single`: tokens is 1.
  }];
  let parameters = (ins EnumParameter<LLM_Format>:$format, "int64_t":$inputs, EnumParameter<Tile_Arithmetic>:$arithmetic, "bool":$single);
  let assemblyFormat = "`<` struct(params) `>`";
}

def Tile_QuantizeAttr : Tile_Attr<"Quantize", "quantize"> {
  let summary = "Kernel: one f32 row to the int8 row layout";
  let description = [{ `@k(x, out)`: x f32 [inputs], out in the layout of dialects/tile/Layout.h. }];
  let parameters = (ins "int64_t":$inputs);
  let assemblyFormat = "`<` struct(params) `>`";
}

def Tile_DecodeRowAttr : Tile_Attr<"DecodeRow", "decode_row"> {
  let summary = "Kernel: one row of a packed weight to f32 (embedding look-up)";
  let description = [{ `@k(weight, row: i64, out)`: out f32 [inputs]. }];
  let parameters = (ins EnumParameter<LLM_Format>:$format, "int64_t":$inputs);
  let assemblyFormat = "`<` struct(params) `>`";
}

#endif
