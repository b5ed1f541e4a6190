#include "compiler/support/ModelMoments.h"

#include "compiler/support/ModelFiles.h"
#include "compiler/support/StatusBridge.h"
#include "dialects/llm/StoredFormat.h"

#include "llvm/Support/JSON.h"
#include "llvm/Support/raw_ostream.h"

#include <cmath>

using namespace mlir;
using namespace llmc;

std::string llmc::momentsName(StringRef weight, int64_t index) { return ("@" + weight + "[" + Twine(index) + "]").str(); }

llvm::Expected<std::unique_ptr<ModelMoments>> ModelMoments::open(const std::string &path) {
  auto file = toLlvm(TensorFile::open(path));
  if (!file)
    return file.takeError();
  auto moments = std::make_unique<ModelMoments>();
  moments->file = std::move(*file);
  return moments;
}

llvm::Expected<std::unique_ptr<ModelMoments>> ModelMoments::openFor(ModuleOp module, StringRef directory, bool allowOutside) {
  Attribute named = module->getAttr(llm::kCalibration);
  if (!named)
    return nullptr;
  auto path = dyn_cast<StringAttr>(named);
  if (!path)
    return makeError(ErrorCode::InvalidInput, "'" + llm::kCalibration + "' of the module must be the path of a file");
  auto resolved = resolveAsset(directory, path.getValue(), allowOutside);
  if (!resolved)
    return resolved.takeError();
  return open(*resolved);
}

// Means of squares are not negative, and all means finite.
static llvm::Error checkMoments(llvm::ArrayRef<float> values, int64_t block, const Twine &where) {
  for (auto [i, value] : llvm::enumerate(values)) {
    int64_t row = int64_t(i) / block, column = int64_t(i) % block;
    if (!std::isfinite(value) || (row % block == column && value < 0))
      return makeError(ErrorCode::InvalidInput, where + ": number " + Twine(i) + " is no moment; want a file that --calibrate made");
  }
  return llvm::Error::success();
}

llvm::Expected<std::optional<packing::Moments>> ModelMoments::find(llm::WeightOp weight, int64_t index, int64_t expert) const {
  auto known = weight->getAttrOfType<StringAttr>(llm::kMoments);
  const TensorView *tensor = known ? file->find(momentsName(known.getValue(), index)) : nullptr;
  if (!tensor)
    return std::nullopt;
  int64_t experts = weight.getExperts(), columns = weight.getWeights().getShape().back(), block = packing::momentsBlock(experts, columns);
  SmallVector<int64_t> want{experts * columns, block};
  if (tensor->format != Format::F32 || ArrayRef<int64_t>(tensor->shape) != ArrayRef<int64_t>(want))
    return makeError(ErrorCode::InvalidInput, file->path() + ": '" + tensor->name + "': want f32[" + Twine(want[0]) + "," + Twine(want[1]) +
                                                  "], the moments of inputs of @" + weight.getSymName());
  if (reinterpret_cast<uintptr_t>(tensor->data.data()) % alignof(float))
    return makeError(ErrorCode::InvalidInput, file->path() + ": '" + tensor->name + "' begins at an odd address; want a file that --calibrate made");
  auto *first = reinterpret_cast<const float *>(tensor->data.data());
  if (llvm::Error error = checkMoments({first, size_t(want[0] * block)}, block, file->path() + ": '" + tensor->name + "'"))
    return std::move(error);
  return packing::Moments{{first + expert * columns * block, size_t(columns * block)}, block};
}

// Tensors begin at multiples of four bytes, as all of them are of float32.
llvm::Error llmc::writeMoments(llvm::ArrayRef<NamedMoments> all, const std::string &path) {
  llvm::json::Object header;
  int64_t at = 0;
  for (const NamedMoments &each : all) {
    int64_t end = at + int64_t(each.values.size() * sizeof(float));
    header[each.name] = llvm::json::Object{{"dtype", "F32"}, {"shape", llvm::json::Array{each.rows, each.block}}, {"data_offsets", llvm::json::Array{at, end}}};
    at = end;
  }
  std::string text;
  llvm::raw_string_ostream(text) << llvm::json::Value(std::move(header));
  text.resize(llvm::alignTo(text.size() + 8, 64) - 8, ' '); // numbers begin at a multiple of 64
  std::error_code problem;
  llvm::raw_fd_ostream out(path, problem);
  uint64_t length = text.size();
  if (!problem) {
    out.write(reinterpret_cast<const char *>(&length), sizeof length) << text;
    for (const NamedMoments &each : all)
      out.write(reinterpret_cast<const char *>(each.values.data()), each.values.size() * sizeof(float));
    out.close();
    problem = out.error();
    out.clear_error(); // else its destructor ends the process
  }
  return problem ? makeError(ErrorCode::InvalidInput, path + ": can't be written: " + problem.message()) : llvm::Error::success();
}
