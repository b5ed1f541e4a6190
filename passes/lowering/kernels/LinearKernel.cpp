// One tile of a product: some panels of a weight, and what is done with their results.
//
// x: (tokens, K) f32, int8 or bf16 rows; scratch: (tokens, 16) f32 for each product of the tile, then what the products need;
// bias: (N), residual, y: (tokens, N); or y: (tokens, keys), one for each panel; or (tokens, 16), of one panel. Where the target multiplies
// bf16 rows by matrix tiles, one product takes all panels of the tile and all rows, and its results are (panels, tokens, 16).
#include "passes/lowering/kernels/Emitters.h"
#include "passes/lowering/kernels/Kernels.h"
#include "passes/lowering/kernels/LinearOperands.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "llvm/Support/FormatVariadic.h"

#include <limits>

using namespace mlir;

namespace llmc::kernels {
namespace {

constexpr int64_t kRowBytes = tile::kPanelOutputs * 4; // of a product's result
// Rows that all panels of a tile take before the next rows: about as many as stay in L2 beside a panel, in multiples of what the
// products take at once, and enough of them to be worth unpacking a panel.
constexpr int64_t kChunkBytes = 256 << 10, kRowsAtOnce = 24, kFewestRows = 48;

// A kernel of this attribute, declared once in the module.
func::FuncOp declare(KernelBuilder &b, StringRef name, Attribute kernel, TypeRange arguments) {
  for (auto function : b.module.getOps<func::FuncOp>())
    if (function->getAttr(kKernelAttr) == kernel)
      return function;
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToEnd(b.module.getBody());
  auto function = func::FuncOp::create(b, name, b.getFunctionType(arguments, {}));
  function.setPrivate();
  function->setAttr(kKernelAttr, kernel);
  return function;
}

bool usesTiles(tile::LinearAttr kernel, tile::TargetAttr target) {
  return target.hasTiles() && kernel.getArithmetic() == tile::Arithmetic::bf16;
}

// Tiles take panels in pairs.
int64_t resultPanels(tile::LinearAttr kernel, bool tiled) { return tiled ? tile::alignTo(kernel.getPanels(), 2) : 1; }

struct Linear : LinearOperands {
  Value firstRow = b.constant(0), rows = tokens; // what is worked on

  using LinearOperands::LinearOperands;

  int64_t inputRowBytes() const { return kernels::inputRowBytes(kernel.getArithmetic(), type(0).getShape()[1]); }

  //===--- products ---===//

  // The products of `panels` panels from `panel` on, by matrix tiles.
  void tiledProduct(llm::Format format, unsigned weight, Value panel, Value panels, Value out, Value space) {
    int64_t inputs = type(weight).getShape()[1];
    auto attr = tile::TiledProductAttr::get(b.getContext(), format, inputs, kernel.getPanels());
    Type pointer = LLVM::LLVMPointerType::get(b.getContext()), i64 = b.getI64Type();
    std::string name = llvm::formatv("tiled_product_{0}_{1}_{2}", llm::stringifyFormat(format), inputs, kernel.getPanels());
    auto function = declare(b, name, attr, {pointer, i64, pointer, i64, pointer, pointer});
    Value address = b.at(weights[weight], panel, tile::panelBytes(format, inputs));
    func::CallOp::create(b, function, ValueRange{address, panels, x, rows, out, space});
  }

  void product(llm::Format format, unsigned weight, Value panel, Value out, Value space) {
    int64_t inputs = type(weight).getShape()[1];
    auto attr = tile::ProductAttr::get(b.getContext(), format, inputs, kernel.getArithmetic(), kernel.getSingle());
    Type pointer = LLVM::LLVMPointerType::get(b.getContext());
    std::string name = llvm::formatv("product_{0}_{1}_{2}{3}", llm::stringifyFormat(format), inputs,
                                     tile::stringifyArithmetic(kernel.getArithmetic()), kernel.getSingle() ? "_single" : "");
    auto function = declare(b, name, attr, {pointer, pointer, b.getI64Type(), pointer, pointer});
    Value address = b.at(weights[weight], panel, tile::panelBytes(format, inputs));
    func::CallOp::create(b, function, ValueRange{address, b.at(x, firstRow, inputRowBytes()), rows, out, space});
  }

