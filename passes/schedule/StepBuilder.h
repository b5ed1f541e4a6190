// Builds the tile form of one version of the step, op by op.
#pragma once

#include "dialects/tile/Tile.h"

#include "mlir/IR/SymbolTable.h"

#include <optional>

namespace llmc::schedule {

// Which rows a value has: one per token of the step, or one per wanted row.
enum class Rows { Tokens, Wanted };

// Where a value of the `llm` dialect lies: f32 [rows][channels], or int8 rows (dialects/tile/Layout.h).
struct Stored {
  mlir::Value pointer;
  int64_t channels = 0;
  int64_t rowBytes = 0;
  Rows rows = Rows::Tokens;
  bool owned = true; // ours to overwrite once its last reader has run
  int64_t offset = 0; // bytes from a row's start to the value's first channel: a view of some columns

  bool isDense() const { return offset == 0 && rowBytes == channels * 4; }
};

// A weight operand: its symbol, its layer, and the pointer and format index that kernels take.
struct LoadedWeight {
  llm::WeightOp weight;
  mlir::Value pointer;
  mlir::Value format; // i64 index into the weight's formats
};

// From a layer's number to its index in an array that holds the layers `layers`; `entries` are their indices where they
// are not 0, 1, …
llvm::SmallVector<int64_t> layerTable(llvm::ArrayRef<int64_t> layers, llvm::ArrayRef<int64_t> entries = {});

// Tiles of one run of a product over its weights.
int64_t tileCount(tile::LinearAttr kernel);

struct Counts {
  int64_t loops = 0, rowOps = 0, kernels = 0, int8Products = 0;
};

// The options of --tile-schedule.
struct Decisions {
  bool mergeRows = true, groupHeads = true, panelTurns = true, largeTiles = true, int8Rows = true, bf16Rows = true;
  bool bf16Attention = true, splitPositions = true, streams = true;
};

class StepBuilder {
public:
  StepBuilder(mlir::ModuleOp module, int64_t maxTokens, const Decisions &decisions, Counts &counts);

  // Replaces `source` by its tile form, a function of the same name over (step, worker).
  mlir::LogicalResult build(mlir::func::FuncOp source);

private:
  using ForallBody = llvm::function_ref<void(mlir::Value tile)>;

  // Ops, by what they do (StepBuilder.cpp, ScheduleLinear.cpp, ScheduleAttention.cpp).
  mlir::LogicalResult visitBlock(mlir::Block &block);
  mlir::LogicalResult visit(mlir::Operation &op);
  mlir::LogicalResult layers(llm::LayersOp op);
  mlir::LogicalResult layer(mlir::func::FuncOp function, llm::LayersOp op, const Stored &x);
  void weightLoad(llm::WeightLoadOp op);
  void embedding(llm::EmbeddingOp op);
  void selectRows(llm::SelectRowsOp op);
  void ropeTable(llm::RopeTableOp op);
  void rope(llm::RopeOp op);
  void pointwise(mlir::Operation *op, tile::PointwiseKernelAttr kernel);
  bool visitScan(mlir::Operation &op); // the ops of LLMScanOps.td; false: none of them
  void columns(llm::ColumnsOp op);
  void concat(llm::ConcatOp op);
  void unitNorm(llm::UnitNormOp op);
  void causalConv(llm::CausalConvOp op);
  void shift(llm::ShiftOp op);
  void scan(llm::ScanOp op);
  // Loops over the tiles of a recurrence: `operands` follow (tile, tokens, positions, slots) and are followed by the state's two addresses.
  void recurrence(llm::StatefulOpInterface op, llvm::StringRef name, mlir::Attribute kernel, int64_t tiles, mlir::ValueRange operands,
                  const Stored &y, int64_t scratchBytes, mlir::ValueRange more = {});
  void chunkScan(llm::ScanOp op, tile::ScanAttr kernel, mlir::ValueRange operands, const Stored &y);
  int64_t panelsOfTile(int64_t panels, bool hasStates = false) const;
  void norm(mlir::Value x, mlir::Value gain, mlir::Value bias, llm::NormAttr norm, const Stored &to);
  void linear(llm::LinearOp op);
  void attention(llm::AttentionOp op);
  mlir::Value relativeBias(llm::AttentionOp op, int64_t heads, int64_t reach);
  bool attendsInBf16(llm::AttentionOp op, llm::KVCacheType cache);
  bool attendsByMatrices(llm::AttentionOp op, llm::KVCacheType cache);
  void attendBlocks(llm::AttentionOp op, llm::KVCacheType cache, const Stored &q, const Stored &out);
  void attendRuns(llm::AttentionOp op, llm::KVCacheType cache, const Stored &q, const Stored &out);
  void latentAttention(llm::LatentAttentionOp op);
  // ScheduleCross.cpp
  void append(llm::AppendOp op);
  void crossAttention(llm::CrossAttentionOp op);
  mlir::Value stateOf(llm::StatefulOpInterface op, mlir::Value token);
  // ScheduleExperts.cpp
  void route(llm::RouteOp op);
  void experts(llm::ExpertsOp op);
  void groupedLinear(llm::GroupedLinearOp op);

