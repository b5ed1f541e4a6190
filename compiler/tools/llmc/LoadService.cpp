#include "compiler/tools/llmc/Service.h"

#include <dlfcn.h>
#include <unistd.h>

using namespace llmc;
using namespace llmc::tools;

std::string tools::libraryDirectory() {
  char path[4096];
  ssize_t bytes = readlink("/proc/self/exe", path, sizeof path);
  if (bytes <= 0 || bytes == ssize_t(sizeof path))
    return "";
  std::string program(path, size_t(bytes));
  return program.substr(0, program.rfind('/')) + "/../lib";
}

Expected<Service *> tools::loadService() {
  static Service *service = nullptr;
  if (service)
    return service;
  std::string path = libraryDirectory() + "/llmc-service.so";
  void *library = dlopen(path.c_str(), RTLD_NOW | RTLD_GLOBAL); // global: pass plug-ins find LLVM's symbols in it
  auto entry = library ? reinterpret_cast<Service *(*)()>(dlsym(library, "llmc_tools_service")) : nullptr;
  if (!entry) {
    const char *reason = dlerror();
    return internalError("the compile side can't be loaded: " + std::string(reason ? reason : path));
  }
  return service = entry();
}
