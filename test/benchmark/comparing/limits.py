"""What this machine can do: machine_limits.cpp, compiled once, run for each number of threads."""
import hashlib
import json
import os
import subprocess

from . import places

FLOATS = ("f32_fma_avx2", "f32_fma_avx512", "bf16_dot_avx512")
BYTES = ("int8_avx2", "int8_vnni_avx2", "int8_vnni_avx512")


def program():
    source = os.path.join(places.HERE, "machine_limits.cpp")
    digest = hashlib.sha256(open(source, "rb").read()).hexdigest()[:12]
    path = os.path.join(places.CACHE, f"machine_limits-{digest}")
    if not os.path.exists(path):
        os.makedirs(places.CACHE, exist_ok=True)
        places.call([places.clang(), "-std=c++20", "-O2", "-pthread", source, "-o", f"{path}.{os.getpid()}"], "compiling machine_limits.cpp")
        os.replace(f"{path}.{os.getpid()}", path)
    return path


def run(*arguments):
    return json.loads(subprocess.run([program(), *map(str, arguments)], capture_output=True, text=True, check=True).stdout)


def everything(threads, quick):
    return run(threads, 64 if quick else 1024)


def read_now(threads, quick):
    """Bytes per second from huge pages, now: neighbours of a virtual machine come and go, so each pair takes its own."""
    return max(run(threads, 64 if quick else 512, "reads")["read_bytes_per_second"].values())


def vector_peak(limits, quant):
    """The fastest vector instruction that serves the format: name and operations per second."""
    kinds = FLOATS if quant in ("f32", "f16", "bf16") else FLOATS + BYTES
    peaks = {kind: limits["operations_per_second"][kind] for kind in kinds if kind in limits["operations_per_second"]}
    if not peaks:
        return "none", 0.0
    return max(peaks.items(), key=lambda item: item[1])


def prefill_peak(limits, quant):
    """With AMX the bound of every format is its bf16 product: groups of 32 fill the tiles of bytes by half."""
    amx = limits["operations_per_second"].get("bf16_amx")
    return ("bf16_amx", amx) if amx else vector_peak(limits, quant)


def cpu_features():
    known = ("avx2", "fma", "avx512f", "avx512_vnni", "avx512_bf16", "avx_vnni", "amx_tile", "amx_bf16", "amx_int8", "avx512_fp16")
    fields = {}
    with open("/proc/cpuinfo", encoding="utf-8") as lines:
        for line in lines:
            key, _, value = line.partition(":")
            fields.setdefault(key.strip(), value.strip())
    flags = fields.get("flags", "").split()
    pages = open("/sys/kernel/mm/transparent_hugepage/enabled", encoding="utf-8").read().strip() \
        if os.path.exists("/sys/kernel/mm/transparent_hugepage/enabled") else "unknown"
    return {"model": fields.get("model name", "unknown"), "family": fields.get("cpu family", "?"), "number": fields.get("model", "?"),
            "cpus": len(os.sched_getaffinity(0)), "features": [f for f in known if f in flags], "huge_pages": pages,
            "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")}
