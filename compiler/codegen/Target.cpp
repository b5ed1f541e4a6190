#include "compiler/codegen/Target.h"

#include "compiler/support/StatusBridge.h"
#include "runtime/support/CpuFeatures.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringExtras.h"

namespace llmc::codegen {

llvm::ArrayRef<Target> knownTargets() {
  constexpr tile::Tiles none = tile::Tiles::none;
  static const Target targets[] = {
      {"x86-64-v4-amx", "x86-64-v4", "+avx512vnni,+avx512bf16,+amx-tile,+amx-bf16,+amx-int8,-prefer-256-bit",
       "avx2 fma f16c bmi2 avx512f avx512bw avx512cd avx512dq avx512vl avx512_vnni avx512_bf16 amx_tile amx_bf16 amx_int8", 512,
       tile::Dot::vnni, true, tile::Tiles::amx, 4},
      {"x86-64-v4-bf16", "x86-64-v4", "+avx512vnni,+avx512bf16,-prefer-256-bit",
       "avx2 fma f16c bmi2 avx512f avx512bw avx512cd avx512dq avx512vl avx512_vnni avx512_bf16", 512, tile::Dot::vnni, true, none, 3},
      {"x86-64-v4", "x86-64-v4", "+avx512vnni,-prefer-256-bit",
       "avx2 fma f16c bmi2 avx512f avx512bw avx512cd avx512dq avx512vl avx512_vnni", 512, tile::Dot::vnni, false, none, 2},
      {"x86-64-v3", "x86-64-v3", "", "avx2 fma f16c bmi2", 256, tile::Dot::avx2, false, none, 1},
      {"generic", "x86-64", "", "", 128, tile::Dot::portable, false, none, 0},
  };
  return targets;
}

// What x86-64-v4-amx runs on machines that have all of it but the tiles. For tests: it is slow.
static const Target &emulatedTarget() {
  static const Target target = [] {
    Target amx = knownTargets().front(), target = knownTargets()[1];
    target.name = amx.name + "-emulated";
    target.tiles = tile::Tiles::emulated;
    target.rank = -1; // never the best of several
    return target;
  }();
  return target;
}

std::string targetNames() {
  std::string names = "cpu";
  for (const Target &target : knownTargets())
    names += ", cpu:" + target.name;
  return names;
}

// As the loader asks, which also asks the system for leave to use tiles.
static const Target &hostTarget() {
  for (const Target &target : knownTargets())
    if (missingCpuFeatures(target.required).empty())
      return target;
  return knownTargets().back();
}

static llvm::Expected<Target> parseOne(llvm::StringRef name) {
  if (name.starts_with("cuda"))
    return makeError(ErrorCode::Unsupported, "--target " + name + ": GPUs are not supported; targets are " + targetNames());
  if (name == "cpu" || name == "cpu:host")
    return hostTarget();
  llvm::StringRef level = name;
  level.consume_front("cpu:");
  for (const Target &target : knownTargets())
    if (level == target.name)
      return target;
  if (level == emulatedTarget().name)
    return emulatedTarget();
  return makeError(ErrorCode::InvalidInput, "--target " + name + ": unknown; targets are " + targetNames());
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
