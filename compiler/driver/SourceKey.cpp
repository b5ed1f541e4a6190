#include "compiler/driver/SourceKey.h"

#include "runtime/support/CpuFeatures.h"
#include "runtime/support/Files.h"

#include <algorithm>
#include <cstdio>
#include <dirent.h>
#include <fcntl.h>
#include <memory>
#include <set>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

using namespace llmc;

static std::string realPath(const std::string &path) {
  std::unique_ptr<char, decltype(&free)> real(realpath(path.c_str(), nullptr), &free);
  return real ? real.get() : path;
}

std::string llmc::fileKey(const std::string &path) {
  struct stat info;
  if (stat(path.c_str(), &info) != 0)
    return path + " absent\n";
  return realPath(path) + " " + std::to_string(info.st_dev) + ":" +
         std::to_string(info.st_ino) + " " + std::to_string(info.st_size) + " " + std::to_string(info.st_mtim.tv_sec) + "." +
         std::to_string(info.st_mtim.tv_nsec) + "\n";
}

// Names in a directory, sorted; those that `wanted` accepts.
template <class Predicate> static std::vector<std::string> listFiles(const std::string &directory, Predicate wanted) {
  std::vector<std::string> names;
  std::unique_ptr<DIR, decltype(&closedir)> open(opendir(directory.c_str()), &closedir);
  while (open) {
    const dirent *entry = readdir(open.get());
    if (!entry)
      break;
    if (wanted(std::string_view(entry->d_name)))
      names.push_back(entry->d_name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

// Whatever an importer or the tokenizer may read from a Hugging Face directory.
static bool belongsToCheckpoint(std::string_view name) {
  for (std::string_view ending : {".json", ".safetensors", ".model", ".txt", ".jinja"})
    if (name.ends_with(ending))
      return true;
  return false;
}

static std::string directoryKey(const std::string &directory) {
  std::string key;
  for (const std::string &name : listFiles(directory, belongsToCheckpoint))
    key += fileKey(directory + "/" + name);
  return key;
}

// Every quoted string that names a file: reading the module properly would cost the start of MLIR, and one file too many
// does no harm. A tokenizer.json or tokenizer.model is read together with its neighbours.
static Expected<std::string> moduleKey(const std::string &path) {
  constexpr size_t maxModuleBytes = size_t(64) << 20, maxNameBytes = 4096;
  LLMC_TRY(text, readTextFile(path, maxModuleBytes));
  size_t slash = path.rfind('/');
  std::string directory = slash == std::string::npos ? "." : path.substr(0, slash + 1);
  std::set<std::string> files, directories;
  for (size_t begin = text.find('"'); begin != std::string::npos;) {
    size_t end = text.find('"', begin + 1);
    if (end == std::string::npos)
      break;
    std::string name = text.substr(begin + 1, std::min(end - begin - 1, maxNameBytes));
    std::string file = name.starts_with('/') ? name : directory + "/" + name;
    struct stat info;
    if (!name.empty() && name.find('\0') == std::string::npos && stat(file.c_str(), &info) == 0 && S_ISREG(info.st_mode)) {
      files.insert(file);
      if (file.ends_with(".json") || file.ends_with(".model"))
        directories.insert(file.substr(0, file.rfind('/')));
    }
    begin = text.find('"', end + 1);
  }
  std::string key = fileKey(path);
  for (const std::string &file : files)
    key += fileKey(file);
  for (const std::string &each : directories)
    key += directoryKey(each);
  return key;
}

Expected<std::string> llmc::sourceKey(const std::string &source) {
  struct stat info;
  if (stat(source.c_str(), &info) != 0)
    return invalidInput(source + ": no such file or directory");
  if (S_ISDIR(info.st_mode))
    return realPath(source) + "\n" + directoryKey(source); // not its time: other files may come and go
  if (source.ends_with(".mlir"))
    return moduleKey(source);
  return fileKey(source);
}

std::string llmc::compilerKey(const std::string &directory) {
  std::string key = fileKey("/proc/self/exe");
  for (const std::string &name : listFiles(directory, [](std::string_view name) {
         return name.starts_with("llmc") || name.starts_with("libllmc") || name == "model.map";
       }))
    key += fileKey(directory + "/" + name);
  return key;
}

// The first processor's features, as the kernel spells them: what it does not save (XCR0) is not listed.
std::string llmc::machineKey() {
  std::string text(16384, '\0');
  int file = open("/proc/cpuinfo", O_RDONLY | O_CLOEXEC);
  ssize_t bytes = file < 0 ? 0 : read(file, text.data(), text.size());
  if (file >= 0)
    close(file);
  text.resize(size_t(std::max<ssize_t>(bytes, 0)));
  for (std::string_view name : {"\nflags", "\nFeatures"})
    if (size_t begin = text.find(name); begin != std::string::npos)
      return text.substr(begin + 1, text.find('\n', begin + 1) - begin - 1) + (tilesRefused() ? "\ntiles refused\n" : "\n");
  return "no features known\n";
}
