#!/usr/bin/env python3
"""Interpreter, portable and vector lowerings against one reference: logits of the golden models in --exact.

    lowering_check.py --bin build/bin [--cases DIR [--only a,b]]

Every way of running a module gives the logits that golden/*/reference.npz (Hugging Face transformers) and
golden_gguf/logits.npy (transformers on the weights that gguf-py decodes) recorded. Targets that this CPU lacks are skipped.
--cases: the folders that test/conformance/hf_cases.py made instead, each within its own tolerance.
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
sys.path.insert(0, os.path.join(HERE, "..", "conformance"))
import hf_check
from harness import Checks, Llmc, want

hf_check_options = argparse.Namespace(atol=3e-4)
# target of `llmc compile` -> flags of /proc/cpuinfo that it needs
TARGETS = {"cpu": (), "cpu:generic": (), "cpu:x86-64-v3": ("avx2", "fma", "f16c"),
           "cpu:x86-64-v4": ("avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl", "avx512_vnni")}


def golden_models():
    """[(name, path of the model, ids, logits, tolerance)]"""
    yield from case_models(f"{HERE}/golden", json.load(open(f"{HERE}/golden/index.json"))["cases"])
    folder = f"{HERE}/golden_gguf"
    reference = json.load(open(f"{folder}/reference.json"))
    yield "gguf", f"{folder}/llama.gguf", reference["ids"], np.load(f"{folder}/logits.npy"), reference["tolerance"]


def case_models(folder, only):
    """The same of the cases in a folder. The tolerance is hf_check.py's: what transformers itself moves on a sensitive model counts."""
    for name in sorted(os.listdir(folder)):
        case = f"{folder}/{name}"
        if (only and name not in only) or not os.path.exists(f"{case}/reference.npz"):
            continue
        reference = json.load(open(f"{case}/reference.json"))
        yield name, case, reference["prompts"]["p33"], np.load(f"{case}/reference.npz")["logits_p33"], hf_check.tolerance(reference, hf_check_options)


def compare(got, logits, tolerance):
    want(got.shape == logits.shape, f"shape {got.shape}, want {logits.shape}")
    worst = float(np.abs(got - logits).max())
    want(worst <= tolerance, f"a logit is off by {worst:.2e}, want at most {tolerance:.0e}")
    return f"max error {worst:.1e}"


def imported(llmc, name, path):
    """A copy of the model's folder with a model.mlir beside its files."""
    folder = os.path.join(llmc.work, name)
    if not os.path.exists(folder):
        shutil.copytree(path if os.path.isdir(path) else os.path.dirname(path), folder)
        source = folder if os.path.isdir(path) else os.path.join(folder, os.path.basename(path))
        llmc.call("import", source, "-o", os.path.join(folder, "model.mlir"))
    return os.path.join(folder, "model.mlir")


def check_interpreter(llmc, binary, name, path, ids, logits, tolerance, *chunks):
    command = [binary, imported(llmc, name, path), "--tokens", ",".join(map(str, ids)), "--digits", "9"]
    if chunks:
        command += ["--chunks", ",".join(map(str, chunks))]
    r = subprocess.run(command, capture_output=True, text=True, timeout=300)
    want(r.returncode == 0, f"llmc-interpret: exit {r.returncode}: {r.stderr.strip()[-200:]}")
    blocks = re.split(r"^step \d+ result (\d+):.*$", r.stdout, flags=re.MULTILINE)[1:]
    rows = [json.loads(line) for result, block in zip(blocks[::2], blocks[1::2]) if result == "0"
            for line in block.strip().splitlines()]
    return compare(np.array(rows, np.float32), logits, tolerance)


def check_just_in_time(llmc, path, ids, logits, tolerance):
    return compare(llmc.logits(path, ids, "--exact"), logits, tolerance)


def check_target(llmc, target, name, path, ids, logits, tolerance):
    library = os.path.join(llmc.work, f"{name}.so")
    llmc.call("compile", path, "-o", library, "--exact", "--target", target)
    return compare(llmc.logits(library, ids, "--exact"), logits, tolerance)


def cpu_flags():
    with open("/proc/cpuinfo", encoding="ascii", errors="replace") as f:
        return next((line.split(":", 1)[1].split() for line in f if line.startswith("flags")), [])


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--bin", required=True)
    ap.add_argument("--cases")
    ap.add_argument("--only", default="")
    a = ap.parse_args()
    models = case_models(a.cases, [name for name in a.only.split(",") if name]) if a.cases else golden_models()
    checks, flags = Checks(), cpu_flags()
    with tempfile.TemporaryDirectory(prefix="lowering-") as work:
        os.environ["XDG_CACHE_HOME"] = os.path.join(work, "cache")
        llmc = Llmc(os.path.abspath(os.path.join(a.bin, "llmc")), work)
        interpreter = os.path.abspath(os.path.join(a.bin, "llmc-interpret"))
        for model in models:
            checks.run(f"{model[0]}: interpreter", check_interpreter, llmc, interpreter, *model)
            checks.run(f"{model[0]}: interpreter, in steps", check_interpreter, llmc, interpreter, *model, 20, 1, 1, 11)
            checks.run(f"{model[0]}: just in time", check_just_in_time, llmc, *model[1:])
            for target, needed in TARGETS.items():
                if set(needed) <= set(flags):
                    checks.run(f"{model[0]}: compiled for {target}", check_target, llmc, target, *model)
                else:
                    checks.skipped += 1
                    print(f"skip  {model[0]}: compiled for {target}: this CPU lacks it")
    return checks.finish()


if __name__ == "__main__":
    sys.exit(main())
