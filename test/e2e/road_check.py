#!/usr/bin/env python3
"""The whole road on the small models of this repository: every way in and out gives the same numbers.

    road_check.py --bin build/bin

Import, compile, just in time, compiled library, embedded weights, llmc-run, thread counts; and what a user sees when
something is wrong: exit status, and one line that names it.
"""
import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

from harness import Checks, Llmc, same_bits, want

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TINY = os.path.join(ROOT, "examples", "models", "tiny-llama")
PROMPT = "One windy evening, Rosa went to the harbour."
# Hugging Face transformers' greedy text (float32) after PROMPT.
STORY = (" The wind moved the trees. There she saw a white fox. The fox was cold. Rosa was happy and smiled. She gave the fox "
         "an apple. \"Do not be afraid,\" said Rosa. \"I will help you.\" The next day Emma came to the river.")
ALLOWED = {"libc", "libm", "libstdc++", "libgcc_s", "linux-vdso", "ld-linux-x86-64"}


def ids_of(llmc, text=PROMPT):
    return json.loads(llmc.call("tokenize", TINY, "-f", llmc.put("prompt.txt", text.encode()), "--ids"))


def compiled(llmc, *options, name="tiny.so"):
    path = os.path.join(llmc.work, name)
    if not os.path.exists(path):
        llmc.call("compile", TINY, "-o", path, *options)
    return path


def check_text(llmc):
    text = llmc.call("run", TINY, "-p", PROMPT, "-n", 80, "--temp", 0, "--exact").decode()
    want(STORY in text, f"wrote {text[:200]!r}, want {STORY[:60]!r}...")


def check_import(llmc):
    folder = shutil.copytree(TINY, os.path.join(llmc.work, "imported"))
    llmc.call("import", folder, "-o", os.path.join(folder, "model.mlir"))
    ids = ids_of(llmc)
    same_bits(llmc.logits(os.path.join(folder, "model.mlir"), ids, "--exact"), llmc.logits(TINY, ids, "--exact"),
              "model.mlir and its source")


def check_library(llmc, *options):
    ids = ids_of(llmc)
    library = compiled(llmc, *options, name=f"tiny{''.join(options)}.so")
    same_bits(llmc.logits(library, ids, *options), llmc.logits(TINY, ids, *options), "library and just in time")


def check_warm_start(llmc):
    """What the cache holds starts without the compiler: 10 ms here, so that ten times as much is no accident of a busy machine."""
    words = ["run", TINY, "--tokens", "3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18", "-n", 1, "--temp", 0, "--ids", "--ignore-eos"]
    llmc.call(*words)
    times = []
    for _ in range(10):
        begin = time.perf_counter()
        llmc.call(*words)
        times.append(time.perf_counter() - begin)
        if times[-1] < 0.1:
            break
    want(min(times) < 0.1, f"the first token of a 16-token prompt came after {min(times) * 1e3:.0f} ms, want less than 100")
    return f"{times[-1] * 1e3:.0f} ms"


def check_threads(llmc, *options):
    ids = ids_of(llmc)
    same_bits(llmc.logits(TINY, ids, "-t", 1, *options), llmc.logits(TINY, ids, "-t", 2, *options), "one thread and two")


def check_steps(llmc):
    """The one-token step and the chunk agree: greedy by steps picks what the logits of the whole say."""
    ids = ids_of(llmc)
    new = llmc.greedy(TINY, ids, 24, "--exact", "--ignore-eos")
    rows = llmc.logits(TINY, ids + new[:-1], "--exact")[len(ids) - 1:]
    want([int(r.argmax()) for r in rows] == new, f"steps {new}, whole {[int(r.argmax()) for r in rows]}")


def check_cache(llmc):
    ids = ids_of(llmc)
    same_bits(llmc.logits(TINY, ids), llmc.logits(TINY, ids, "--no-cache"), "cached and --no-cache")


def run_binary(binary, library, cwd=None):
    r = subprocess.run([binary, library, "-p", PROMPT, "-n", "40", "--temp", "0"], capture_output=True, timeout=120, cwd=cwd)
    want(r.returncode == 0, f"llmc-run: exit {r.returncode}: {r.stderr.decode(errors='replace').strip()[-200:]}")
    return r.stdout.decode()


def check_llmc_run(llmc, binary):
    jit = llmc.call("run", TINY, "-p", PROMPT, "-n", 40, "--temp", 0).decode()
    aot = run_binary(binary, compiled(llmc))
    want(aot.strip() == jit.strip(), f"llmc-run wrote {aot[:80]!r}, llmc run {jit[:80]!r}")


