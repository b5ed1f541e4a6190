#include "runtime/cuda/Driver.h"

#include <dlfcn.h>

namespace llmc {
namespace {

constexpr const char *libraryName = "libcuda.so.1";

const char *advice(cuda::Result result) {
  switch (result) {
  case cuda::kOutOfMemory:
    return ": a smaller context (-c) or fewer slots take less";
  case cuda::kNoDevice:
    return ": run with --device cpu";
  case cuda::kNoBinaryForGpu:
  case cuda::kInvalidPtx:
  case cuda::kUnsupportedPtxVersion:
    return ": update the GPU's driver, or run with --device cpu";
  default:
    return ": run with --device cpu, and report this";
  }
}

ErrorCode codeOf(cuda::Result result) {
  switch (result) {
  case cuda::kOutOfMemory:
  case cuda::kNoDevice:
    return ErrorCode::InvalidInput;
  case cuda::kNoBinaryForGpu:
  case cuda::kInvalidPtx:
  case cuda::kUnsupportedPtxVersion:
    return ErrorCode::Unsupported;
  default:
    return ErrorCode::Internal;
  }
}

Expected<Driver> initialised() {
  LLMC_TRY(driver, Driver::load(libraryName));
  LLMC_CHECK(driver.check("cuInit", driver.init(0)));
  LLMC_CHECK(driver.check("cuDriverGetVersion", driver.driverGetVersion(&driver.version)));
  return driver;
}

} // namespace

Expected<Driver> Driver::load(const char *library) {
  void *handle = ::dlopen(library, RTLD_NOW | RTLD_LOCAL); // stays: drivers do not take well to being closed
  if (!handle)
    return invalidInput(std::string(library) + " (the GPU's driver) is not installed");
  Driver driver{};
#define LLMC_LOAD(name, parameters, symbol)                                                                            \
  driver.name = reinterpret_cast<cuda::Result(*) parameters>(::dlsym(handle, symbol));                                 \
  if (!driver.name)                                                                                                    \
    return unsupported(std::string(library) + " has no " symbol ": the GPU's driver is older than CUDA 11.4; update it");
  LLMC_CUDA_FUNCTIONS(LLMC_LOAD)
#undef LLMC_LOAD
  return driver;
}

Expected<const Driver *> Driver::open() {
  static const Expected<Driver> driver = initialised();
  if (!driver)
    return std::unexpected(driver.error());
  return &*driver;
}

Expected<void> Driver::check(const char *call, cuda::Result result) const {
  if (result == 0)
    return {};
  const char *name = nullptr, *text = nullptr;
  getErrorName(result, &name);
  getErrorString(result, &text);
  std::string message = std::string(call) + ": " + (name ? name : "error " + std::to_string(result));
  if (text)
    message += " (" + std::string(text) + ")";
  return std::unexpected(Error{codeOf(result), message + advice(result)});
}

} // namespace llmc
