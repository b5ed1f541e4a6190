#!/usr/bin/env python3
"""Code for GPUs, without a GPU: every golden model's assembles, and run by an emulator it gives the reference's logits.

    code_check.py --bin build/bin [--only a,b] [--table]

For each model, in --exact, for sm_80 and sm_90: ptxas takes the PTX; kernels that a block of threads runs spill nothing; shared memory is
within 48 KiB. Then the steps, many tokens at once and one at a time, as one kernel and as a kernel for each phase, in both orders of the
threads, against what transformers recorded. --table: registers and spills of every kernel.
"""
import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile

import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "e2e"), os.path.join(HERE, "..", "conformance")]
from artifact import Artifact, EmulatedSteps
from harness import Checks, Llmc, want
from lowering_check import compare, golden_models

COMPUTE = ("sm_80", "sm_90")
MOST_SHARED = 48 << 10
MOST_SPILLED_BY_CALLERS = 256  # registers that a function saves around calls count as spilt


def find_ptxas():
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return shutil.which("ptxas", path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/local/cuda/bin",
                                                       f"{cache}/llmc/cuda/nvidia/cuda_nvcc/bin"]))


def functions(said):
    """{name: bytes of registers spilt} of what `ptxas -v` says."""
    found = re.findall(r"Function properties for (\S+)\n\s+\d+ bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads", said)
    return {name: int(stores) + int(loads) for name, stores, loads in found}


def by_one_thread(ptx):
    """Functions that hold or call what one thread runs: their registers are not what a kernel of a block is judged by."""
    bodies = dict(re.findall(r"^(?:\.visible )?\.(?:func|entry) (\w+)\([^)]*\)\n[^{;]*\{(.*?)^\}", ptx, re.M | re.S))
    return {name for name, body in bodies.items() if re.search(r"\bcall\b", body)} | {name for name in bodies if name.endswith("_alone")}


def check_assembles(ptxas, ptx, name, gpu, table):
    source = f"{name}.{gpu}.ptx"
    with open(source, "w", encoding="ascii") as f:
        f.write(ptx)
    r = subprocess.run([ptxas, f"-arch={gpu}", "-v", source, "-o", source + ".cubin"], capture_output=True, text=True, timeout=600)
    want(r.returncode == 0, f"ptxas: {r.stderr.strip().splitlines()[-1][:200] if r.stderr.strip() else r.returncode}")
    want(".extern .func" not in ptx, "the PTX calls functions that it does not hold")
    spilt, callers = functions(r.stderr), by_one_thread(ptx)
    want(spilt, "ptxas -v named no function")
    if table:
        for function, n in sorted(spilt.items()):
            print(f"  {gpu} {function:40} {n:6} bytes spilt")
    for function, n in spilt.items():
        most = MOST_SPILLED_BY_CALLERS if function in callers else 0
        want(n <= most, f"{function} spills {n} bytes, want at most {most}")
    return f"{len(spilt)} functions"


def check_emulated(artifact, gpu, library, ids, logits, tolerance):
    def run(chunks, **options):
        steps = EmulatedSteps(artifact, gpu, library, **options)
        return np.concatenate([steps.run(ids[a:b]) for a, b in chunks])

    whole = [(0, len(ids))]
    many = run(whole)
    note = compare(many, logits, tolerance)
    for options in ({"way": "launches"}, {"backwards": True}, {"blocks": 3}):
        want(np.array_equal(many, run(whole, **options)), f"{options} gives other bits")
    one = run([(i, i + 1) for i in range(len(ids))], way="launches")
    compare(one, logits, tolerance)
    return note


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", required=True)
    parser.add_argument("--only", default="")
    parser.add_argument("--table", action="store_true")
    args = parser.parse_args()
    checks, bin_dir = Checks(), os.path.abspath(args.bin)
    emulate = os.path.join(bin_dir, "..", "test", "gpu", "gpu-emulate")
    ptxas = find_ptxas()
    with tempfile.TemporaryDirectory() as work:
        os.chdir(work)
        llmc = Llmc(os.path.join(bin_dir, "llmc"), work)
        checks.run("ptxas is installed (examples/install.sh --cuda)", lambda: want(ptxas, "no ptxas found") or ptxas)
        for name, path, ids, logits, tolerance in golden_models():
            if args.only and name not in args.only.split(","):
                continue

            def compiled():
                target = "cpu:generic," + ",".join("cuda:" + gpu for gpu in COMPUTE)
                llmc.call("compile", path, "--exact", "--target", target, "-o", f"{work}/{name}.so")
                llmc.call("compile", path, "--exact", "--target", "cuda:sm_90", "--emit", "llvm", "-o", f"{name}.ll")
                subprocess.run([emulate, f"{name}.ll", "-o", f"{work}/{name}.gpu.so"], check=True, timeout=600)

            failed = checks.failed
            checks.run(f"{name} compiles for GPUs", compiled)
            if checks.failed > failed:
                continue
            artifact = Artifact(f"{work}/{name}.so")
            for gpu in artifact.gpus():
                if ptxas:
                    checks.run(f"{name} assembles for {gpu.name.decode()}", check_assembles, ptxas, gpu.ptx.decode(), name, gpu.name.decode(), args.table)
                for i in range(gpu.entry_count):
                    want(gpu.entries[i].shared_bytes <= MOST_SHARED, f"{name}: {gpu.entries[i].shared_bytes} bytes of shared memory")
            checks.run(f"{name} emulated", check_emulated, artifact, artifact.gpus()[0], f"{work}/{name}.gpu.so", ids, logits, tolerance)
            for left in os.listdir(work):
                os.path.isfile(left) and os.remove(left)
    sys.exit(checks.finish())


if __name__ == "__main__":
    main()
