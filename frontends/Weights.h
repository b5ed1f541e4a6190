// Declares the `llm.weight` arrays of a module: which tensors of the files they name, checked one by one.
#pragma once

#include "frontends/Checkpoint.h"
#include "frontends/Model.h"

#include "mlir/IR/Builders.h"
#include "llvm/ADT/MapVector.h"

#include <map>
#include <set>

namespace llmc::frontends {

class Weights {
public:
  // `prefix`: of the ops' symbols, before the roles.
  Weights(const Model &model, Checkpoint &checkpoint, Report &report, llvm::StringRef prefix = "");

  // Whether the family names a tensor of this role, and, for biases, whether this model has it.
  bool exists(llvm::StringRef role) const;
  bool isInFile(llvm::StringRef role) const; // in the first layer
  // Notes that `layers` (empty: the model as a whole) use the weight of `role`, of this shape.
  void use(llvm::StringRef role, llvm::ArrayRef<int64_t> shape, llvm::ArrayRef<int64_t> layers);
  // Numbers of the model that no file holds: one for all of `size` elements, or one each.
  void useConstant(llvm::StringRef role, int64_t size, llvm::ArrayRef<float> values);
  // Whether the weight is one for all layers.
  bool isOfModel(llvm::StringRef role) const;
  // Creates the ops, in the order of first use. Reports tensors that are missing or of another shape.
  void declare(mlir::OpBuilder &builder, mlir::Location loc);

  // After declare: the type of one layer's value; null if the role was not declared.
  mlir::RankedTensorType valueType(llvm::StringRef role) const;
  std::string symbol(llvm::StringRef role) const { return (prefix + role).str(); }
  int64_t adapterRank() const { return model.adapterRank; }
  bool allFloat32() const { return onlyFloat32; } // every matrix is f32

private:
  struct Use {
    llvm::SmallVector<int64_t> shape;
    std::set<int64_t> layers;
    mlir::RankedTensorType valueType;
    llvm::SmallVector<float> values; // of a constant
  };
  // The tensors of an array: the name of each entry ({expert} still in it), the first layer that uses it, and the entry
  // of each layer that the array serves.
  struct Places {
    const TensorName *row = nullptr; // of the family; null: reported
    llvm::SmallVector<std::string> names;
    llvm::SmallVector<int64_t> firstLayers, entries;
  };
  const TensorName *nameOf(llvm::StringRef role) const; // as this file has it
  std::string source(const TensorName &name) const;
  std::string nameAt(const TensorName &name, llvm::ArrayRef<int64_t> layers, size_t use) const;
  Places places(llvm::StringRef role, llvm::ArrayRef<int64_t> layers);
  std::optional<llm::Format> format(const Places &places, size_t entry, int64_t expert,
                                    llvm::ArrayRef<int64_t> fileShape);
  std::vector<llm::Format> formats(const Places &places, const Use &use, llvm::ArrayRef<int64_t> fileShape);
  void declareConstant(llvm::StringRef role, Use &use, mlir::OpBuilder &builder, mlir::Location loc);
  void declareOne(llvm::StringRef role, Use &use, mlir::OpBuilder &builder, mlir::Location loc);

  const Model &model;
  Checkpoint &checkpoint;
  Report &report;
  llvm::StringRef prefix;
  bool strippedPrefix = false, onlyFloat32 = true;
  llvm::MapVector<std::string, Use, std::map<std::string, unsigned>> uses;
};

} // namespace llmc::frontends
