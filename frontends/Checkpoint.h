// The weight files of one model: tensors by name across all of them, and which of them a module has used.
#pragma once

#include "frontends/Report.h"
#include "runtime/formats/Gguf.h"
#include "runtime/support/Json.h"

#include "llvm/ADT/StringMap.h"

#include <memory>

namespace llmc::frontends {

// Converts an error of the runtime, keeping its exit status.
llvm::Error toError(const Error &error);

class Checkpoint {
public:
  // A Hugging Face directory: the shards that model.safetensors.index.json names, or model.safetensors.
  // Errors: exit 1 if files are missing, malformed, or name one tensor twice; 3 for formats that we lack.
  static llvm::Expected<Checkpoint> openDirectory(const std::string &directory);
  static llvm::Expected<Checkpoint> openGguf(const std::string &path);

  // Paths as opened, in the order of the index.
  llvm::ArrayRef<std::string> paths() const { return files; }
  const Gguf *gguf() const { return opened.front()->gguf(); }

  bool contains(llvm::StringRef name) const { return tensors.contains(name); }
  // The tensor, noted as used; null if absent.
  const TensorView *use(llvm::StringRef name);
  // Names of tensors that nothing has used, layer numbers replaced by {layer}, each pattern once, in order of the
  // files. `ignored` as Family::ignoredTensors.
  std::vector<std::string> leftovers(llvm::ArrayRef<llvm::StringRef> ignored) const;

private:
  struct Entry {
    const TensorView *view;
    bool used = false;
  };
  llvm::Error add(const std::string &path);

  std::vector<std::string> files;
  std::vector<std::unique_ptr<TensorFile>> opened;
  llvm::StringMap<Entry> tensors;
};

} // namespace llmc::frontends
