#include "frontends/families/Families.h"

using namespace llmc::frontends;

llvm::ArrayRef<const Family *> llmc::frontends::families() {
  static const Family *const all[] = {&llama, &mistral, &qwen2, &gemma3, &qwen3, &gpt2};
  return all;
}

const TensorName *llmc::frontends::findTensor(const Family &family, llvm::StringRef role, bool gguf) {
  for (llvm::ArrayRef<TensorName> table : {family.ownTensors, family.tensors})
    for (const TensorName &name : table)
      if (name.role == role)
        return (gguf ? name.gguf : name.huggingFace).empty() ? nullptr : &name;
  return nullptr;
}

const Family *llmc::frontends::findModelType(llvm::StringRef modelType) {
  for (const Family *family : families())
    if (llvm::is_contained(family->modelTypes, modelType))
      return family;
  return nullptr;
}

const Family *llmc::frontends::findArchitecture(llvm::StringRef architecture) {
  for (const Family *family : families())
    if (llvm::is_contained(family->architectures, architecture))
      return family;
  return nullptr;
}
