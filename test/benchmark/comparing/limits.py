"""What this machine can do, as llmc itself measures it: `llmc bench --limits`."""
import json
import os
import subprocess

FLOATS = ("f32_fma_avx2", "f32_fma_avx512", "bf16_dot_avx512")
BYTES = ("int8_avx2", "int8_vnni_avx2", "int8_vnni_avx512")


def run(llmc, what, threads):
    command = [llmc, "bench", "--limits", what, "-t", ",".join(map(str, threads)), "-o", "json"]
    return json.loads(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout)


def everything(llmc, threads):
    """For each number of threads: bytes read per second by pages, operations per second by instruction."""
    return run(llmc, "all", threads)


def read_now(llmc, threads):
    """Bytes per second from huge pages, now: neighbours of a virtual machine come and go, so each pair takes its own."""
    return max(run(llmc, "reads", [threads])[0]["read_bytes_per_second"].values())


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