  //===--- epilogue ---===//

  // Channels [0, lanes) of a row at `pointer`, of which only `valid` lie inside it.
  Value loadRow(Value pointer, int64_t valid) {
    VectorType type = b.floats(tile::kPanelOutputs);
    if (valid == tile::kPanelOutputs)
      return b.load(type, pointer, 4);
    return LLVM::MaskedLoadOp::create(b, type, pointer, laneMask(valid), b.constant(type, 0.0), b.getI32IntegerAttr(4));
  }
  void storeRow(Value value, Value pointer, int64_t valid) {
    if (valid == tile::kPanelOutputs)
      b.store(value, pointer, 4);
    else
      LLVM::MaskedStoreOp::create(b, value, pointer, laneMask(valid), 4);
  }
  Value laneMask(int64_t valid) {
    SmallVector<bool> lanes(tile::kPanelOutputs, false);
    std::fill_n(lanes.begin(), valid, true);
    auto type = VectorType::get(tile::kPanelOutputs, b.getI1Type());
    return arith::ConstantOp::create(b, DenseElementsAttr::get(type, ArrayRef<bool>(lanes)));
  }

  // The key of the greatest of a panel's results, the first `valid` of which exist.
  Value keyOf(Value results, int64_t valid) {
    Value keys = keysOf(results);
    if (valid < tile::kPanelOutputs)
      keys = b.select(laneMask(valid), keys, b.constant(keys.getType(), tile::kGoneKey));
    return vector::ReductionOp::create(b, vector::CombiningKind::MAXSI, keys);
  }

  void store(Value values, unsigned weight, Value row, Value panel, int64_t valid) {
    switch (kernel.getResults()) {
    case tile::Results::rows:
      return storeRow(values, rowAt(results[weight], weight, row, panel), valid);
    case tile::Results::keys:
      return b.store(keyOf(values, valid), b.at(b.at(results[0], row, tile::keyRowBytes(outputs(0))), panel, 4), 4);
    case tile::Results::panel:
      if (valid < tile::kPanelOutputs)
        values = b.select(laneMask(valid), values, b.constant(values.getType(), -std::numeric_limits<double>::infinity()));
      return b.store(values, b.at(results[0], row, kRowBytes), 4);
    }
  }

  Value rowAt(Value matrix, unsigned weight, Value row, Value panel) {
    return b.at(b.at(matrix, row, outputs(weight) * 4), panel, kRowBytes);
  }

  Value biased(Value product, Value row, unsigned weight, Value panel) {
    VectorType type = b.floats(tile::kPanelOutputs);
    Value value = b.load(type, b.at(product, row, kRowBytes), 4);
    if (!biases.empty()) // packed vectors are padded to whole panels
      value = b.add(value, b.load(type, b.at(biases[weight], panel, kRowBytes), 4));
    return value;
  }

  // One panel of results: `valid` of its 16 outputs exist.
  void finish(ArrayRef<Value> products, unsigned weight, Value panel, int64_t valid) {
    b.loop(b.constant(0), rows, 1, [&](Value row) {
      Value value = activated(biased(products[0], row, weight, panel), [&] { return biased(products[1], row, 1, panel); });
      Value ofStep = b.add(firstRow, row);
      if (residual)
        value = b.add(value, loadRow(rowAt(residual, weight, ofStep, panel), valid));
      store(limited(value), weight, ofStep, panel, valid);
    });
  }

  void finishPanel(ArrayRef<Value> products, unsigned weight, Value panel) {
    int64_t left = outputs(weight) % tile::kPanelOutputs, whole = outputs(weight) / tile::kPanelOutputs;
    if (left == 0)
      return finish(products, weight, panel, tile::kPanelOutputs);
    Value isWhole = b.compare(arith::CmpIPredicate::slt, panel, b.constant(whole));
    auto branch = scf::IfOp::create(b, isWhole, /*withElseRegion=*/true);
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPoint(branch.thenYield());
    finish(products, weight, panel, tile::kPanelOutputs);
    b.setInsertionPoint(branch.elseYield());
    finish(products, weight, panel, left);
  }

