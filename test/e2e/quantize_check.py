#!/usr/bin/env python3
"""Quantised demonstration models: how far each scheme is from its source, and what users see.

    quantize_check.py --bin build/bin
"""
import argparse
import json
import os
import struct
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from random import Random

import numpy as np

from harness import Checks, Llmc, same_bits, want

HERE = os.path.dirname(os.path.abspath(__file__))
MODELS = os.path.join(HERE, "..", "..", "examples", "models")
sys.path.insert(0, os.path.join(HERE, "..", "hostile"))
from layouts import GgufWalker  # noqa: E402

sys.path.insert(0, os.path.join(MODELS, "tiny-llama"))
from generate_text import story  # noqa: E402

# Largest mean KL divergence from the source, only the weights differing; twice what was measured.
BOUNDS = {"tiny-llama": {"q8": 6e-4, "q4": 0.12}, "tiny-mixtral": {"q8": 2e-3, "q4": 0.18}, "tiny-bamba": {"q8": 1.2e-4, "q5": 6e-3, "q4": 0.02}}


def stories(seed, count):
    """Text of the models' kind, of a seed that no training used."""
    random = Random(seed)
    return "\n".join(story(random) for _ in range(count))


def kld(llmc, model, text, *options):
    return json.loads(llmc.call("eval", "kld", model, "-f", text, "-c", 128, "--json", *options))


def check_divergence(llmc, name, bounds, text):
    model, found = os.path.join(MODELS, name), {}
    for scheme, bound in bounds.items():
        found[scheme] = kld(llmc, model, text, "--exact", "--reference", model, "--quantize", scheme)["mean_kld"]
        want(0 < found[scheme] <= bound, f"{scheme}: mean KLD {found[scheme]:.2e}, want (0, {bound:.0e}]")
    want(found["q8"] < found["q4"], f"q8 is no closer than q4: {found}")
    return ", ".join(f"{s} {v:.1e}" for s, v in found.items())


def check_threads(llmc, name):
    """Neither packing nor running depends on threads; a library and what is compiled just in time are one."""
    model, ids = os.path.join(MODELS, name), list(range(5, 40))
    library = os.path.join(llmc.work, name + ".so")
    llmc.call("compile", model, "-o", library, "--quantize", "q4")
    one = llmc.logits(library, ids, "-t", 1)
    same_bits(one, llmc.logits(library, ids, "-t", 3), "threads")
    same_bits(one, llmc.logits(model, ids, "-t", 2, "--quantize", "q4", "--no-cache"), "just in time")


def check_report(llmc, text):
    library = os.path.join(llmc.work, "reported.so")
    llmc.call("compile", os.path.join(MODELS, "tiny-llama"), "-o", library, "--quantize", "q4a", "--evaluate", text)
    about = json.loads(llmc.call("inspect", library, "--json"))
    want(about["quantize"] == "q4a", f"inspect: quantize is {about.get('quantize')}")
    got = about["accuracy"]
    want(0 < got["mean_kld"] < 0.2 and 0.8 < got["top1_agreement"] <= 1 and got["tokens"] > 100, f"accuracy: {got}")
    want(abs(got["perplexity"] / got["source_perplexity"] - 1) < 0.2, f"accuracy: {got}")
    return f"KLD {got['mean_kld']:.1e}"


def check_phase(llmc):
    """What --compile-to writes is what the next phases read."""
    model, ids = os.path.join(MODELS, "tiny-llama"), list(range(5, 40))
    module, library = os.path.join(llmc.work, "quantize.mlir"), os.path.join(llmc.work, "phase.so")
    llmc.call("compile", model, "-o", module, "--quantize", "q4", "--compile-to", "quantize")
    with open(module) as f:
        want("llm.stored = bf16" in f.read(), "the module has no llm.stored")
    llmc.call("compile", module, "-o", library, "--compile-from", "specialize", "--allow-outside")
    same_bits(llmc.logits(library, ids), llmc.logits(model, ids, "--quantize", "q4", "--no-cache"), "by way of a module")


def check_calibration(llmc, name, factor, text, other):
    """Moments of another text bring the model closer to its source, in the same number of bytes; kept tensors stay."""
    model, library = os.path.join(MODELS, name), os.path.join(llmc.work, "calibrated.so")
    plain = kld(llmc, model, text, "--exact", "--reference", model, "--quantize", "q4")["mean_kld"]
    found = kld(llmc, model, text, "--exact", "--reference", model, "--quantize", "q4", "--calibrate", other)["mean_kld"]
    want(0 < found < plain * factor, f"mean KLD {found:.2e} calibrated, {plain:.2e} not, want less than {factor} of it")
    llmc.call("compile", model, "-o", library, "--exact", "--quantize", "q4", "--calibrate", other)
    again = kld(llmc, library, text, "--exact", "--reference", model)["mean_kld"]
    want(again == found, f"library {again}, just in time {found}")
    want(json.loads(llmc.call("inspect", library, "--json"))["calibrated"] is True, "inspect does not say so")
    return f"{plain:.1e} -> {found:.1e}"


def check_keep(llmc):
    model, library = os.path.join(MODELS, "tiny-llama"), os.path.join(llmc.work, "kept.so")
    llmc.call("compile", model, "-o", library, "--quantize", "q4", "--quantize-keep", "*down_proj*,*embed*")
    formats = json.loads(llmc.call("inspect", library, "--json"))["formats"]
    want(formats == {"bf16": 7, "q4_0": 36}, f"formats are {formats}")


