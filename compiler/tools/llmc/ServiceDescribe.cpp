#include "compiler/tools/llmc/ServiceDescribe.h"

#include "compiler/support/ModelWeights.h"
#include "dialects/llm/LLM.h"
#include "runtime/support/CheckedMath.h"

#include "llvm/Support/JSON.h"
#include "llvm/Support/raw_ostream.h"

#include <map>

using namespace llmc;
using namespace llmc::tools;

namespace {

struct WeightSummary {
  int64_t parameters = 0, bytes = 0;
  std::map<std::string, int64_t> formats; // layers of each
};

// Shapes come from a file: a number that overflows is reported as the largest.
int64_t product(int64_t a, int64_t b) { return checkedMul(a, b).value_or(std::numeric_limits<int64_t>::max()); }
void accumulate(int64_t &sum, int64_t value) { sum = checkedAdd(sum, value).value_or(std::numeric_limits<int64_t>::max()); }

WeightSummary summarize(llm::WeightOp weight) {
  WeightSummary summary;
  llm::WeightsType type = weight.getWeights();
  int64_t elements = 1;
  for (int64_t dim : type.getShape())
    elements = product(elements, dim);
  std::map<std::string, int64_t> &formats = summary.formats;
  for (int64_t layer = 0; layer < type.getLayers(); ++layer) {
    Format format = storageFormat(weight.formatOf(layer));
    formats[std::string(formatInfo(format).name)] += 1;
    std::vector<int64_t> shape(type.getShape().begin(), type.getShape().end());
    Expected<int64_t> bytes = tensorBytes(format, shape);
    accumulate(summary.bytes, bytes ? *bytes : 0);
    accumulate(summary.parameters, elements);
  }
  return summary;
}

// Those that share a tensor of the file (a tied head) count once.
void describeWeights(mlir::ModuleOp module, llvm::json::OStream &json) {
  int64_t parameters = 0, bytes = 0;
  json.attributeArray("weights", [&] {
    std::map<std::string, bool> seen;
    for (auto weight : module.getOps<llm::WeightOp>()) {
      WeightSummary summary = summarize(weight);
      std::string source = weight.getNames() ? weight.sourceName(0) : weight.getSource().str();
      bool isOwn = weight.getRows() || weight.getValues();
      if (isOwn || seen.try_emplace(source, true).second) {
        accumulate(parameters, summary.parameters);
        accumulate(bytes, summary.bytes);
      }
      json.object([&] {
        json.attribute("name", weight.getSymName());
        json.attribute("source", source);
        json.attribute("layers", weight.getWeights().getLayers());
        json.attributeArray("shape", [&] {
          for (int64_t dim : weight.getWeights().getShape())
            json.value(dim);
        });
        json.attributeObject("formats", [&] {
          for (const auto &[format, layers] : summary.formats)
            json.attribute(format, layers);
        });
        json.attribute("bytes", summary.bytes);
      });
    }
  });
  json.attribute("parameters", parameters);
  json.attribute("weight_bytes", bytes);
}

std::string text(mlir::Type type) {
  std::string result;
  llvm::raw_string_ostream(result) << type;
  return result;
}

void describeStates(mlir::ModuleOp module, llvm::json::OStream &json) {
  json.attributeArray("states", [&] {
    for (auto state : module.getOps<llm::StateOp>())
      json.object([&] {
        json.attribute("name", state.getSymName());
        json.attribute("type", text(state.getType()));
        auto type = llvm::cast<llm::StateTypeInterface>(state.getType());
        json.attribute("layers", type.getStateLayers());
        json.attribute("bytes_per_position", product(type.getPositionBytes(), type.getStateLayers()));
        json.attribute("fixed_bytes", product(type.getFixedBytes(), type.getStateLayers()));
      });
  });
}

// llm.family, llm.vocab, llm.context, …
void describeAttributes(mlir::ModuleOp module, llvm::json::OStream &json) {
  for (mlir::NamedAttribute attribute : module->getAttrs()) {
    llvm::StringRef name = attribute.getName().strref();
    if (!name.consume_front("llm."))
      continue;
    if (auto string = llvm::dyn_cast<mlir::StringAttr>(attribute.getValue()))
      json.attribute(name, llvm::json::fixUTF8(string.getValue()));
    else if (auto integer = llvm::dyn_cast<mlir::IntegerAttr>(attribute.getValue());
             integer && integer.getValue().getSignificantBits() <= 64)
      json.attribute(name, integer.getValue().getSExtValue());
    else if (auto list = llvm::dyn_cast<mlir::DenseI64ArrayAttr>(attribute.getValue()))
      json.attributeArray(name, [&] {
        for (int64_t value : list.asArrayRef())
          json.value(value);
      });
  }
}

} // namespace

std::string tools::describeModule(mlir::ModuleOp module) {
  std::string result;
  llvm::raw_string_ostream os(result);
  llvm::json::OStream json(os);
  json.object([&] {
    describeAttributes(module, json);
    describeWeights(module, json);
    describeStates(module, json);
    json.attributeArray("assets", [&] {
      for (auto asset : module.getOps<llm::AssetOp>())
        json.object([&] {
          json.attribute("kind", llm::stringifyAssetKind(asset.getKind()));
          json.attribute("path", llvm::json::fixUTF8(asset.getPath()));
        });
    });
    int64_t operations = 0;
    module->walk([&](mlir::Operation *) { ++operations; });
    json.attribute("operations", operations);
  });
  return result;
}