  //===--- tiles ---===//

  void panel(unsigned weight, Value panel) {
    Value bytes = b.mul(rows, b.constant(kRowBytes));
    SmallVector<Value> products{scratch};
    if (kernel.getGlu())
      products.push_back(b.at(scratch, bytes, 1));
    Value space = b.at(products.back(), bytes, 1);
    for (auto [i, out] : llvm::enumerate(products)) {
      unsigned factor = kernel.getGlu() ? unsigned(i) : weight;
      anyFormat(factor, [&, out = out](llm::Format format) { product(format, factor, panel, out, space); });
    }
    finishPanel(products, weight, panel);
  }

  // All panels of a tile at once.
  void tiledPanels(unsigned weight, Value first, Value end) {
    Value count = b.sub(end, first), bytes = b.mul(rows, b.constant(resultPanels(kernel, /*tiled=*/true) * kRowBytes));
    SmallVector<Value> products{scratch};
    if (kernel.getGlu())
      products.push_back(b.at(scratch, bytes, 1));
    Value space = b.at(products.back(), bytes, 1);
    for (auto [i, out] : llvm::enumerate(products)) {
      unsigned factor = kernel.getGlu() ? unsigned(i) : weight;
      anyFormat(factor, [&, out = out](llm::Format format) { tiledProduct(format, factor, first, count, out, space); });
    }
    b.loop(b.constant(0), count, 1, [&](Value index) {
      SmallVector<Value> ofPanel;
      for (Value product : products)
        ofPanel.push_back(b.at(product, b.mul(index, rows), kRowBytes));
      finishPanel(ofPanel, weight, b.add(first, index));
    });
  }

  void tileOf(unsigned weight, Value tile) {
    Value first = b.mul(tile, b.constant(kernel.getPanels()));
    Value end = b.minimum(b.add(first, b.constant(kernel.getPanels())), b.constant(tile::panelCount(outputs(weight))));
    if (usesTiles(kernel, b.target))
      return tiledPanels(weight, first, end);
    auto panels = [&] { b.loop(first, end, 1, [&](Value index) { panel(weight, index); }); };
    if (kernel.getSingle())
      return panels();
    int64_t chunk = std::max(kChunkBytes / inputRowBytes() / kRowsAtOnce * kRowsAtOnce, kFewestRows);
    Value none = firstRow;
    b.loop(none, tokens, chunk, [&](Value row) {
      firstRow = row;
      rows = b.minimum(b.constant(chunk), b.sub(tokens, row));
      panels();
    });
    firstRow = none, rows = tokens;
  }
};

} // namespace

int64_t inputRowBytes(tile::Arithmetic arithmetic, int64_t inputs) {
  switch (arithmetic) {
  case tile::Arithmetic::f32:
    return inputs * 4;
  case tile::Arithmetic::int8:
    return tile::int8RowBytes(inputs);
  case tile::Arithmetic::bf16:
    return tile::bf16RowBytes(inputs);
  }
}

int64_t linearScratchBytes(tile::LinearAttr kernel, tile::TargetAttr target, int64_t maxTokens) {
  bool tiled = usesTiles(kernel, target);
  MLIRContext *context = kernel.getContext();
  int64_t products = 0;
  for (size_t weight = 0; weight < kernel.getWeights().size(); ++weight) {
    RankedTensorType type = weightType(kernel, weight);
    int64_t inputs = type.getShape()[1];
    for (llm::Format format : formatsOf(type))
      products = std::max(products, tiled ? tiledProductScratchBytes(tile::TiledProductAttr::get(context, format, inputs, kernel.getPanels()))
                                          : productScratchBytes(tile::ProductAttr::get(context, format, inputs, kernel.getArithmetic(), kernel.getSingle())));
  }
  return products + maxTokens * resultPanels(kernel, tiled) * kRowBytes * (kernel.getGlu() ? 2 : 1);
}

void emitLinear(KernelBuilder &b, tile::LinearAttr kernel) {
  Linear linear(b, kernel);
  linear.ofWeight([&](unsigned weight, Value tile) { linear.tileOf(weight, tile); });
}

} // namespace llmc::kernels
