// Where models keep their chat templates, and the special tokens that templates name.
#include "runtime/formats/Gguf.h"
#include "runtime/support/Files.h"
#include "runtime/support/Json.h"
#include "runtime/template/ChatTemplates.h"

#include <algorithm>
#include <filesystem>

namespace llmc {
namespace {

namespace fs = std::filesystem;
using Texts = std::map<std::string, std::string, std::less<>>;

constexpr size_t maxFileBytes = size_t(16) << 20;
constexpr size_t maxTemplates = 64;

bool isFile(const fs::path &path) {
  std::error_code ignored;
  return fs::is_regular_file(path, ignored);
}

Expected<Json> readJsonFile(const fs::path &path) {
  if (!isFile(path))
    return Json();
  LLMC_TRY(text, readTextFile(path.string(), maxFileBytes));
  return parseJson(text, path.string());
}

// chat_templates/NAME.jinja
Expected<void> readTemplateFolder(const fs::path &folder, Texts &templates) {
  std::error_code error;
  for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
    if (at->path().extension() != ".jinja" || !isFile(at->path()))
      continue;
    if (templates.size() == maxTemplates)
      return invalidInput(folder.string() + ": want at most " + std::to_string(maxTemplates) + " templates");
    LLMC_TRY(text, readTextFile(at->path().string(), maxFileBytes));
    templates.emplace(at->path().stem().string(), text);
  }
  return {};
}

// "chat_template" of a configuration: one text, or a list of {"name", "template"}.
Expected<void> readMember(const Json &owner, const std::string &path, Texts &templates) {
  const Json *member = jsonMember(owner, "chat_template");
  if (!member)
    return {};
  if (auto text = jsonString(*member)) {
    templates.emplace("default", *text);
    return {};
  }
  if (!member->is_array())
    return invalidInput(path + ": 'chat_template': want a text or a list of named ones");
  for (const Json &item : *member) {
    auto name = jsonString(item, "name"), text = jsonString(item, "template");
    if (!name || !text)
      return invalidInput(path + ": 'chat_template': want \"name\" and \"template\" of each");
    templates.insert_or_assign(std::string(*name), std::string(*text));
  }
  return {};
}

constexpr const char *tokenNames[] = {"bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"};

// A token is a text, or an object whose "content" it is.
void readTokens(const Json &owner, Texts &tokens) {
  for (const char *name : tokenNames) {
    const Json *value = jsonMember(owner, name);
    auto text = !value ? std::nullopt : value->is_object() ? jsonString(*value, "content") : jsonString(*value);
    if (text)
      tokens.emplace(name, *text);
  }
}

} // namespace

Expected<ChatTemplates> ChatTemplates::fromHuggingFace(const std::string &path) {
  std::error_code ignored;
  fs::path directory = fs::is_directory(path, ignored) ? fs::path(path) : fs::path(path).parent_path();
  ChatTemplates read;
  if (fs::path file = directory / "chat_template.jinja"; isFile(file)) {
    LLMC_TRY(text, readTextFile(file.string(), maxFileBytes));
    read.templates.emplace("default", text);
  }
  LLMC_CHECK(readTemplateFolder(directory / "chat_templates", read.templates));
  fs::path configPath = directory / "tokenizer_config.json", processorPath = directory / "chat_template.json";
  LLMC_TRY(config, readJsonFile(configPath));
  if (read.empty()) {
    LLMC_TRY(processor, readJsonFile(processorPath));
    LLMC_CHECK(readMember(processor, processorPath.string(), read.templates));
  }
  if (read.empty())
    LLMC_CHECK(readMember(config, configPath.string(), read.templates));
  readTokens(config, read.tokens);
  LLMC_TRY(map, readJsonFile(directory / "special_tokens_map.json"));
  readTokens(map, read.tokens);
  return read;
}

Expected<ChatTemplates> ChatTemplates::fromFile(const std::string &path) {
  if (path.ends_with(".gguf")) {
    LLMC_TRY(file, Gguf::open(path));
    return fromGguf(*file);
  }
  LLMC_TRY(read, fromHuggingFace(path));
  std::string name = fs::path(path).filename().string();
  if (name == "chat_template.jinja" || name == "chat_template.json" || name == "tokenizer_config.json")
    return std::move(read);
  LLMC_TRY(text, readTextFile(path, maxFileBytes));
  read.replaceBy(std::move(text));
  return std::move(read);
}

Expected<ChatTemplates> ChatTemplates::fromGguf(const Gguf &file) {
  static constexpr std::string_view key = "tokenizer.chat_template";
  static constexpr std::pair<const char *, const char *> ids[] = {
      {"bos_token", "bos"},       {"eos_token", "eos"},     {"unk_token", "unknown"}, {"sep_token", "seperator"},
      {"pad_token", "padding"}, {"cls_token", "cls"}, {"mask_token", "mask"}};
  ChatTemplates read;
  if (auto text = file.getString(key))
    read.templates.emplace("default", *text);
  for (std::string_view name : file.keys())
    if (name.starts_with(std::string(key) + ".") && read.templates.size() < maxTemplates)
      if (auto text = file.getString(name))
        read.templates.emplace(name.substr(key.size() + 1), *text);
  auto pieces = file.getStrings("tokenizer.ggml.tokens");
  for (auto [token, word] : ids) {
    auto id = file.getInt("tokenizer.ggml." + std::string(word) + "_token_id");
    if (pieces && id && *id >= 0 && size_t(*id) < pieces->size())
      read.tokens.emplace(token, (*pieces)[size_t(*id)]);
  }
  return read;
}

} // namespace llmc
