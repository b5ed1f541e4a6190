// The link line is the one that runtime/abi/CMakeLists.txt explains.
#include "compiler/codegen/Link.h"

#include "compiler/support/StatusBridge.h"

#include "lld/Common/Driver.h"
#include "llvm/ADT/SmallString.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/raw_ostream.h"

#include <dlfcn.h>
#include <link.h>
#include <mutex>
#include <vector>

LLD_HAS_DRIVER(elf)

namespace llmc::codegen {

// Paths of the loaded objects whose names begin with one of `names`, in the order of `names`.
static std::vector<std::string> loadedLibraries(llvm::ArrayRef<llvm::StringRef> names) {
  std::vector<std::string> loaded;
  dl_iterate_phdr(
      [](dl_phdr_info *info, size_t, void *to) {
        static_cast<std::vector<std::string> *>(to)->push_back(info->dlpi_name);
        return 0;
      },
      &loaded);
  std::vector<std::string> found;
  for (llvm::StringRef name : names)
    for (const std::string &path : loaded)
      if (llvm::sys::path::filename(path).starts_with(name)) {
        found.push_back(path);
        break;
      }
  return found;
}

// The directory of this library: llmc-core.o and model.map lie beside it.
static std::string libraryDirectory() {
  Dl_info info;
  if (!dladdr(reinterpret_cast<void *>(&libraryDirectory), &info) || !info.dli_fname)
    return ".";
  llvm::SmallString<256> path;
  if (llvm::sys::fs::real_path(info.dli_fname, path))
    path = info.dli_fname;
  return llvm::sys::path::parent_path(path).str();
}

llvm::Error linkModel(llvm::ArrayRef<std::string> objectFiles, const std::string &output, llvm::StringRef soname) {
  std::string directory = libraryDirectory(), core = directory + "/llmc-core.o", map = directory + "/model.map";
  for (const std::string &file : {core, map})
    if (!llvm::sys::fs::exists(file))
      return makeError(ErrorCode::Internal, file + ": missing; the installation is incomplete");
  std::vector<std::string> arguments = {"ld.lld", "-shared", "-o", output, "-soname", soname.str(), "--version-script=" + map, "--gc-sections",
                                        "--eh-frame-hdr", "--hash-style=gnu", "--build-id", "-z", "now", "-z", "defs", "--as-needed"};
  arguments.insert(arguments.end(), objectFiles.begin(), objectFiles.end());
  arguments.push_back(core);
  for (std::string &library : loadedLibraries({"libstdc++.so", "libm.so", "libgcc_s.so", "libc.so", "ld-linux"}))
    arguments.push_back(library);
  std::vector<const char *> pointers;
  for (std::string &argument : arguments)
    pointers.push_back(argument.c_str());

  static std::mutex oneAtATime; // lld keeps state in globals
  std::lock_guard<std::mutex> lock(oneAtATime);
  std::string said;
  llvm::raw_string_ostream out(said);
  lld::Result result = lld::lldMain(pointers, out, out, {{lld::Gnu, &lld::elf::link}});
  if (result.retCode != 0)
    return makeError(ErrorCode::Internal, "linking " + output + ": " + said);
  return llvm::Error::success();
}

} // namespace llmc::codegen
