#!/usr/bin/env python3
"""Whole models on matrix tiles: emulated, where the CPU has all but them, and its own, where it has those.

    tiles_check.py --bin build/bin

Tiles multiply bf16 rows: float weights of two bytes in every step, quantised ones in steps of more than 16 tokens. What must hold
(docs/architecture/numerics.md): logits are near the float32 ones; threads and the rest of a prompt change no bit of a row; one token at a
time gives the bits of a few at once, and of the whole where weights are not quantised.
"""
import argparse
import os
import tempfile

import numpy as np

from harness import Checks, Llmc, same_bits, want

HERE = os.path.dirname(os.path.abspath(__file__))
MODELS = os.path.join(HERE, "..", "..", "examples", "models")
VECTORS = {"avx2", "fma", "f16c", "bmi2", "avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl", "avx512_vnni", "avx512_bf16"}
# target -> flags of /proc/cpuinfo that it needs
TARGETS = {"cpu:x86-64-v4-amx-emulated": VECTORS, "cpu:x86-64-v4-amx": VECTORS | {"amx_tile", "amx_bf16", "amx_int8"}}
# name -> source, are weights quantised, largest root mean square of the error in standard deviations of the logits: twice what was measured
CASES = {
    "tiny-llama": (os.path.join(MODELS, "tiny-llama"), False, 0.013),
    "tiny-mixtral": (os.path.join(MODELS, "tiny-mixtral"), False, 0.027),
    "every GGUF format": (os.path.join(HERE, "golden_gguf", "llama.gguf"), True, 0.018),
}
FEW = 16  # so many tokens take int8 where weights are quantised
LENGTH = 77  # two rounds of 32 rows, and a rest of less than a tile


def deviation(got, wanted):
    return float(np.sqrt(np.mean((got - wanted) ** 2)) / wanted.std())


def compiled(llmc, source, target, *options):
    library = os.path.join(llmc.work, "steps.so" if options else "model.so")
    llmc.call("compile", source, "-o", library, "--target", target, *options)
    return library


def tokens_of(llmc, source):
    vocab = llmc.logits(source, [1], "--exact").shape[1]
    return [int(i) for i in np.random.default_rng(7).integers(3, vocab, LENGTH)]


def check(llmc, target, source, quantised, bound):
    ids = tokens_of(llmc, source)
    library = compiled(llmc, source, target)
    whole = llmc.logits(library, ids, "-t", 1)
    exact = llmc.logits(source, ids, "--exact")
    error = deviation(whole, exact)
    want(error <= bound, f"error {error:.4f} of a standard deviation, want at most {bound}")
    same_bits(llmc.logits(library, ids, "-t", 2), whole, "one thread and two")
    single = llmc.logits(compiled(llmc, source, target, "--step-tokens", "1"), ids)
    for count in (2, FEW, FEW + 1, 45):  # parts of a tile, a tile, a round of 32 and a rest
        wanted = single if quantised and count <= FEW else whole
        same_bits(llmc.logits(library, ids[:count]), wanted[:count], f"the first {count} tokens alone and with others")
    if quantised:
        apart = deviation(single, whole)
        want(0 < apart <= 3 * bound, f"one token at a time and all at once: {apart:.4f} of a standard deviation, want something up to {3 * bound}")
    else:
        same_bits(single, whole, "one token at a time and all at once")
    return f"error {error:.4f}"


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--bin", required=True)
    args = ap.parse_args()
    with open("/proc/cpuinfo", encoding="ascii", errors="replace") as f:
        flags = next((set(line.split(":", 1)[1].split()) for line in f if line.startswith("flags")), set())
    checks = Checks()
    with tempfile.TemporaryDirectory(prefix="tiles-") as work:
        os.environ["LLMC_CACHE_DIR"] = os.path.join(work, "cache")
        llmc = Llmc(os.path.join(os.path.abspath(args.bin), "llmc"), work)
        for target, needed in TARGETS.items():
            if not needed <= flags:
                print(f"not run: {target}: this CPU has no {', '.join(sorted(needed - flags))}")
                continue
            for name, case in CASES.items():
                checks.run(f"{name}, {target}", check, llmc, target, *case)
    return checks.finish()


if __name__ == "__main__":
    raise SystemExit(main())
