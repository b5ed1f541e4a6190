// Which importer a source needs, and what lies beside the weights.
#include "frontends/Import.h"

#include "frontends/Builder.h"
#include "frontends/GgufModel.h"
#include "frontends/HuggingFace.h"
#include "frontends/Sentences.h"
#include "frontends/ModuleText.h"
#include "runtime/support/Files.h"
#include "runtime/support/Text.h"

#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/Verifier.h"
#include "mlir/Parser/Parser.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"

using namespace llmc;
using namespace llmc::frontends;
using Module = mlir::OwningOpRef<mlir::ModuleOp>;

// Published configurations have some kilobytes (a tokenizer's, megabytes); the largest IR we write, a few hundred.
static constexpr size_t maxConfigBytes = size_t(16) << 20, maxModuleBytes = size_t(64) << 20;

static llvm::Error failure(int exitCode, const llvm::Twine &message) {
  return llvm::make_error<ImportError>(exitCode, message.str());
}

std::string frontends::moduleDirectory(const std::string &source) {
  if (llvm::sys::fs::is_directory(source))
    return source;
  llvm::StringRef parent = llvm::sys::path::parent_path(source);
  return parent.empty() ? "." : parent.str();
}

//===----------------------------------------------------------------------===//
// Paths
//===----------------------------------------------------------------------===//

// `path` as seen from `base`, by name alone: links are not followed.
static std::string relativePath(llvm::StringRef path, llvm::StringRef base) {
  llvm::SmallString<256> to(path), from(base);
  for (llvm::SmallString<256> *each : {&to, &from}) {
    llvm::sys::fs::make_absolute(*each);
    llvm::sys::path::remove_dots(*each, /*remove_dot_dot=*/true);
  }
  llvm::SmallVector<llvm::StringRef> toParts(llvm::sys::path::begin(to), llvm::sys::path::end(to));
  llvm::SmallVector<llvm::StringRef> fromParts(llvm::sys::path::begin(from), llvm::sys::path::end(from));
  size_t common = 0;
  while (common < toParts.size() && common < fromParts.size() && toParts[common] == fromParts[common])
    ++common;
  llvm::SmallString<256> relative;
  for (size_t i = common; i < fromParts.size(); ++i)
    llvm::sys::path::append(relative, "..");
  for (size_t i = common; i < toParts.size(); ++i)
    llvm::sys::path::append(relative, toParts[i]);
  return relative.str().str();
}

static Asset asset(llm::AssetKind kind, const std::string &path, const std::string &source,
                   const ImportOptions &options) {
  return {kind,
          relativePath(path, options.outputDirectory.empty() ? moduleDirectory(source) : options.outputDirectory)};
}

static llvm::Expected<Module> finished(Module module, const std::string &source) {
  if (mlir::failed(mlir::verify(*module)))
    return failure(2, source + ": the imported module does not verify");
  return module;
}

//===----------------------------------------------------------------------===//
// Hugging Face directories
//===----------------------------------------------------------------------===//

// Older files hold Infinity and NaN as Python prints them; newer ones write {"__float__": "Infinity"}, and so do we.
static std::string withoutBareFloats(llvm::StringRef text) {
  std::string result;
  for (bool inString = false; !text.empty();) {
    llvm::StringRef name = inString                         ? ""
                           : text.starts_with("Infinity")   ? "Infinity"
                           : text.starts_with("-Infinity")  ? "-Infinity"
                           : text.starts_with("NaN")        ? "NaN"
                                                            : "";
    if (!name.empty()) {
      result += "{\"__float__\":\"" + name.str() + "\"}";
      text = text.drop_front(name.size());
      continue;
    }
    size_t taken = inString && text.front() == '\\' ? std::min<size_t>(2, text.size()) : 1;
    inString ^= text.front() == '"';
    result += text.take_front(taken);
    text = text.drop_front(taken);
  }
  return result;
}

static llvm::Expected<Json> readJson(const std::string &path) {
  auto text = readTextFile(path, maxConfigBytes);
  if (!text)
    return toError(text.error());
  auto json = parseJson(withoutBareFloats(*text), path);
  if (!json)
    return toError(json.error());
  return std::move(*json);
}

// Older checkpoints keep the chat template within the tokenizer's or the processor's configuration.
static bool holdsTemplate(const std::string &path) {
  if (!llvm::sys::fs::is_regular_file(path))
    return false;
  llvm::Expected<Json> json = readJson(path);
  if (json)
    return jsonMember(*json, "chat_template") != nullptr;
  llvm::consumeError(json.takeError()); // whoever needs the file complains
  return false;
}

