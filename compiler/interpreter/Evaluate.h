// Runs the functions of a module, one op after another. The public face is Interpreter.h.
#pragma once

#include "compiler/interpreter/Interpreter.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/StringMap.h"

#include <map>

namespace llmc::interpreter {

using Value = Interpreter::Value;

// Keys and values of one layer in one slot: [positions, kv_heads * head_dim] each. Rows from the slot's length on are
// stale.
struct SlotCache {
  std::vector<float> keys, values;
};

class Evaluator {
public:
  Evaluator(mlir::ModuleOp module, WeightSource &weights) : module(module), weights(weights) {}

  // `batch` has been checked, its `lengths` filled in.
  llvm::Expected<std::vector<Value>> run(mlir::func::FuncOp function, llvm::ArrayRef<Value> arguments,
                                         const Batch &batch);

  std::function<void(const Observation &)> observer;

private:
  using Frame = llvm::DenseMap<mlir::Value, Value>;
  struct Scope {
    Frame frame;
    int64_t layer; // of the model; -1 outside `llm.layers`
  };

  llvm::Expected<std::vector<Value>> runBody(mlir::func::FuncOp function, llvm::ArrayRef<Value> arguments,
                                             int64_t layer);
  llvm::Error evaluate(mlir::Operation *op, Scope &scope);
  void observe(mlir::Operation *op, const Scope &scope) const;

  // Operands. The verifier knows their types; what only shows at run time is checked where it is used.
  static const Matrix &matrix(mlir::Value value, const Scope &scope);
  static int64_t index(mlir::Value value, const Scope &scope);
  static std::shared_ptr<const WeightRows> weight(mlir::Value value, const Scope &scope);
  static std::vector<float> vector(mlir::Value value, const Scope &scope); // empty for a null value
  static void set(mlir::Value result, Matrix value, Scope &scope);

  llvm::Error constant(mlir::arith::ConstantOp op, Scope &scope);
  llvm::Error cast(mlir::tensor::CastOp op, Scope &scope);
  llvm::Error call(mlir::func::CallOp op, Scope &scope);
  llvm::Error layers(llm::LayersOp op, Scope &scope);
  llvm::Error loadWeight(llm::WeightLoadOp op, Scope &scope);
  llvm::Error selectRows(llm::SelectRowsOp op, Scope &scope);
  llvm::Error embedding(llm::EmbeddingOp op, Scope &scope);
  llvm::Error rmsNorm(llm::RMSNormOp op, Scope &scope);
  llvm::Error layerNorm(llm::LayerNormOp op, Scope &scope);
  llvm::Error linear(llm::LinearOp op, Scope &scope);
  llvm::Error activation(llm::ActivationOp op, Scope &scope);
  llvm::Error glu(llm::GLUOp op, Scope &scope);
  llvm::Error add(llm::AddOp op, Scope &scope);
  llvm::Error scale(llm::ScaleOp op, Scope &scope);
  llvm::Error softcap(llm::SoftcapOp op, Scope &scope);
  llvm::Error mul(llm::MulOp op, Scope &scope);
  llvm::Error scaleChannels(llm::ScaleChannelsOp op, Scope &scope);
  llvm::Error addBias(llm::AddBiasOp op, Scope &scope);
  llvm::Error mix(llm::MixOp op, Scope &scope);
  llvm::Error columns(llm::ColumnsOp op, Scope &scope);
  llvm::Error concat(llm::ConcatOp op, Scope &scope);
  llvm::Error unitNorm(llm::UnitNormOp op, Scope &scope);
  llvm::Error shift(llm::ShiftOp op, Scope &scope);
  llvm::Error causalConv(llm::CausalConvOp op, Scope &scope);
  llvm::Error scan(llm::ScanOp op, Scope &scope);
  llvm::Error ropeTable(llm::RopeTableOp op, Scope &scope);
  llvm::Error rope(llm::RopeOp op, Scope &scope);
  llvm::Error attention(llm::AttentionOp op, Scope &scope);
  // EvaluateCross.cpp
  llvm::Error append(llm::AppendOp op, Scope &scope);
  llvm::Error crossAttention(llm::CrossAttentionOp op, Scope &scope);
  // EvaluateExperts.cpp
  llvm::Error route(llm::RouteOp op, Scope &scope);
  llvm::Error experts(llm::ExpertsOp op, Scope &scope);
  llvm::Error groupedLinear(llm::GroupedLinearOp op, Scope &scope);
  llvm::Error clamp(llm::ClampOp op, Scope &scope);
  llvm::Error latentAttention(llm::LatentAttentionOp op, Scope &scope);

  // The memory by slot of the layer that `op` names in its state, which does not grow with the sequence.
  llvm::Expected<std::map<int32_t, std::vector<float>> *> fixedOf(llm::StatefulOpInterface op, Scope &scope);
  llvm::Expected<std::map<int32_t, SlotCache> *> cacheOf(llm::StatefulOpInterface op, int64_t layer);
  void append(const Matrix &k, const Matrix &v, std::map<int32_t, SlotCache> &slots) const;

  mlir::ModuleOp module;
  WeightSource &weights;
  const Batch *batch = nullptr;
  int depth = 0;
  llvm::StringMap<std::vector<std::map<int32_t, SlotCache>>> caches; // by state, by index of the layer in it
  llvm::StringMap<std::vector<std::map<int32_t, std::vector<float>>>> fixed; // the same, of states that do not grow
};

} // namespace llmc::interpreter
