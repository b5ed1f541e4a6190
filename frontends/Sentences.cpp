// Source: sentence-transformers 5, models/Pooling.py, models/Normalize.py.
#include "frontends/Sentences.h"

#include "frontends/Checkpoint.h"
#include "runtime/support/Files.h"
#include "runtime/support/Json.h"
#include "runtime/support/Text.h"

#include "mlir/IR/Builders.h"
#include "llvm/Support/FileSystem.h"

using namespace llmc;
using namespace llmc::frontends;

static llvm::Error refuse(ErrorCode code, const llvm::Twine &what) { return toError(Error{code, what.str()}); }

static llvm::Expected<Json> readFile(const std::string &path) {
  constexpr size_t maxBytes = size_t(1) << 20;
  auto text = readTextFile(path, maxBytes);
  if (!text)
    return toError(text.error());
  auto json = parseJson(*text, path);
  if (!json)
    return toError(json.error());
  return std::move(*json);
}

// The one mode that is on, by our name for it.
static llvm::Expected<std::string> poolingMode(const std::string &path) {
  llvm::Expected<Json> json = readFile(path);
  if (!json)
    return json.takeError();
  static constexpr std::pair<std::string_view, std::string_view> modes[] = {
      {"pooling_mode_mean_tokens", "mean"}, {"pooling_mode_cls_token", "cls"}, {"pooling_mode_max_tokens", "max"}, {"pooling_mode_lasttoken", "last"}};
  std::string chosen;
  for (auto [key, name] : modes)
    if (jsonBool(*json, key).value_or(false)) {
      if (!chosen.empty())
        return refuse(ErrorCode::Unsupported, path + ": several poolings at once, " + chosen + " and " + std::string(name));
      chosen = name;
    }
  if (std::optional<std::string_view> mode = jsonString(*json, "pooling_mode"); mode && chosen.empty())
    chosen = *mode == "lasttoken" ? "last" : *mode;
  bool known = llvm::any_of(modes, [&](auto mode) { return mode.second == chosen; });
  if (!known)
    return refuse(ErrorCode::Unsupported, path + ": want pooling by mean, cls, max or last token");
  return chosen;
}

llvm::Error frontends::readSentences(const std::string &directory, mlir::ModuleOp module) {
  std::string path = directory + "/modules.json";
  if (!llvm::sys::fs::is_regular_file(path))
    return llvm::Error::success();
  llvm::Expected<Json> json = readFile(path);
  if (!json)
    return json.takeError();
  if (!json->is_array())
    return refuse(ErrorCode::InvalidInput, path + ": want a JSON list of modules");
  mlir::Builder builder(module.getContext());
  for (const Json &part : *json) {
    llvm::StringRef type(jsonString(part, "type").value_or("")), folder(jsonString(part, "path").value_or(""));
    if (type.ends_with(".Transformer"))
      continue;
    if (folder.contains('/') || folder.contains(".."))
      return refuse(ErrorCode::InvalidInput, path + ": " + quoteText(folder.str()) + ": want a folder beside it");
    if (type.ends_with(".Normalize")) {
      module->setAttr("llm.normalize", builder.getUnitAttr());
    } else if (type.ends_with(".Pooling")) {
      llvm::Expected<std::string> mode = poolingMode((directory + "/" + folder + "/config.json").str());
      if (!mode)
        return mode.takeError();
      module->setAttr("llm.pooling", builder.getStringAttr(*mode));
    } else {
      return refuse(ErrorCode::Unsupported, path + ": not supported: module " + quoteText(type.str()));
    }
  }
  std::string limits = directory + "/sentence_bert_config.json";
  if (!llvm::sys::fs::is_regular_file(limits))
    return llvm::Error::success();
  llvm::Expected<Json> config = readFile(limits);
  if (!config)
    return config.takeError();
  if (std::optional<int64_t> most = jsonInt(*config, "max_seq_length"); most && *most > 0)
    module->setAttr("llm.max_text", builder.getI64IntegerAttr(*most));
  return llvm::Error::success();
}
