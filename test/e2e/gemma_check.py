#!/usr/bin/env python3
"""Gemma 3 270M against what llama.cpp says of the same file (test/conformance/gemma).

    gemma_check.py --llmc build/bin/llmc --model gemma-3-270m-q4_k_m.gguf [--full]

Quick: three prompts in --exact (top-20 logits within 0.05, greedy ids up to the first choice whose recorded margin is under
0.05), all token ids, compiled library = just in time and one thread = two threads bit for bit. --full: every prompt, every
string through a file of its own, and perplexity (exact within 0.1 % of 13.9375, default mode at most 14.03).
"""
import argparse
import json
import os
import sys
import tempfile
import time

from harness import Checks, Llmc, same_bits, want

DATA = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "conformance", "gemma")
QUICK = ("hello", "capital", "list")
CLOSE = 0.05            # logits, and the margin under which two choices count as equal
PERPLEXITY = 13.9375    # float32, windows of 512, second halves
DEFAULT_LIMIT = 14.03


def load(name):
    with open(os.path.join(DATA, name), encoding="utf-8") as f:
        return json.load(f)


def check_top20(llmc, model, prompt):
    row = llmc.logits(model, prompt["ids"], "--exact")[-1]
    worst = max(abs(float(row[i]) - value) for i, value in prompt["top20"])
    want(worst <= CLOSE, f"a top-20 logit is off by {worst:.4f}, want at most {CLOSE}")
    return f"max error {worst:.4f}"


def check_greedy(llmc, model, prompt):
    ids, margins = prompt["greedy_ids"], prompt["greedy_margins"]
    sure = next((k for k, m in enumerate(margins) if m < CLOSE), len(ids))
    got = llmc.greedy(model, prompt["ids"], len(ids), "--exact")
    want(got[:sure] == ids[:sure], f"ids {got[:sure]}, want {ids[:sure]}")
    return f"{sure} sure ids"


def batch_ids(llmc, model, texts, special):
    rows = [dict(text=t, special=special) for t in texts]
    return json.loads(llmc.call("tokenize", "--batch", model, stdin=json.dumps(rows).encode()))


def check_batch(llmc, model, strings, key, special):
    rows = [s for s in strings if s["text"] is not None]  # JSON carries Unicode only; broken bytes go through files
    got = batch_ids(llmc, model, [s["text"] for s in rows], special)
    want(len(got) == len(rows), f"{len(got)} lists, want {len(rows)}")
    for s, ids in zip(rows, got):
        want(ids == s[key], f"{s['text'][:40]!r}: {ids[:12]}, want {s[key][:12]}")
    return f"{len(rows)} strings"


def check_files(llmc, model, strings, key, options):
    for s in strings:
        path = llmc.put("text", bytes.fromhex(s["bytes_hex"]))
        got = json.loads(llmc.call("tokenize", model, "-f", path, "--ids", *options))
        want(got == s[key], f"bytes {s['bytes_hex'][:40]}: {got[:12]}, want {s[key][:12]}")
    return f"{len(strings)} strings"


def hard_strings(strings):
    """Those that only a file can carry, or where reading special tokens' text makes a difference."""
    return [s for s in strings if s["ids_plain"] != s["ids_special"] or s["text"] is None]


def check_library(llmc, model, prompt):
    library = os.path.join(llmc.work, "gemma.so")
    llmc.call("compile", model, "-o", library)
    same_bits(llmc.logits(library, prompt["ids"]), llmc.logits(model, prompt["ids"]), "library and just in time")


def check_threads(llmc, model, prompt, *options):
    one, two = (llmc.logits(model, prompt["ids"], "-t", t, *options) for t in (1, 2))
    same_bits(one, two, "one thread and two")


def check_first_token(llmc, model):
    """A warm start: seconds from the command to the first token of a 16-token prompt; the best of ten runs, for the machine may be busy."""
    def once():
        start = time.monotonic()
        llmc.greedy(model, list(range(2, 18)), 1)
        return time.monotonic() - start
    seconds = min(once() for _ in range(10))
    want(seconds < 0.1, f"{seconds:.3f} s to the first token, want under 0.1")
    return f"{seconds:.3f} s"


def check_huge_pages(llmc, model, prompt):
    """The weights change their place during these steps."""
    off, on = (llmc.greedy(model, prompt["ids"], 200, "--huge-pages", how) for how in ("off", "auto"))
    want(off == on, f"ids {on}, want {off}")


def check_perplexity(llmc, model, low, high, *options):
    got = llmc.perplexity(model, os.path.join(DATA, "perplexity.txt"), "-c", 512, *options)
    want(low <= got <= high, f"{got:.4f}, want {low:.4f} to {high:.4f}")
    return f"{got:.4f}"


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--llmc", required=True)
    ap.add_argument("--model", required=True)
    ap.add_argument("--full", action="store_true")
    a = ap.parse_args()
    prompts, strings = load("reference_f32.json")["prompts"], load("tokenize.json")["strings"]
    chosen = prompts if a.full else [p for p in prompts if p["name"] in QUICK]
    checks = Checks()
    with tempfile.TemporaryDirectory(prefix="gemma-") as work:
        llmc = Llmc(a.llmc, work)
        for p in chosen:
            checks.run(f"top-20 logits: {p['name']}", check_top20, llmc, a.model, p)
            checks.run(f"greedy ids: {p['name']}", check_greedy, llmc, a.model, p)
        checks.run("token ids, as text", check_batch, llmc, a.model, strings, "ids_special", False)
        checks.run("token ids, with BOS", check_batch, llmc, a.model, strings, "ids_bos_special", True)
        files = strings if a.full else hard_strings(strings)
        checks.run("token ids, special text plain", check_files, llmc, a.model, files, "ids_plain", ["--no-special"])
        checks.run("token ids, special text read", check_files, llmc, a.model, files, "ids_special",
                   ["--no-special", "--parse-special"])
        prompt = next(p for p in prompts if p["name"] == "prose")
        checks.run("library = just in time", check_library, llmc, a.model, prompt)
        checks.run("first token in 0.1 s, warm", check_first_token, llmc, a.model)
        checks.run("huge pages change nothing", check_huge_pages, llmc, a.model, prompt)
        checks.run("1 thread = 2 threads", check_threads, llmc, a.model, prompt)
        checks.run("1 thread = 2 threads, exact", check_threads, llmc, a.model, prompt, "--exact")
        if a.full:
            checks.run("perplexity, exact", check_perplexity, llmc, a.model, PERPLEXITY * 0.999, PERPLEXITY * 1.001, "--exact")
            checks.run("perplexity, default", check_perplexity, llmc, a.model, 0.0, DEFAULT_LIMIT)
    return checks.finish()


if __name__ == "__main__":
    sys.exit(main())
