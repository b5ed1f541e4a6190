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

// PTX 8.0 knows all instructions that kernels for blocks use; sm_100 came with 8.6. Products of bf16 and int8 come from kernels for blocks of
// threads (passes/lowering/kernels/block): `dot` is what portable code has, and there is no portable code for `bf16`.
static Target device(int64_t compute, const char *features, int rank) {
  std::string name = "sm_" + std::to_string(compute);
  return {name, name, features, "", 128, tile::Dot::portable, /*bf16=*/true, tile::Tiles::none, rank, /*threads=*/256, compute};
}

llvm::ArrayRef<Target> knownDevices() {
  static const Target targets[] = {device(100, "+ptx86", 4), device(90, "+ptx80", 3), device(89, "+ptx80", 2), device(86, "+ptx80", 1),
                                   device(80, "+ptx80", 0)};
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
    names += ", " + target.fullName();
  names += ", cuda";
  for (const Target &target : llvm::reverse(knownDevices()))
    names += ", " + target.fullName();
  return names;
}

// As the loader asks, which also asks the system for leave to use tiles.
static const Target &hostTarget() {
  for (const Target &target : knownTargets())
    if (missingCpuFeatures(target.required).empty())
      return target;
  return knownTargets().back();
}

static llvm::Error unknown(llvm::StringRef name) {
  return makeError(ErrorCode::InvalidInput, "--target " + name + ": unknown; targets are " + targetNames());
}

static llvm::Expected<Target> parseDevice(llvm::StringRef name) {
  llvm::StringRef compute = name;
  if (name == "cuda")
    return knownDevices().back();
  if (!compute.consume_front("cuda:"))
    return unknown(name);
  for (const Target &target : knownDevices())
    if (compute == target.name)
      return target;
  unsigned number;
  if (!compute.consume_front("sm_") || compute.consumeInteger(10, number))
    return unknown(name);
  if (number < knownDevices().back().compute)
    return makeError(ErrorCode::Unsupported, "--target " + name + ": want sm_80 or later, whose GPUs multiply matrices of bf16");
  if (compute == "a" || compute == "f")
    return makeError(ErrorCode::Unsupported, "--target " + name + ": instructions of one kind of GPU alone are not used; want cuda:sm_" + llvm::Twine(number));
  return unknown(name);
}

llvm::Expected<Target> parseTarget(llvm::StringRef name) {
  if (name.starts_with("cuda"))
    return parseDevice(name);
  if (name == "cpu" || name == "cpu:host")
    return hostTarget();
  llvm::StringRef level = name;
  level.consume_front("cpu:");
  for (const Target &target : knownTargets())
    if (level == target.name)
      return target;
  if (level == emulatedTarget().name)
    return emulatedTarget();
  return unknown(name);
}

llvm::Expected<std::vector<Target>> parseTargets(llvm::ArrayRef<std::string> names) {
  std::vector<Target> targets;
  for (llvm::StringRef list : names) {
    llvm::SmallVector<llvm::StringRef> parts;
    list.split(parts, ',', -1, /*KeepEmpty=*/false);
    for (llvm::StringRef part : parts) {
      llvm::Expected<Target> target = parseTarget(part.trim());
      if (!target)
        return target.takeError();
      targets.push_back(*target);
    }
  }
  if (llvm::all_of(targets, [](const Target &target) { return target.isDevice(); }))
    targets.push_back(hostTarget());
  auto order = [](const Target &target) { return std::pair(!target.isDevice(), target.rank); };
  llvm::stable_sort(targets, [&](const Target &a, const Target &b) { return order(a) > order(b); });
  targets.erase(std::unique(targets.begin(), targets.end(), [&](const Target &a, const Target &b) { return order(a) == order(b); }), targets.end());
  return targets;
}

} // namespace llmc::codegen