static std::vector<Asset> directoryAssets(const std::string &directory, const Checkpoint &checkpoint,
                                          const ImportOptions &options) {
  std::vector<Asset> assets;
  for (const std::string &path : checkpoint.paths())
    assets.push_back(asset(llm::AssetKind::weights, path, directory, options));
  auto add = [&](llm::AssetKind kind, const char *name) {
    std::string path = directory + "/" + name;
    bool there = llvm::sys::fs::is_regular_file(path);
    if (there)
      assets.push_back(asset(kind, path, directory, options));
    return there;
  };
  for (const char *name : {"tokenizer.json", "tokenizer.model", "spiece.model"})
    if (add(llm::AssetKind::tokenizer, name))
      break;
  if (!add(llm::AssetKind::chat_template, "chat_template.jinja"))
    for (const char *name : {"chat_template.json", "tokenizer_config.json"})
      if (holdsTemplate(directory + "/" + name) && add(llm::AssetKind::chat_template, name))
        break;
  add(llm::AssetKind::generation_config, "generation_config.json");
  return assets;
}

// generation_config.json has the last word on where a text ends.
static llvm::Error readGenerationConfig(const std::string &directory, Model &model) {
  std::string path = directory + "/generation_config.json";
  if (!llvm::sys::fs::exists(path))
    return llvm::Error::success();
  llvm::Expected<Json> json = readJson(path);
  if (!json)
    return json.takeError();
  if (std::vector<int64_t> eos = readTokenIds(*json, "eos_token_id"); !eos.empty())
    model.eos = eos;
  return llvm::Error::success();
}

static std::string familyList(bool gguf) {
  std::string list;
  for (const Family *family : families())
    for (llvm::StringRef name : gguf ? family->architectures : family->modelTypes)
      list += (list.empty() ? "" : ", ") + name.str();
  return list;
}

static llvm::Expected<Module> importDirectory(mlir::MLIRContext &context, const std::string &directory,
                                              const ImportOptions &options) {
  llvm::Expected<Json> json = readJson(directory + "/config.json");
  if (!json)
    return json.takeError();
  std::string type(jsonString(*json, "model_type").value_or(""));
  if (type.empty())
    return failure(1, directory + "/config.json: 'model_type' is missing");
  const Family *family = findModelType(type);
  if (!family)
    return failure(3, directory + ": not supported: model_type " + quoteText(type) +
                          " (there are: " + familyList(false) + ")");

  Report report;
  Model model = readConfig(context, *family, *json, report);
  if (llvm::Error error = report.take(directory))
    return std::move(error);
  if (llvm::Error error = readGenerationConfig(directory, model))
    return std::move(error);
  llvm::Expected<Checkpoint> checkpoint = Checkpoint::openDirectory(directory);
  if (!checkpoint)
    return checkpoint.takeError();
  Module module = buildModule(context, model, *checkpoint, directoryAssets(directory, *checkpoint, options), report);
  if (llvm::Error error = report.take(directory))
    return std::move(error);
  if (llvm::Error error = readSentences(directory, *module))
    return std::move(error);
  return finished(std::move(module), directory);
}

//===----------------------------------------------------------------------===//
// GGUF files
//===----------------------------------------------------------------------===//

static llvm::Expected<Module> importGguf(mlir::MLIRContext &context, const std::string &path,
                                         const ImportOptions &options) {
  llvm::Expected<Checkpoint> checkpoint = Checkpoint::openGguf(path);
  if (!checkpoint)
    return checkpoint.takeError();
  const Gguf &gguf = *checkpoint->gguf();
  std::string architecture(gguf.getString("general.architecture").value_or(""));
  if (architecture.empty())
    return failure(1, path + ": metadata 'general.architecture' is missing");
  bool experts = gguf.getInt(architecture + ".expert_count").value_or(0) > 0;
  const Family *family = findArchitecture(architecture, experts);
  if (!family)
    return failure(3, path + ": not supported: architecture " + quoteText(architecture) +
                          " (there are: " + familyList(true) + ")");

  Report report;
  Model model = readGguf(context, *family, *checkpoint, report);
  if (llvm::Error error = report.take(path))
    return std::move(error);
  std::vector<Asset> assets{asset(llm::AssetKind::weights, path, path, options)};
  if (gguf.getStrings("tokenizer.ggml.tokens"))
    assets.push_back({llm::AssetKind::tokenizer, assets[0].path});
  if (gguf.getString("tokenizer.chat_template"))
    assets.push_back({llm::AssetKind::chat_template, assets[0].path});
  Module module = buildModule(context, model, *checkpoint, assets, report);
  if (llvm::Error error = report.take(path))
    return std::move(error);
  return finished(std::move(module), path);
}

//===----------------------------------------------------------------------===//
// Modules
//===----------------------------------------------------------------------===//

static llvm::Expected<Module> importModule(mlir::MLIRContext &context, const std::string &path) {
  auto text = readTextFile(path, maxModuleBytes);
  if (!text)
    return toError(text.error());
  return parseModule(context, *text, path);
}

llvm::Expected<Module> frontends::importModel(mlir::MLIRContext &context, const std::string &source,
                                              const ImportOptions &options) {
  context.loadDialect<llm::LLMDialect, mlir::func::FuncDialect>();
  if (!llvm::sys::fs::exists(source))
    return failure(1, source + ": no such file or directory");
  if (llvm::sys::fs::is_directory(source))
    return importDirectory(context, source, options);
  if (llvm::StringRef(source).ends_with(".mlir"))
    return importModule(context, source);
  return importGguf(context, source, options);
}
