# lit suite of llmc: IR in, IR out, checked by FileCheck. Unit tests (GoogleTest) run through ctest, models through test/e2e.
import os

import lit.formats
from lit.llvm import llvm_config

config.name = "llmc"
config.test_format = lit.formats.ShTest(execute_external=False)
config.suffixes = [".mlir", ".test"]
config.excludes = ["CMakeLists.txt", "Inputs", "conformance", "e2e", "hostile"]
config.test_source_root = os.path.dirname(__file__)
config.test_exec_root = os.path.join(config.llmc_obj_root, "test")

# A test sees a cache of its own, so that no result comes from an earlier run.
config.environment["XDG_CACHE_HOME"] = os.path.join(config.test_exec_root, "cache")
llvm_config.with_system_environment(["HOME", "TMP", "TEMP", "ASAN_OPTIONS", "UBSAN_OPTIONS"])
llvm_config.use_default_substitutions()
llvm_config.with_environment("PATH", config.llvm_tools_dir, append_path=True)

bin_dir = os.path.join(config.llmc_obj_root, "bin")
llvm_config.add_tool_substitutions(["llmc", "llmc-equivalence", "llmc-interpret", "llmc-opt", "llmc-run"], [bin_dir])
llvm_config.add_tool_substitutions(["FileCheck", "count", "not", "split-file", "mlir-opt"], [config.llvm_tools_dir])
config.substitutions += [
    ("%llmc_lib", os.path.join(config.llmc_obj_root, "lib")),
    ("%golden", os.path.join(config.llmc_src_root, "test", "e2e", "golden")),
    ("%encoders", os.path.join(config.llmc_src_root, "test", "e2e", "golden_encoders")),
    ("%models", os.path.join(config.llmc_src_root, "examples", "models")),
    ("%python", config.python_executable),
]

# What a test may require: `REQUIRES: avx512vnni`.
with open("/proc/cpuinfo", encoding="ascii", errors="replace") as cpuinfo:
    flags = next((line.split(":", 1)[1].split() for line in cpuinfo if line.startswith("flags")), [])
for feature, flag in (("avx2", "avx2"), ("avx512", "avx512bw"), ("avx512vnni", "avx512_vnni"), ("avx512bf16", "avx512_bf16"), ("amx", "amx_bf16")):
    if flag in flags:
        config.available_features.add(feature)
if config.halide:
    config.available_features.add("halide")
    config.excludes.append("no-halide.test")  # what it tests, this build is not: nothing is skipped
