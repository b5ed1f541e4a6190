#!/usr/bin/env python3
"""Code for GPUs, without a GPU: every golden model's assembles, and run by an emulator it gives the reference's logits.

    code_check.py --bin build/bin [--only a,b] [--table]

For each model, as it is compiled by default, for sm_80 and sm_90: ptxas takes the PTX; kernels spill nothing, no function much, and none is left
to one thread of a block; shared memory is within 48 KiB. Then the steps in --exact, many tokens at once and one at a time, as one kernel and as a kernel
for each phase, in both orders of the threads, against what transformers recorded. At last the default mode, whose products are in bf16 and int8,
against the CPU's. --table: what each function spills.
"""
import argparse
import json
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
DEFAULT_TOLERANCE = 0.03  # of the logits' standard deviation, root of the mean square: int8 moves them by as much against float32
MOST_SPILLED_BY_CALLERS = 512  # registers that a function saves around calls count as spilt: once a phase, not in a loop


def find_ptxas():
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return shutil.which("ptxas", path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/local/cuda/bin",
                                                       f"{cache}/llmc/cuda/nvidia/cuda_nvcc/bin"]))


def tool(*command):
    r = subprocess.run(command, capture_output=True, text=True, timeout=600)
    want(r.returncode == 0, f"{os.path.basename(command[0])}: exit {r.returncode}: {r.stderr.strip()[-300:]}")


def functions(said):
    """{name: bytes of registers spilt} of what `ptxas -v` says."""
    found = re.findall(r"Function properties for (\S+)\n\s+\d+ bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads", said)
    return {name: int(stores) + int(loads) for name, stores, loads in found}


def bodies(ptx):
    return dict(re.findall(r"^(?:\.visible )?\.(?:func|entry) (\w+)\([^)]*\)\n[^{;]*\{(.*?)^\}", ptx, re.M | re.S))


def most_spilled(ptx):
    """{function: bytes that it may spill}. A call saves registers, which counts as spilling."""
    calls = {name: re.search(r"\bcall(?:\.uni)?\s", body) for name, body in bodies(ptx).items()}
    return {name: MOST_SPILLED_BY_CALLERS if call else 0 for name, call in calls.items()}


