#include "frontends/Report.h"
#include "frontends/families/Families.h"

#include "llvm/ADT/StringSet.h"
#include "llvm/Support/DynamicLibrary.h"

using namespace llmc::frontends;

static std::vector<const Family *> &registry() {
  static std::vector<const Family *> all = {
      &llama, &mistral, &qwen2,
      &bloom,
      &cohere,
      &falcon,
      &gemma, &gemma2, &gemma3,
      &gptJ, &gptNeo, &gptNeoX,
      &granite,
      &mpt,
      &olmo, &olmo2,
      &opt,
      &phi, &phi3,
      &smolLM3,
      &stableLM,
      &starCoder2,
      &qwen3,
      &gpt2,
      &bert,
      &roberta,
      &electra,
      &ernie,
      &distilBert,
      &modernBert,
      &t5,
      &bart,
      &mixtral, &qwen2Moe, &qwen3Moe, &olmoe, &gptOss, &deepseekV2, &deepseekV3,
      &bamba,
      &graniteHybrid,
      &jamba,
      &lfm2,
      &mamba1, &falconMamba, &mamba2Alone,
      &nemotronH,
      &qwen3Next,
      &recurrentGemma,
      &rwkv,
      &zamba2,
  };
  return all;
}

llvm::ArrayRef<const Family *> llmc::frontends::families() { return registry(); }

RegisterFamily::RegisterFamily(const Family &family) { registry().insert(registry().begin(), &family); }

llvm::Error llmc::frontends::loadFamilies(llvm::ArrayRef<std::string> libraries) {
  for (const std::string &library : libraries) {
    size_t before = registry().size();
    std::string problem;
    static llvm::StringSet<> loaded;
    if (!loaded.insert(library).second)
      continue;
    if (llvm::sys::DynamicLibrary::LoadLibraryPermanently(library.c_str(), &problem))
      return llvm::make_error<ImportError>(1, library + ": " + problem);
    if (registry().size() == before)
      return llvm::make_error<ImportError>(1, library + ": registers no model family");
  }
  return llvm::Error::success();
}

const TensorName *llmc::frontends::findTensor(const Family &family, llvm::StringRef role, bool gguf,
                                              llvm::function_ref<bool(const TensorName &)> isThere) {
  const TensorName *first = nullptr;
  for (llvm::ArrayRef<TensorName> table : {family.ownTensors, family.tensors}) {
    for (const TensorName &name : table) {
      if (name.role != role || (gguf ? name.gguf : name.huggingFace).empty())
        continue;
      if (!isThere || isThere(name))
        return &name;
      first = first ? first : &name;
    }
    if (llvm::any_of(table, [&](const TensorName &name) { return name.role == role; }))
      return first; // the family's own rows replace those that it shares
  }
  return nullptr;
}

const Family *llmc::frontends::findModelType(llvm::StringRef modelType) {
  for (const Family *family : families())
    if (llvm::is_contained(family->modelTypes, modelType))
      return family;
  return nullptr;
}

bool llmc::frontends::hasExperts(const Family &family) { return !family.experts.count.name.empty(); }

const Family *llmc::frontends::findArchitecture(llvm::StringRef architecture, bool experts) {
  const Family *found = nullptr;
  for (const Family *family : families())
    if (llvm::is_contained(family->architectures, architecture) && (!found || hasExperts(*family) == experts))
      found = family;
  return found;
}