def float_gguf(llmc):
    """A GGUF file of float32 tensors at random, with the metadata and shapes of the recorded one."""
    random = np.random.default_rng(5)
    with open(os.path.join(HERE, "golden_gguf", "llama.gguf"), "rb") as file:
        walker = GgufWalker(file)
        file.seek(8)
        tensors, entries = walker.number(8), walker.number(8)
        for _ in range(entries):
            walker.string()
            walker.value(walker.number(4))
        end = file.tell()
        file.seek(0)
        head, infos, data = file.read(end), b"", b""
        for _ in range(tensors):
            name = file.read(int.from_bytes(file.read(8), "little"))
            shape = [walker.number(8) for _ in range(walker.number(4))]
            file.seek(12, os.SEEK_CUR)
            infos += struct.pack(f"<Q{len(name)}sI{len(shape)}QIQ", len(name), name, len(shape), *shape, 0, len(data))
            values = np.ones(shape[0]) if len(shape) == 1 else random.standard_normal(np.prod(shape)) / shape[0] ** 0.5
            data += values.astype(np.float32).tobytes()
            data += bytes(-len(data) % 32)
    return llmc.put("f32.gguf", head + infos + bytes(-len(head + infos) % 32) + data)


def check_file(llmc):
    """llmc quantize: a model file gives the numbers of --quantize, bit for bit, calibrated or not; so does a library."""
    source, ids, text = float_gguf(llmc), list(range(5, 40)), llmc.put("text.txt", stories(78, 2).encode())
    for options in ([], ["--calibrate", text], ["--quantize-keep", "blk.*.ffn_down.weight"]):
        target, library = os.path.join(llmc.work, "q4.gguf"), os.path.join(llmc.work, "q4.so")
        want_bits = llmc.logits(source, ids, "--quantize", "q4", *options)
        llmc.call("quantize", source, "-o", target, "--scheme", "q4", *options)
        same_bits(llmc.logits(target, ids), want_bits, f"model file, {options}")
    llmc.call("quantize", source, "-o", library, "--scheme", "q4", "--quantize-keep", "blk.*.ffn_down.weight")
    same_bits(llmc.logits(library, ids), want_bits, "library")
    llmc.call("compile", target, "-o", library, "--quantize", "q8")  # what was kept is rounded now, the rest stays
    want(any("stay as they are" in line for line in llmc.stderr), f"no note: {llmc.stderr}")
    formats = json.loads(llmc.call("inspect", library, "--json"))["formats"]
    want(formats.get("q4_0", 0) > 0 and "f32" not in formats, f"formats are {formats}")
    return f"{os.path.getsize(source)} -> {os.path.getsize(target)} bytes"


def check_refusals(llmc, text):
    def says(message, *args, status=1):
        llmc.call(*args, status=status)
        want(message in " ".join(llmc.stderr), f"{' '.join(args[-4:])}: {llmc.stderr[-1:]}")
    model, out = os.path.join(MODELS, "tiny-llama"), os.path.join(llmc.work, "x.so")
    says("--quantize", "compile", model, "-o", out, "--quantize", "int4")
    says("already", "compile", os.path.join(HERE, "golden_gguf", "llama.gguf"), "-o", out, "--quantize", "q4")
    says("--evaluate", "compile", model, "-o", out, "--evaluate", text)
    says("belongs to --quantize", "compile", model, "-o", out, "--calibrate", text)
    says("no such file", "compile", model, "-o", out, "--quantize", "q4", "--calibrate", text + "x")
    says("no tensor", "compile", model, "-o", out, "--quantize", "q4", "--quantize-keep", "*mlp.x*")
    says("names 1 of 6 tensors", "compile", model, "-o", out, "--quantize", "q4", "--quantize-keep", "model.layers.0.mlp.up*", status=3)
    says("a library", "quantize", model, "-o", out + "x", "--scheme", "q4")
    says("is none", "quantize", model, "-o", os.path.join(llmc.work, "x.gguf"), "--scheme", "q4", status=3)
    library = os.path.join(llmc.work, "done.so")
    llmc.call("compile", model, "-o", library, "--quantize", "q8")
    says("is compiled already", "run", library, "-p", "x", "--quantize", "q8")
    want(not os.path.exists(out), "a refused compilation left a file")


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--bin", required=True)
    args = ap.parse_args()
    with tempfile.TemporaryDirectory() as work, ThreadPoolExecutor(os.cpu_count()) as pool:
        os.environ["LLMC_CACHE_DIR"] = os.path.join(work, "cache")
        llmc = Llmc(os.path.join(os.path.abspath(args.bin), "llmc"), work)
        text, other = (llmc.put(f"stories-{seed}.txt", stories(seed, count).encode()) for seed, count in ((20261124, 24), (77, 40)))
        checks = Checks()

        def check(name, function, *rest):
            """On a thread of its own, with a folder of its own; compilations leave cores idle."""
            own = Llmc(llmc.command[0], tempfile.mkdtemp(dir=work))
            return pool.submit(checks.run, name, function, own, *rest)

        for name, bounds in BOUNDS.items():
            check(f"{name}: divergence from its source", check_divergence, name, bounds, text)
        check("model files", check_file)
        for name in ("tiny-llama", "tiny-mixtral"):
            check(f"{name}: threads and just in time", check_threads, name)
        for name, factor in {"tiny-llama": 0.75, "tiny-mixtral": 0.9, "tiny-bamba": 0.8}.items():
            check(f"{name}: calibrated", check_calibration, name, factor, text, other)
        check("tensors that are kept", check_keep)
        check("figures in the artifact", check_report, text)
        check("by way of --compile-to quantize", check_phase)
        check("refusals", check_refusals, text)
        pool.shutdown()
    return checks.finish()


if __name__ == "__main__":
    raise SystemExit(main())