def start_ptxas(ptxas, ptx, gpu):
    return subprocess.Popen([ptxas, f"-arch={gpu}", "-v", ptx, "-o", ptx + ".cubin"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def check_assembles(running, path, gpu, table):
    said = running.communicate(timeout=600)[0]
    want(running.returncode == 0, f"ptxas: {said.strip().splitlines()[-1][:200] if said.strip() else running.returncode}")
    with open(path, encoding="ascii") as f:
        ptx = f.read()
    want(".extern .func" not in ptx, "the PTX calls functions that it does not hold")
    spilt, most = functions(said), most_spilled(ptx)
    want(spilt and spilt.keys() <= most.keys(), "ptxas -v names other functions than the PTX")
    for function, n in sorted(spilt.items()):
        if table:
            print(f"  {gpu} {function:40} {n:6} bytes spilt, {most[function]} allowed")
    for function, n in spilt.items():
        want(n <= most[function], f"{function} spills {n} bytes, want at most {most[function]}")
    alone = [name for name in bodies(ptx) if name.endswith("_alone")]
    want(not alone, f"left to one thread of a block: {', '.join(alone)}")
    return f"{len(spilt)} functions"


def check_emulated(artifact, gpu, library, ids, logits, tolerance):
    shared = max(gpu.entries[i].shared_bytes for i in range(gpu.entry_count))
    want(shared <= MOST_SHARED, f"{shared} bytes of shared memory, want at most {MOST_SHARED}")

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


def check_default_mode(llmc, emulate, work, name, path, ids):
    """Products of many tokens go by matrices, in steps of few tokens and of more; a step of one by lanes. Near to exact mode on the CPU."""
    library, code = f"{work}/{name}-default.so", f"{work}/{name}-default.gpu.so"
    llmc.call("compile", path, "--target", "cuda:sm_90", "-o", library, env={**os.environ, "LLMC_PTXAS": ""})
    llmc.call("compile", path, "--target", "cuda:sm_90", "--emit", "llvm", "-o", "default.ll")
    tool(emulate, "default.ll", "-o", code)
    with open("ids.json", "w", encoding="ascii") as f:
        json.dump(list(map(int, ids)), f)
    llmc.call("eval", "logits", path, "--exact", "--tokens-file", "ids.json", "-o", "cpu.npy")
    wanted, artifact = np.load("cpu.npy"), Artifact(library)
    gpu, size = artifact.gpus()[0], float(wanted.std())

    def run(chunk, **options):
        steps = EmulatedSteps(artifact, gpu, code, **options)
        return np.concatenate([steps.run(ids[i:i + chunk]) for i in range(0, len(ids), chunk)])

    many = run(len(ids))
    want(np.array_equal(many, run(len(ids), backwards=True, blocks=3)), "another order of threads gives other bits")
    off = {name: float(np.sqrt(np.square(got - wanted).mean())) / size for name, got in (("together", many), ("by 11", run(11)), ("one by one", run(1)))}
    said = ", ".join(f"{name} {error:.4f}" for name, error in off.items())
    want(max(off.values()) < DEFAULT_TOLERANCE, f"logits are off by {said} of their standard deviation, want less than {DEFAULT_TOLERANCE}")
    return f"off by {said} of the standard deviation"


def check_changed_schedule(llmc, bin_dir, emulate, artifact, path, ids):
    """A plug-in's pass gives blocks other tiles: the kernels differ, and no bit of the result."""
    llmc.call("compile", path, "--exact", "--target", "cuda:sm_90", "--compile-to", "schedule", "-o", "scheduled.mlir")
    tool(f"{bin_dir}/llmc-opt", f"--load-pass-plugin={bin_dir}/../lib/NeighbouringTiles.so", "scheduled.mlir", "-o", "changed.mlir",
         "--pass-pipeline=builtin.module(func.func(neighbouring-tiles))")
    texts = []
    for name in ("scheduled", "changed"):
        llmc.call("compile", f"{name}.mlir", "--allow-outside", "--compile-from", "lower", "--emit", "llvm", "-o", f"{name}.ll")
        tool(emulate, f"{name}.ll", "-o", os.path.abspath(f"{name}.so"))
        with open(f"{name}.ll", encoding="utf-8") as f:
            texts.append(f.read())
    want(texts[0] != texts[1], "the plug-in changed nothing")
    usual, changed = (EmulatedSteps(artifact, artifact.gpus()[0], os.path.abspath(f"{name}.so"), blocks=3).run(ids) for name in ("scheduled", "changed"))
    want(np.array_equal(usual, changed), "the logits have other bits")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", required=True)
    parser.add_argument("--only", default="")
    parser.add_argument("--table", action="store_true")
    args = parser.parse_args()
    checks, bin_dir = Checks(), os.path.abspath(args.bin)
    emulate = os.path.join(bin_dir, "..", "test", "gpu", "gpu-emulate")
    ptxas = find_ptxas()
    sys.stdout.reconfigure(line_buffering=True)
    with tempfile.TemporaryDirectory() as work:
        os.chdir(work)
        llmc = Llmc(os.path.join(bin_dir, "llmc"), work)
        checks.run("ptxas is installed (examples/install.sh --cuda)", lambda: want(ptxas, "no ptxas found") or ptxas)
        for name, path, ids, logits, tolerance in golden_models():
            if args.only and name not in args.only.split(","):
                continue

            def compiled():
                for gpu in COMPUTE:
                    llmc.call("compile", path, "--target", "cuda:" + gpu, "--emit", "ptx", "-o", f"{gpu}.ptx")
                exact = ("compile", path, "--exact", "--target", "cuda:sm_90")
                llmc.call(*exact, "-o", f"{work}/{name}.so", env={**os.environ, "LLMC_PTXAS": ""})
                llmc.call(*exact, "--emit", "llvm", "-o", f"{name}.ll")
                tool(emulate, f"{name}.ll", "-o", f"{work}/{name}.gpu.so")

            failed = checks.failed
            checks.run(f"{name} compiles for GPUs", compiled)
            if checks.failed > failed:
                continue
            running = {gpu: start_ptxas(ptxas, f"{gpu}.ptx", gpu) for gpu in COMPUTE} if ptxas else {}
            for gpu, process in running.items():
                checks.run(f"{name} assembles for {gpu}", check_assembles, process, f"{gpu}.ptx", gpu, args.table)
            artifact = Artifact(f"{work}/{name}.so")
            checks.run(f"{name} emulated", check_emulated, artifact, artifact.gpus()[0], f"{work}/{name}.gpu.so", ids, logits, tolerance)
            if name == "qwen3":
                checks.run(f"{name} with a schedule that a plug-in changed", check_changed_schedule, llmc, bin_dir, emulate, artifact, path, ids)
            for left in os.listdir(work):
                os.path.isfile(left) and os.remove(left)
        models = {"tiny-llama": os.path.join(HERE, "..", "..", "examples", "models", "tiny-llama"), "gguf": os.path.join(HERE, "..", "e2e", "golden_gguf", "llama.gguf"),
                  **{name: os.path.join(HERE, "..", "..", "examples", "models", name) for name in ("tiny-mixtral", "tiny-mamba2", "tiny-bamba")}}
        for name, path in models.items():
            if not args.only or name in args.only.split(","):
                checks.run(f"{name} in the default mode, emulated", check_default_mode, llmc, emulate, work, name, path, [(7 * i + 3) % 199 for i in range(33)])
    sys.exit(checks.finish())


if __name__ == "__main__":
    main()
