"""Logits of a model compiled with --kernels=mlir and with --kernels=halide, both --exact, must agree within 1e-5 of the largest.

    halide_equal.py MODEL WORK_FOLDER LLMC
"""
import array
import math
import os
import subprocess
import sys

model, work, llmc = sys.argv[1:]
os.makedirs(work, exist_ok=True)
ids = os.path.join(work, "ids.json")
with open(ids, "w") as f:
    f.write(str([1, 5, 9, 2, 30, 17, 4, 11, 8, 3, 21]))


def logits(kernels):
    library, out = os.path.join(work, f"{kernels}.so"), os.path.join(work, f"{kernels}.npy")
    subprocess.run([llmc, "compile", model, "-o", library, "--exact", "--kernels", kernels], check=True)
    subprocess.run([llmc, "eval", "logits", library, "--exact", "--tokens-file", ids, "-o", out], check=True)
    with open(out, "rb") as f:  # .npy, version 1: 10 bytes, the last two the length of the description, then float32
        content = f.read()
    return array.array("f", content[10 + int.from_bytes(content[8:10], "little"):])


emitted, halide = logits("mlir"), logits("halide")
finite = len(emitted) == len(halide) > 0 and all(map(math.isfinite, halide))
error = max(abs(a - b) for a, b in zip(emitted, halide)) / max(map(abs, emitted))
print(f"relative error {error:.1e}", "equal" if finite and error <= 1e-5 else "not equal")
