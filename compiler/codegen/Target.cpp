#include "compiler/codegen/Target.h"

#include "compiler/support/StatusBridge.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/TargetParser/Host.h"

namespace llmc::codegen {

llvm::ArrayRef<Target> knownTargets() {
  static const Target targets[] = {
      {"x86-64-v4-bf16", "x86-64-v4", "+avx512vnni,+avx512bf16,-prefer-256-bit",
       "avx2 fma f16c bmi2 avx512f avx512bw avx512cd avx512dq avx512vl avx512_vnni avx512_bf16", 512, tile::Dot::vnni, true, 3},
      {"x86-64-v4", "x86-64-v4", "+avx512vnni,-prefer-256-bit",
       "avx2 fma f16c bmi2 avx512f avx512bw avx512cd avx512dq avx512vl avx512_vnni", 512, tile::Dot::vnni, false, 2},
      {"x86-64-v3", "x86-64-v3", "", "avx2 fma f16c bmi2", 256, tile::Dot::avx2, false, 1},
      {"generic", "x86-64", "", "", 128, tile::Dot::portable, false, 0},
  };
  return targets;
}

// LLVM spells some features without the underscore of /proc/cpuinfo.
static bool hostHas(const llvm::StringMap<bool> &host, llvm::StringRef required) {
  llvm::SmallVector<llvm::StringRef> features;
  required.split(features, ' ', -1, /*KeepEmpty=*/false);
  return llvm::all_of(features, [&](llvm::StringRef feature) {
    std::string name = feature.str();
    llvm::erase(name, '_');
    return host.lookup(name);
  });
}

static const Target &hostTarget() {
  llvm::StringMap<bool> host = llvm::sys::getHostCPUFeatures();
  for (const Target &target : knownTargets())
    if (hostHas(host, target.required))
      return target;
  return knownTargets().back();
}

std::string hostTargetName() { return hostTarget().name; }

static llvm::Expected<Target> parseOne(llvm::StringRef name) {
  if (name.starts_with("cuda"))
    return makeError(ErrorCode::Unsupported, "--target " + name + ": GPUs are not supported; targets are cpu, cpu:x86-64-v4-bf16, cpu:x86-64-v4, cpu:x86-64-v3, cpu:generic");
  if (name == "cpu" || name == "cpu:host")
    return hostTarget();
  llvm::StringRef level = name;
  level.consume_front("cpu:");
  for (const Target &target : knownTargets())
    if (level == target.name)
      return target;
  return makeError(ErrorCode::InvalidInput, "--target " + name + ": unknown; targets are cpu, cpu:x86-64-v4-bf16, cpu:x86-64-v4, cpu:x86-64-v3, cpu:generic");
}

llvm::Expected<std::vector<Target>> parseTargets(llvm::ArrayRef<std::string> names) {
  std::vector<Target> targets;
  for (llvm::StringRef list : names) {
    llvm::SmallVector<llvm::StringRef> parts;
    list.split(parts, ',', -1, /*KeepEmpty=*/false);
    for (llvm::StringRef part : parts) {
      llvm::Expected<Target> target = parseOne(part.trim());
      if (!target)
        return target.takeError();
      targets.push_back(*target);
    }
  }
  if (targets.empty())
    targets.push_back(hostTarget());
  llvm::stable_sort(targets, [](const Target &a, const Target &b) { return a.rank > b.rank; });
  targets.erase(std::unique(targets.begin(), targets.end(), [](const Target &a, const Target &b) { return a.rank == b.rank; }), targets.end());
  return targets;
}

} // namespace llmc::codegen
