#include "compiler/driver/QuantizeFile.h"

#include "compiler/driver/Compile.h"
#include "compiler/support/ModelMoments.h"
#include "compiler/support/ModelWeights.h"
#include "compiler/support/StatusBridge.h"
#include "dialects/llm/StoredFormat.h"
#include "runtime/formats/GgufCopy.h"

#include "llvm/ADT/StringSwitch.h"
#include "llvm/Support/Parallel.h"

using namespace mlir;

namespace llmc {
namespace {

// Rows of a tensor that one weight reads.
struct Part {
  WeightSlice slice;
  std::optional<packing::Moments> moments;
};

struct Plan {
  Format format = Format::F32;
  std::vector<Part> parts;
  std::vector<std::pair<uint32_t, int64_t>> rows; // of the tensor: which part, which row of it
  bool isKept = false;                            // something reads it as it is
};

class Planner {
public:
  Planner(ModuleOp module, const ModelWeights &weights, const ModelMoments *moments) : module(module), weights(weights), moments(moments) {}

  llvm::Expected<std::map<std::string, Plan>> run() {
    for (auto weight : module.getOps<llm::WeightOp>())
      for (int64_t index = 0; index < weight.getWeights().getLayers(); ++index)
        if (llvm::Error error = weight->hasAttr(llm::kStored) ? addEntry(weight, index) : keepEntry(weight, index))
          return std::move(error);
    std::erase_if(plans, [](const auto &plan) { return plan.second.isKept; });
    for (auto &[name, plan] : plans)
      if (llvm::Error error = placeRows(name, plan))
        return std::move(error);
    return std::move(plans);
  }

private:
  llvm::Error keepEntry(llm::WeightOp weight, int64_t index) {
    for (int64_t expert = 0; expert < weight.getExperts(); ++expert)
      plans[weight.sourceName(index, expert)].isKept = true;
    return llvm::Error::success();
  }

  llvm::Error addEntry(llm::WeightOp weight, int64_t index) {
    auto slices = weights.find(weight, index);
    if (!slices)
      return slices.takeError();
    Format format = storageFormat(weight.formatOf(index));
    for (auto [expert, slice] : llvm::enumerate(*slices)) {
      Plan &plan = plans[weight.sourceName(index, expert)];
      if ((!plan.parts.empty() && plan.format != format) || slice.transpose)
        return makeError(ErrorCode::Unsupported, "'" + weight.sourceName(index, expert) + "' is read in parts of several formats, or transposed; " +
                                                     "llmc compile --quantize can do it, a model file can't be written");
      plan.format = format;
      plan.parts.push_back({slice, std::nullopt});
      if (!moments)
        continue;
      auto found = moments->find(weight, index, expert);
      if (!found)
        return found.takeError();
      plan.parts.back().moments = *found;
    }
    return llvm::Error::success();
  }

  llvm::Error placeRows(const std::string &name, Plan &plan) {
    const TensorView *tensor = nullptr;
    for (const auto &file : weights.getFiles())
      if (const TensorView *found = file->find(name))
        tensor = found;
    constexpr auto nowhere = std::numeric_limits<uint32_t>::max();
    int64_t columns = plan.parts[0].slice.columns, bytes = *rowBytes(tensor->format, columns);
    plan.rows.assign(tensor->elements() / columns, {nowhere, 0});
    for (auto [i, part] : llvm::enumerate(plan.parts))
      for (int64_t row = 0; row < part.slice.rows; ++row)
        plan.rows[(part.slice.rowData(row) - tensor->data.data()) / bytes] = {uint32_t(i), row};
    if (llvm::any_of(plan.rows, [](auto row) { return row.first == nowhere; }))
      return makeError(ErrorCode::Unsupported, "'" + name + "': only a part of it is read; a model file can't be written");
    return llvm::Error::success();
  }

  ModuleOp module;
  const ModelWeights &weights;
  const ModelMoments *moments;
  std::map<std::string, Plan> plans;
};

void roundRows(const Plan &plan, int64_t first, int64_t count, std::byte *to) {
  int64_t columns = plan.parts[0].slice.columns, bytes = *rowBytes(plan.format, columns);
  llvm::parallelFor(0, count, [&](size_t i) {
    auto [place, row] = plan.rows[first + i];
    const Part &part = plan.parts[place];
    std::vector<float> values(columns);
    part.slice.decodeRow(row, values);
    packing::quantizeRow(plan.format, values, part.moments ? &*part.moments : nullptr, to + i * bytes);
  });
}

// What llama.cpp calls a file of mostly this: LLAMA_FTYPE_MOSTLY_….
uint32_t fileType(StringRef scheme) {
  return llvm::StringSwitch<uint32_t>(scheme).Case("q8", 7).Case("q6", 18).Case("q5", 17).Case("q4", 2).Case("q4a", 15);
}

} // namespace

llvm::Error quantizeFile(ModuleOp module, const std::string &directory, const std::string &source, const CompileOptions &options,
                         const std::string &output) {
  if (llvm::Error error = quantizeModule(module, options))
    return error;
  auto weights = ModelWeights::open(module, directory, options.allowOutside);
  if (!weights)
    return weights.takeError();
  if ((*weights)->getFiles().size() != 1 || !(*weights)->getFiles()[0]->gguf())
    return makeError(ErrorCode::Unsupported, output + ": a GGUF file can be written of a GGUF file only, yet; " + source +
                                                 " is none; write a library, such as model.so");
  auto moments = ModelMoments::openFor(module, directory, options.allowOutside || !options.calibration.empty());
  if (!moments)
    return moments.takeError();
  auto plans = Planner(module, **weights, moments->get()).run();
  if (!plans)
    return plans.takeError();
  GgufCopy copy{.source = (*weights)->getFiles()[0]->path(), .target = output};
  for (auto &[name, plan] : *plans)
    copy.formats[name] = plan.format;
  copy.numbers = {{"general.file_type", fileType(options.quantize)}, {"general.quantization_version", 2}};
  copy.rows = [&](const TensorView &tensor, int64_t first, int64_t count, std::byte *to) { roundRows(plans->at(tensor.name), first, count, to); };
  if (options.progress)
    copy.progress = [&](double fraction) { options.progress("quantising", fraction); };
  Expected<void> done = copyGguf(copy);
  return done ? llvm::Error::success() : toLlvm(done.error());
}

} // namespace llmc
