// The file of a calibrated module: second moments of the inputs of products, by the weight that they are multiplied with.
//
//   auto moments = ModelMoments::openFor(module, directory, allowOutside);   // null if the module is not calibrated
//   auto found = (*moments)->find(weightOp, /*index=*/3, /*expert=*/0);      // nullopt if this weight's inputs are not known
//
// A safetensors file: the tensor "@NAME[INDEX]" is f32 [experts * K, block], packing::Moments expert by expert. It may come with a module that
// nobody trusts: shapes are checked, and whatever the numbers are, rounding ends.
// Thread-safe after opening. The file stays mapped as long as the object lives.
#pragma once

#include "compiler/packing/Quantize.h"
#include "dialects/llm/LLM.h"
#include "runtime/formats/TensorFile.h"

#include "mlir/IR/BuiltinOps.h"
#include "llvm/Support/Error.h"

#include <functional>
#include <optional>

namespace llmc {

class ModelMoments {
public:
  static llvm::Expected<std::unique_ptr<ModelMoments>> open(const std::string &path);
  // The file that the module names; null if it names none. Errors: InvalidInput, as resolveAsset.
  static llvm::Expected<std::unique_ptr<ModelMoments>> openFor(mlir::ModuleOp module, llvm::StringRef directory, bool allowOutside);

  // Errors: InvalidInput if the tensor has not the shape that the weight asks for.
  llvm::Expected<std::optional<packing::Moments>> find(llm::WeightOp weight, int64_t index, int64_t expert) const;

private:
  std::unique_ptr<TensorFile> file;
};

struct NamedMoments {
  std::string name; // "@blk.q[3]"
  int64_t rows = 0, block = 0;
  std::vector<float> values;
};
std::string momentsName(llvm::StringRef weight, int64_t index);
// Errors: InvalidInput if the file can't be written.
llvm::Error writeMoments(llvm::ArrayRef<NamedMoments> all, const std::string &path);

} // namespace llmc
