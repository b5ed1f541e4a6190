// The parts that layers are built from. A part maps [T, hidden] to [T, hidden]; it says which weights it needs and how
// its graph is built. A new mixer (a scan, routed experts) is a new entry here, and nothing else changes.
#pragma once

#include "frontends/Model.h"

#include "mlir/IR/Builders.h"

namespace llmc::frontends {

// The weight of ones that norms without gain have.
inline constexpr llvm::StringRef unitGain = "unit_gain";

// Builds the function of one layer kind. Weights are those that the part asked for.
class LayerBuilder {
public:
  virtual ~LayerBuilder() = default;
  virtual mlir::Value load(llvm::StringRef role) = 0;
  virtual bool has(llvm::StringRef role) const = 0;

  // `x` through the weight of `role`, with its bias if the file has one, and its adapter (two products of low rank beside
  // it) if the model has one.
  mlir::Value linear(mlir::Value x, llvm::StringRef role);
  mlir::Value norm(mlir::Value x, llvm::StringRef role);
  // `x` times `factor`; `x` itself where that is 1.
  mlir::Value scaled(mlir::Value x, double factor, llvm::StringRef name);
  // Location that names a value: the compiler's checks compare values by these names.
  mlir::Location at(llvm::StringRef name) const;

  const Model &model;
  const LayerKind *kind; // null outside layers
  double normEps;        // of `norm`
  mlir::OpBuilder &builder;
  llvm::StringRef prefix; // of symbols
  mlir::Value layer, batch;
  mlir::ValueRange ropes; // one table for each of model.ropes
  mlir::Value embedding;  // what the first layer was given, if the family says that it reaches layers

protected:
  LayerBuilder(const Model &model, const LayerKind *kind, mlir::OpBuilder &builder, llvm::StringRef prefix)
      : model(model), kind(kind), normEps(model.eps), builder(builder), prefix(prefix) {}
};

// Collects the weights of a part. A role that the family does not name for this container is skipped.
class WeightList {
public:
  virtual ~WeightList() = default;
  virtual void require(llvm::StringRef role, llvm::ArrayRef<int64_t> shape) = 0;
  // A matrix [rows, columns] and, as the configuration or the file has them, its bias and its adapter.
  virtual void linear(llvm::StringRef role, int64_t rows, int64_t columns) = 0;
};

// State of the layers whose parts name it; several parts may share one.
struct PartState {
  llvm::StringRef symbol;
  // `floatCache`: caches hold f32, else f16.
  mlir::Type (*type)(const Model &, int64_t layers, bool floatCache, mlir::MLIRContext *);
};

struct Part {
  void (*weights)(const Model &, WeightList &);
  mlir::Value (*build)(LayerBuilder &, mlir::Value x);
  llvm::ArrayRef<const PartState *> states{};
};

extern const PartState kvCache; // @kv

extern const Part attention; // roles blk.q, k, v, o (blk.q_norm, k_norm, attn_gate where named); state @kv
// Attention to what an encoder gave. Roles blk.cross_q, cross_k, cross_v, cross_o; state @cross, into which `@encode` puts keys and values.
extern const Part crossAttention;
extern const Part gatedMlp;  // blk.gate, blk.up, blk.down
extern const Part plainMlp;  // blk.up, blk.down
// LatentParts.cpp: blk.q_a, q_a_norm, q_b (blk.q where queries have no rank), kv_a, kv_a_norm, k_b, v_b, o; state @kv
extern const Part latentAttention;
// ExpertParts.cpp: blk.router (blk.router_correction where named), blk.gate_exps, up_exps, down_exps; for a shared expert
// blk.gate_shexp, up_shexp, down_shexp (gated by blk.shexp_gate where named).
extern const Part routedMlp;

} // namespace llmc::frontends
