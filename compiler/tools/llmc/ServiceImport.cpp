#include "compiler/tools/llmc/ServiceImport.h"

#include "compiler/support/StatusBridge.h"
#include "dialects/llm/LLM.h"
#include "frontends/Import.h"

#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"

using namespace llmc;
using namespace llmc::tools;
namespace sys = llvm::sys;

Error tools::importFailure(llvm::Error error) {
  Error result{ErrorCode::Ok, ""};
  error = llvm::handleErrors(std::move(error), [&](const frontends::ImportError &failure) {
    result = Error{ErrorCode(failure.getExitCode()), failure.message()};
  });
  if (error)
    return fromLlvm(std::move(error));
  return result;
}

bool tools::isTrusted(const std::string &source) { return !llvm::StringRef(source).ends_with(".mlir"); }

Expected<mlir::OwningOpRef<mlir::ModuleOp>> tools::importSource(mlir::MLIRContext &context, const std::string &source,
                                                                const std::string &outputDirectory) {
  auto module = frontends::importModel(context, source, {.outputDirectory = outputDirectory});
  if (!module)
    return std::unexpected(importFailure(module.takeError()));
  return std::move(*module);
}

static llvm::Error failure(const llvm::Twine &path, std::error_code error) {
  return makeError(ErrorCode::InvalidInput, path + ": " + error.message());
}

static bool sameContents(const std::string &a, const std::string &b) {
  auto open = [](const std::string &path) { return llvm::MemoryBuffer::getFile(path, /*IsText=*/false, /*RequiresNullTerminator=*/false); };
  auto first = open(a), second = open(b);
  return first && second && (*first)->getBuffer() == (*second)->getBuffer();
}

// `from` appears as `to`; what is there already must be the same file, or a copy from an earlier import.
static llvm::Error place(const std::string &from, const std::string &to) {
  if (sys::fs::equivalent(from, to))
    return llvm::Error::success();
  if (sys::fs::exists(to) && sameContents(from, to))
    return llvm::Error::success();
  if (sys::fs::exists(to))
    return makeError(ErrorCode::InvalidInput, to + ": is in the way of " + from + "; remove it, or write the module elsewhere");
  llvm::SmallString<256> real; // a link to a link would lead out of the directory
  if (std::error_code error = sys::fs::real_path(from, real))
    return failure(from, error);
  if (!sys::fs::create_hard_link(real, to))
    return llvm::Error::success();
  if (std::error_code error = sys::fs::copy_file(real, to))
    return failure(to, error);
  return llvm::Error::success();
}

// What the tokenizer's reader looks for beside a tokenizer.json or tokenizer.model.
static constexpr const char *tokenizerNeighbours[] = {"tokenizer_config.json", "special_tokens_map.json", "added_tokens.json",
                                                      "generation_config.json", "config.json"};

llvm::Error tools::gatherFiles(mlir::ModuleOp module, llvm::StringRef outputDirectory, llvm::StringRef folder) {
  auto inFolder = [&](llvm::StringRef name) {
    llvm::SmallString<256> path(outputDirectory);
    sys::path::append(path, folder, name);
    return path.str().str();
  };
  if (std::error_code error = sys::fs::create_directories(inFolder("")))
    return failure(inFolder(""), error);
  for (auto asset : module.getOps<llm::AssetOp>()) {
    llvm::SmallString<256> from(asset.getPath());
    sys::path::make_absolute(outputDirectory, from);
    llvm::StringRef name = sys::path::filename(from);
    if (llvm::Error error = place(from.str().str(), inFolder(name)))
      return error;
    if (asset.getKind() == llm::AssetKind::tokenizer && (name.ends_with(".json") || name.ends_with(".model")))
      for (const char *neighbour : tokenizerNeighbours) {
        llvm::SmallString<256> beside(sys::path::parent_path(from));
        sys::path::append(beside, neighbour);
        if (!sys::fs::exists(beside))
          continue;
        if (llvm::Error error = place(beside.str().str(), inFolder(neighbour)))
          return error;
      }
    asset.setPath((folder + "/" + name).str());
  }
  return llvm::Error::success();
}