  // One product, all of it or the best of each row (ScheduleTopK.cpp), as the step is asked.
  struct Product {
    llm::LinearOp op;
    Stored x, residual;
    tile::LinearAttr kernel;
  };
  tile::LinearAttr linearKernel(llm::LinearOp op, tile::Arithmetic arithmetic, tile::Results results);
  mlir::func::CallOp callLinear(const Product &product, mlir::Value tile, mlir::Value rows, mlir::Value x, mlir::ValueRange results);
  void wholeProduct(const Product &product, mlir::ValueRange results);
  void blocksOfRows(const Product &product, mlir::ValueRange results);
  void topK(const Product &product, mlir::Value logits);
  void bestOfRows(Product product, mlir::Value keys, mlir::Value best);

  // Parts of products.
  tile::TargetAttr machine() const;
  // Whether vectors multiply pairs of bf16 faster than float32.
  bool bf16VectorsPay() const;
  int64_t preparedHeads() const;
  tile::Arithmetic arithmeticFor(mlir::ValueRange weights);
  Stored linearInput(llm::LinearOp op, tile::Arithmetic arithmetic);
  // `x` as products of that arithmetic read it.
  Stored productInput(const Stored &x, tile::Arithmetic arithmetic);
  // How many panels of these [N, K] weights make a tile, where `copies` products run side by side.
  int64_t panelsPerTile(mlir::TypeRange weights, tile::Arithmetic arithmetic, bool glu, int64_t copies = 1) const;
  int64_t panelsOnDevice(mlir::TypeRange weights, tile::Arithmetic arithmetic, bool glu, int64_t copies) const;
  int64_t linearScratchBytes(tile::LinearAttr kernel) const;
  struct Choices; // which rows go through which experts
  Choices chooseRows(llm::ExpertsOp op, const Stored &x);
  void stackedProduct(const Choices &choices, llvm::ArrayRef<mlir::Value> weights, llvm::ArrayRef<mlir::Value> biases, mlir::Value x,
                      int64_t xRowBytes, bool sharedRow, mlir::Value y, tile::LinearAttr kernel);
  mlir::Value memory(int64_t bytes, llvm::StringRef name); // of the step, for no value of the graph

  // Storage.
  Stored buffer(int64_t channels, Rows rows, llvm::StringRef name);
  Stored bytesBuffer(int64_t channels, int64_t rowBytes, Rows rows, llvm::StringRef name);
  Stored destination(mlir::Value result, Rows rows, llvm::StringRef name);
  // `value` where it may be overwritten: in its own place if nobody else reads that.
  Stored ownCopy(mlir::Value value, llvm::StringRef name);
  void copyRows(Stored from, Stored to);
  // `from` for a reader that wants rows without gaps: itself, or a copy of a view.
  Stored dense(const Stored &from, llvm::StringRef name);
  const Stored &stored(mlir::Value value) { return storage.find(value)->second; }
  LoadedWeight loaded(mlir::Value weight);
  mlir::Value vectorWeight(mlir::Value weight) { return loaded(weight).pointer; }

  // Loops. Row ops share the open row loop; anything else closes it first.
  void rowOp(Rows rows, llvm::function_ref<void(mlir::Value row)> body);
  void closeRows();
  mlir::scf::ForallOp parallel(mlir::Value count, ForallBody body);
  // The same over tiles that cost about the same and read what lies one behind another in memory.
  void streams(int64_t count, ForallBody body);
  mlir::Value rowPointer(const Stored &from, mlir::Value row);
  mlir::Value rowCount(Rows rows);

  // Values and kernels.
  mlir::Value i64(int64_t value);
  mlir::Type pointerType() { return mlir::LLVM::LLVMPointerType::get(b.getContext()); }
  mlir::Value field(llvm::StringRef name);
  mlir::Value lookup(llvm::ArrayRef<int64_t> table, mlir::Value index);
  mlir::func::CallOp call(llvm::StringRef name, mlir::Attribute kernel, mlir::ValueRange operands);
  mlir::Value scratch(int64_t bytes);

  mlir::ModuleOp module;
  int64_t maxTokens;
  Decisions decisions;
  bool exact;
  Counts &counts;
  mlir::OpBuilder b;
  mlir::Location loc;
  mlir::Value step, worker, layerIndex;
  mlir::func::FuncOp target;
  llvm::DenseMap<mlir::Value, Stored> storage;
  llvm::DenseMap<mlir::Value, Stored> destinations; // values that must end up in a given place
  bool misplaced = false; // a value of other rows than its given place was computed
  mlir::scf::ForallOp openRows;
  Rows openDomain = Rows::Tokens;
};

} // namespace llmc::schedule
