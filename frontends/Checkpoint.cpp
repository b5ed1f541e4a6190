#include "frontends/Checkpoint.h"

#include "runtime/support/Files.h"
#include "runtime/support/Text.h"

#include "llvm/ADT/SetVector.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FileSystem.h"

#include <set>

using namespace llmc;
using namespace llmc::frontends;

// An index lists every tensor once: the largest published ones have a few megabytes.
static constexpr size_t maxIndexBytes = size_t(64) << 20;
static constexpr size_t maxShards = 4096;

llvm::Error frontends::toError(const Error &error) {
  return llvm::make_error<ImportError>(static_cast<int>(error.code), error.message);
}

// Names in the order of first occurrence.
using NameList = llvm::SetVector<std::string, std::vector<std::string>, std::set<std::string>>;

static llvm::Error invalid(const llvm::Twine &message) { return llvm::make_error<ImportError>(1, message.str()); }

llvm::Error Checkpoint::add(const std::string &path) {
  auto file = TensorFile::open(path);
  if (!file)
    return toError(file.error());
  for (const TensorView &tensor : (*file)->tensors())
    if (!tensors.try_emplace(tensor.name, Entry{&tensor}).second)
      return invalid(path + ": tensor " + quoteText(tensor.name) + " is also in another file of the checkpoint");
  opened.push_back(std::move(*file));
  files.push_back(path);
  return llvm::Error::success();
}

// File names of the index's weight map, each once. They must be plain names: an index may not reach elsewhere.
static llvm::Expected<NameList> shardNames(const std::string &indexPath) {
  auto text = readTextFile(indexPath, maxIndexBytes);
  if (!text)
    return toError(text.error());
  auto index = parseJson(*text, indexPath);
  if (!index)
    return toError(index.error());
  const Json *map = jsonMember(*index, "weight_map");
  if (!map || !map->is_object())
    return invalid(indexPath + ": 'weight_map' is missing");
  NameList names;
  for (const Json &value : *map) {
    std::optional<std::string_view> name = jsonString(value);
    if (!name || name->empty() || llvm::StringRef(*name).contains('/') || name->front() == '.')
      return invalid(indexPath + ": 'weight_map' must name files of this directory");
    names.insert(std::string(*name));
    if (names.size() > maxShards)
      return invalid(indexPath + ": names more than " + llvm::Twine(maxShards) + " files");
  }
  if (names.empty())
    return invalid(indexPath + ": 'weight_map' is empty");
  return names;
}

llvm::Expected<Checkpoint> Checkpoint::openDirectory(const std::string &directory) {
  Checkpoint checkpoint;
  std::string single = directory + "/model.safetensors", index = single + ".index.json";
  if (llvm::sys::fs::exists(single)) {
    if (llvm::Error error = checkpoint.add(single))
      return std::move(error);
    return checkpoint;
  }
  if (!llvm::sys::fs::exists(index))
    return invalid(directory +
                   ": has neither model.safetensors nor model.safetensors.index.json; convert other weights "
                   "with save_pretrained(safe_serialization=True)");
  auto names = shardNames(index);
  if (!names)
    return names.takeError();
  for (const std::string &name : *names)
    if (llvm::Error error = checkpoint.add(directory + "/" + name))
      return std::move(error);
  return checkpoint;
}

llvm::Expected<Checkpoint> Checkpoint::openGguf(const std::string &path) {
  Checkpoint checkpoint;
  if (llvm::Error error = checkpoint.add(path))
    return std::move(error);
  if (!checkpoint.gguf())
    return invalid(path + ": want a GGUF file; for safetensors give the directory that also holds config.json");
  return checkpoint;
}

const TensorView *Checkpoint::use(llvm::StringRef name) {
  auto at = tensors.find(name);
  if (at == tensors.end())
    return nullptr;
  at->second.used = true;
  return at->second.view;
}

// "model.layers.7.mlp.experts.3.x" -> "model.layers.{layer}.mlp.experts.{expert}.x".
static std::string pattern(llvm::StringRef name) {
  llvm::SmallVector<llvm::StringRef> parts;
  name.split(parts, '.');
  llvm::StringRef hole = "{layer}";
  for (llvm::StringRef &part : parts)
    if (!part.empty() && llvm::all_of(part, llvm::isDigit)) {
      part = hole;
      hole = "{expert}";
    }
  return llvm::join(parts, ".");
}

std::vector<std::string> Checkpoint::leftovers(llvm::ArrayRef<llvm::StringRef> ignored) const {
  NameList left;
  for (const std::unique_ptr<TensorFile> &file : opened)
    for (const TensorView &tensor : file->tensors()) {
      auto isIgnored = [&](llvm::StringRef part) {
        llvm::StringRef name = tensor.name;
        return part.consume_back("*") ? name.starts_with(part) : name.ends_with(part);
      };
      if (!tensors.find(tensor.name)->second.used && llvm::none_of(ignored, isIgnored))
        left.insert(pattern(tensor.name));
    }
  return left.takeVector();
}
