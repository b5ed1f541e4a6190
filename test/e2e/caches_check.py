#!/usr/bin/env python3
"""Attention caches of q8_0: how far they are from the usual ones, and that sequences go back, fork and are kept in them.

    caches_check.py --bin build/bin
"""
import argparse
import json
import os
import tempfile

import numpy as np

import random_models
import state_check
from abi import Context, Library
from harness import Checks, Llmc, same_bits, want
from quantize_check import kld, stories

MODELS = os.path.join(state_check.ROOT, "examples", "models")
# Largest mean KL divergence from the same model with its usual caches; twice what was measured.
BOUNDS = {"tiny-llama": 1e-3, "tiny-bamba": 1e-3}


def check_divergence(llmc, name, bound, text):
    found = kld(llmc, os.path.join(MODELS, name), text, "--cache-type", "q8_0")
    want(0 < found["mean_kld"] <= bound, f"mean KLD {found['mean_kld']:.2e}, want (0, {bound:.0e}]")
    return f"KLD {found['mean_kld']:.1e}, top-1 {found['top1_agreement']:.4f}"


def check_rows(llmc, name, target):
    """Neither threads nor how a prompt is cut change a row. The target: where attention is a kernel of its own."""
    model, ids = os.path.join(MODELS, name), [int(i) for i in np.random.default_rng(3).integers(3, 400, 150)]
    library = os.path.join(llmc.work, f"{name}-{len(target)}.so")
    llmc.call("compile", model, "-o", library, "--cache-type", "q8_0", *target)
    whole = llmc.logits(library, ids, "-t", 1)
    same_bits(whole, llmc.logits(library, ids, "-t", 3), "threads")
    opened = Library(library)
    with Context(opened, context=256, threads=2) as context:
        rows = np.concatenate([context.eval(ids[:70]), *(context.eval([i]) for i in ids[70:80]), context.eval(ids[80:])])
    opened.close()
    same_bits(whole, rows, "a prompt cut in pieces")


def check_states(checks, llmc, name, path):
    """The checks of states, in caches of q8_0."""
    library = os.path.join(llmc.work, name.replace(" ", "-") + "-states.so")
    llmc.call("compile", path, "-o", library, "--cache-type", "q8_0")
    opened = Library(library)
    with Context(opened, context=64) as context:
        kind = state_check.Kind(opened, context.info.checkpoints > 0)
    checks.run(f"{name}: roll back", state_check.check_rollback, kind, 0)
    checks.run(f"{name}: fork", state_check.check_fork, kind)
    checks.run(f"{name}: save and restore", state_check.check_save, kind)
    checks.run(f"{name}: interleaved sequences", state_check.check_interleaved, kind)
    opened.close()


def check_memory(llmc):
    """A position takes 34 bytes for 32 numbers where it took 64; the artifact says what its caches are."""
    model, states = os.path.join(MODELS, "tiny-llama"), {}
    for caches in ("f16", "q8_0"):
        library = os.path.join(llmc.work, f"{caches}.so")
        llmc.call("compile", model, "-o", library, "--cache-type", caches)
        want(json.loads(llmc.call("inspect", library, "--json"))["caches"] == {"kv": caches}, f"inspect does not say {caches}")
        states[caches] = json.loads(llmc.call("inspect", library, "--memory", "--json"))["state_slot_bytes"]
    want(abs(states["q8_0"] / states["f16"] * 64 - 34) < 0.5, f"bytes of a slot: {states}")


def check_session(llmc):
    """A session goes on in the caches that it was written from, and in no others."""
    state_check.check_session(llmc, os.path.join(llmc.work, "q8_0.so"))
    session, usual, narrow = (os.path.join(llmc.work, name) for name in ("other-session", "f16.so", "q8_0.so"))
    llmc.call("run", usual, "--tokens", "5,6,7", "-n", 2, "--ids", "--session", session)
    llmc.call("run", narrow, "--tokens", "5,6,7,8", "-n", 1, "--ids", "--session", session, status=1)
    want("restore" in llmc.stderr[-1], f"a session of f16 caches: {llmc.stderr[-1]}")


def check_refusals(llmc):
    def says(message, *args):
        llmc.call(*args, status=1)
        want(message in " ".join(llmc.stderr), f"{' '.join(args[-4:])}: {llmc.stderr[-1:]}")
    model, out = os.path.join(MODELS, "tiny-llama"), os.path.join(llmc.work, "x.so")
    says("--cache-type", "compile", model, "-o", out, "--cache-type", "q4_0")
    says("--exact keeps caches in f32", "compile", model, "-o", out, "--cache-type", "q8_0", "--exact")
    says("is compiled already", "run", os.path.join(llmc.work, "q8_0.so"), "-p", "x", "--cache-type", "q8_0")
    module = os.path.join(llmc.work, "specialized.mlir")
    llmc.call("compile", model, "-o", module, "--compile-to", "specialize", "--cache-type", "q8_0")
    says("starts after", "compile", module, "-o", out, "--compile-from", "schedule", "--cache-type", "q8_0", "--allow-outside")


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--bin", required=True)
    args = ap.parse_args()
    checks = Checks()
    with tempfile.TemporaryDirectory(prefix="caches-") as work:
        os.environ["LLMC_CACHE_DIR"] = os.path.join(work, "cache")
        llmc = Llmc(os.path.join(os.path.abspath(args.bin), "llmc"), work)
        text = llmc.put("stories.txt", stories(20261124, 24).encode())
        for name, bound in BOUNDS.items():
            checks.run(f"{name}: divergence from usual caches", check_divergence, llmc, name, bound, text)
        checks.run("tiny-llama: rows", check_rows, llmc, "tiny-llama", [])
        checks.run("tiny-llama: rows, portable attention", check_rows, llmc, "tiny-llama", ["--target", "cpu:x86-64-v3"])
        check_states(checks, llmc, "tiny-llama", os.path.join(MODELS, "tiny-llama"))
        check_states(checks, llmc, "bamba", random_models.bamba(os.path.join(work, "bamba")))
        checks.run("memory and metadata", check_memory, llmc)
        checks.run("sessions", check_session, llmc)
        checks.run("refusals", check_refusals, llmc)
    return checks.finish()


if __name__ == "__main__":
    raise SystemExit(main())