def check_embedded(llmc, binary):
    library = compiled(llmc, "--embed-weights", name="embedded.so")
    with tempfile.TemporaryDirectory(prefix="alone-") as empty:
        moved = shutil.copy(library, empty)
        want(os.listdir(empty) == ["embedded.so"], f"more than one file: {os.listdir(empty)}")
        text = run_binary(binary, moved, cwd=empty)
    want(text.strip() == run_binary(binary, compiled(llmc)).strip(), f"embedded weights wrote {text[:80]!r}")


def check_dependencies(paths):
    for path in paths:
        out = subprocess.run(["ldd", path], capture_output=True, text=True, check=True).stdout
        names = {re.split(r"[.]so|[.]\d", os.path.basename(line.split()[0]))[0] for line in out.splitlines() if line.split()}
        want(names <= ALLOWED, f"{os.path.basename(path)} needs {sorted(names - ALLOWED)}")


def check_stripped(llmc, binary):
    library = shutil.copy(compiled(llmc, "--embed-weights", name="embedded.so"), os.path.join(llmc.work, "cut.so"))
    with open(library, "r+b") as f:
        f.truncate(os.path.getsize(library) - 4096)
    r = subprocess.run([binary, library, "-p", "x", "-n", "1"], capture_output=True, timeout=60)
    want(r.returncode == 1, f"cut library: exit {r.returncode}, want 1")
    want("cut.so" in r.stderr.decode(), f"the message does not name the file: {r.stderr.decode()[-200:]!r}")


def refused(llmc, status, mentions, *args):
    llmc.call(*args, status=status)
    want(llmc.stderr, "nothing on stderr")
    want(any(mentions in line for line in llmc.stderr), f"no line mentions '{mentions}': {llmc.stderr[-1][:200]}")


def altered(llmc, name, change):
    """tiny-llama with one change to its config.json."""
    folder = os.path.join(llmc.work, name)
    shutil.copytree(TINY, folder)
    path = os.path.join(folder, "config.json")
    config = json.load(open(path))
    change(config)
    json.dump(config, open(path, "w"))
    return folder


def check_unknown_family(llmc):
    folder = altered(llmc, "strange", lambda c: c.update(model_type="strange_lm", architectures=["StrangeForCausalLM"]))
    refused(llmc, 3, "strange_lm", "import", folder, "-o", os.path.join(llmc.work, "x.mlir"))


def check_wrong_shape(llmc):
    folder = altered(llmc, "wide", lambda c: c.update(intermediate_size=500))
    refused(llmc, 1, "mlp", "import", folder, "-o", os.path.join(llmc.work, "x.mlir"))


def check_overflow(llmc):
    ids = llmc.put("many.json", [5] * 40)
    refused(llmc, 1, "32", "run", TINY, "--tokens-file", ids, "-n", 4, "-c", 32, "--ids")


def check_missing(llmc):
    refused(llmc, 1, "no-such-model.gguf", "run", os.path.join(llmc.work, "no-such-model.gguf"), "-p", "x")


def check_token_range(llmc):
    ids = llmc.put("wild.json", [5, 1 << 30])
    refused(llmc, 1, str(1 << 30), "eval", "logits", TINY, "--tokens-file", ids, "-o", os.path.join(llmc.work, "x.npy"))


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--bin", required=True)
    a = ap.parse_args()
    binary = os.path.abspath(os.path.join(a.bin, "llmc-run"))
    checks = Checks()
    with tempfile.TemporaryDirectory(prefix="road-") as work:
        os.environ["XDG_CACHE_HOME"] = os.path.join(work, "cache")  # nothing comes from an earlier run
        llmc = Llmc(os.path.abspath(os.path.join(a.bin, "llmc")), work)
        checks.run("tells a story", check_text, llmc)
        checks.run("model.mlir = its source", check_import, llmc)
        checks.run("library = just in time", check_library, llmc)
        checks.run("library = just in time, exact", check_library, llmc, "--exact")
        checks.run("starts warm in 100 ms", check_warm_start, llmc)
        checks.run("1 thread = 2 threads", check_threads, llmc)
        checks.run("1 thread = 2 threads, exact", check_threads, llmc, "--exact")
        checks.run("steps = whole", check_steps, llmc)
        checks.run("cached = fresh", check_cache, llmc)
        checks.run("llmc-run = llmc run", check_llmc_run, llmc, binary)
        checks.run("embedded weights, alone in a folder", check_embedded, llmc, binary)
        checks.run("a library that was cut is refused", check_stripped, llmc, binary)
        checks.run("few dependencies", lambda: check_dependencies([compiled(llmc), binary]))
        checks.run("unknown family: exit 3", check_unknown_family, llmc)
        checks.run("wrong shape: exit 1", check_wrong_shape, llmc)
        checks.run("context overflow: exit 1", check_overflow, llmc)
        checks.run("missing file: exit 1", check_missing, llmc)
        checks.run("token out of range: exit 1", check_token_range, llmc)
    return checks.finish()


if __name__ == "__main__":
    sys.exit(main())
