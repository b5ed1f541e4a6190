#include "compiler/codegen/DeviceCode.h"

#include "compiler/support/StatusBridge.h"

#include "llvm/IR/Instructions.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/Process.h"
#include "llvm/Support/Program.h"
#include "llvm/Support/raw_ostream.h"

namespace llmc::codegen {

// Functions of math that LLVM has as intrinsics and NVPTX can't select without a libm (sin and cos: only where they may be rough).
static bool needsLibm(llvm::Intrinsic::ID id) {
  switch (id) {
  case llvm::Intrinsic::sin: case llvm::Intrinsic::cos: case llvm::Intrinsic::tan: case llvm::Intrinsic::sincos:
  case llvm::Intrinsic::asin: case llvm::Intrinsic::acos: case llvm::Intrinsic::atan: case llvm::Intrinsic::atan2:
  case llvm::Intrinsic::sinh: case llvm::Intrinsic::cosh: case llvm::Intrinsic::tanh:
  case llvm::Intrinsic::pow: case llvm::Intrinsic::powi: case llvm::Intrinsic::ldexp: case llvm::Intrinsic::frexp:
  case llvm::Intrinsic::exp: case llvm::Intrinsic::exp2: case llvm::Intrinsic::exp10:
  case llvm::Intrinsic::log: case llvm::Intrinsic::log2: case llvm::Intrinsic::log10:
    return true;
  default:
    return false;
  }
}

// "llvm.pow.f64" -> "pow"
static llvm::StringRef plainName(llvm::StringRef name) {
  return name.consume_front("llvm.") ? name.split('.').first : name;
}

static llvm::StringRef callerOf(const llvm::Function &function) {
  for (const llvm::User *user : function.users())
    if (auto *call = llvm::dyn_cast<llvm::CallBase>(user))
      return call->getFunction()->getName();
  return "?";
}

llvm::Error checkDeviceCode(const llvm::Module &module) {
  for (const llvm::Function &function : module) {
    bool isMissing = function.isDeclaration() && (!function.isIntrinsic() || needsLibm(function.getIntrinsicID()));
    if (isMissing && !function.use_empty())
      return makeError(ErrorCode::Unsupported, "cuda: @" + callerOf(function) + " needs " + plainName(function.getName()) +
                                                   ", which GPU code does not have; compile for cpu");
  }
  return llvm::Error::success();
}

std::optional<std::string> findPtxas() {
  if (std::optional<std::string> named = llvm::sys::Process::GetEnv("LLMC_PTXAS"))
    return named->empty() ? std::nullopt : named;
  if (llvm::ErrorOr<std::string> found = llvm::sys::findProgramByName("ptxas"))
    return *found;
  llvm::SmallString<128> cache;
  if (std::optional<std::string> given = llvm::sys::Process::GetEnv("XDG_CACHE_HOME"); given && !given->empty())
    cache = *given;
  else if (llvm::sys::path::home_directory(cache))
    llvm::sys::path::append(cache, ".cache");
  llvm::sys::path::append(cache, "llmc/cuda/nvidia/cuda_nvcc/bin");
  if (llvm::ErrorOr<std::string> found = llvm::sys::findProgramByName("ptxas", {"/usr/local/cuda/bin", cache}))
    return *found;
  return std::nullopt;
}

static llvm::Error writeFile(const llvm::Twine &path, llvm::StringRef contents) {
  std::error_code problem;
  llvm::raw_fd_ostream out(path.str(), problem);
  if (!problem) {
    out << contents;
    out.flush();
    problem = out.error();
    out.clear_error(); // else its destructor ends the process
  }
  return problem ? makeError(ErrorCode::InvalidInput, path + ": can't be written: " + problem.message()) : llvm::Error::success();
}

static std::string contentsOf(const std::string &path) {
  auto buffer = llvm::MemoryBuffer::getFile(path);
  return buffer ? (*buffer)->getBuffer().str() : std::string();
}

llvm::Expected<std::string> assemble(llvm::StringRef ptxas, llvm::StringRef ptx, const Target &target, llvm::StringRef work) {
  std::string base = (work + "/" + target.name).str(), source = base + ".ptx", code = base + ".cubin", said = base + ".said";
  if (llvm::Error error = writeFile(source, ptx))
    return std::move(error);
  std::string architecture = "-arch=" + target.name, message;
  llvm::StringRef arguments[] = {ptxas, architecture, source, "-o", code};
  std::optional<llvm::StringRef> redirects[] = {llvm::StringRef(""), llvm::StringRef(said), llvm::StringRef(said)};
  if (llvm::sys::ExecuteAndWait(ptxas, arguments, std::nullopt, redirects, 0, 0, &message) == 0)
    return contentsOf(code);
  std::string output = contentsOf(said);
  llvm::StringRef first = llvm::StringRef(output).trim().split('\n').first;
  return makeError(ErrorCode::Internal, ptxas + " " + architecture + ": " + (first.empty() ? llvm::StringRef(message) : first));
}

} // namespace llmc::codegen
