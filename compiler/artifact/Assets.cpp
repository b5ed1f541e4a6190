#include "compiler/artifact/Assets.h"

#include "compiler/support/ModelFiles.h"
#include "compiler/support/StatusBridge.h"
#include "dialects/llm/LLM.h"
#include "runtime/formats/Gguf.h"
#include "runtime/support/Files.h"
#include "runtime/template/ChatTemplates.h"
#include "runtime/tokenizer/Tokenizer.h"

namespace llmc::artifact {
namespace {

constexpr size_t kMaxTextBytes = 16 << 20;

// The GGUF file at `path`; null if it is another kind of file.
llvm::Expected<std::unique_ptr<Gguf>> asGguf(const std::string &path) {
  if (!llvm::StringRef(path).ends_with(".gguf"))
    return std::unique_ptr<Gguf>();
  return toLlvm(Gguf::open(path));
}

llvm::Expected<Tokenizer> tokenizer(const std::string &path) {
  auto gguf = asGguf(path);
  if (!gguf)
    return gguf.takeError();
  return toLlvm(*gguf ? Tokenizer::fromGguf(**gguf) : Tokenizer::fromHuggingFace(path));
}

llvm::Expected<std::string> blob(const std::string &path) {
  auto opened = tokenizer(path);
  if (!opened)
    return opened.takeError();
  return opened->toBlob();
}

llvm::Expected<std::string> chatTemplates(const std::string &path) {
  auto templates = toLlvm(ChatTemplates::fromFile(path));
  if (!templates)
    return templates.takeError();
  return templates->toBlob();
}

llvm::Expected<std::string> contentsOf(llm::AssetKind kind, const std::string &path) {
  switch (kind) {
  case llm::AssetKind::tokenizer:
    return blob(path);
  case llm::AssetKind::chat_template:
    return chatTemplates(path);
  default:
    return toLlvm(readTextFile(path, kMaxTextBytes));
  }
}

} // namespace

llvm::Expected<std::vector<std::pair<std::string, std::string>>> readAssets(mlir::ModuleOp module, const std::string &directory,
                                                                             bool allowOutside) {
  std::vector<std::pair<std::string, std::string>> assets;
  for (auto asset : module.getOps<llm::AssetOp>()) {
    if (asset.getKind() == llm::AssetKind::weights)
      continue;
    auto path = resolveAsset(directory, asset.getPath(), allowOutside);
    if (!path)
      return path.takeError();
    auto contents = contentsOf(asset.getKind(), *path);
    if (!contents)
      return contents.takeError();
    assets.emplace_back(llm::stringifyAssetKind(asset.getKind()).str(), std::move(*contents));
  }
  return assets;
}

llvm::Expected<Tokenizer> openTokenizer(mlir::ModuleOp module, const std::string &directory, bool allowOutside) {
  for (auto asset : module.getOps<llm::AssetOp>()) {
    if (asset.getKind() != llm::AssetKind::tokenizer)
      continue;
    auto path = resolveAsset(directory, asset.getPath(), allowOutside);
    if (!path)
      return path.takeError();
    return tokenizer(*path);
  }
  return makeError(ErrorCode::InvalidInput, "the source names no tokenizer, and a text needs one");
}

} // namespace llmc::artifact
