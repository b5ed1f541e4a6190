#!/usr/bin/env python3
"""test/benchmark/ledger on a small model: passes that change the step are measured, others are named, and results are kept.

    ledger_test.py --bin build/bin
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "e2e")]
from harness import Checks, want  # noqa: E402

MODEL = os.path.join(ROOT, "examples", "models", "tiny-llama")


def ledger(binaries, folder, *more):
    command = [os.path.join(HERE, "ledger"), "--llmc", os.path.join(binaries, "llmc"), "--pairs", "1", "-p", "8", "-n", "4",
               "--characters", "1500", "--lock", os.path.join(folder, "lock"), "-o", os.path.join(folder, "ledger.json"), "--page", os.path.join(folder, "ledger.md"), *more]
    done = subprocess.run([sys.executable, *command], capture_output=True, text=True)
    want(done.returncode == 0, f"exit status {done.returncode}: {done.stderr[-800:]}")
    with open(os.path.join(folder, "ledger.json"), encoding="utf-8") as file:
        return json.load(file), open(os.path.join(folder, "ledger.md"), encoding="utf-8").read(), done.stderr


def check_ledger(binaries, folder):
    names = "llm-fuse-glu,llm-chunk-scan,--huge-pages"   # tiny-llama has no recurrence
    results, page, _ = ledger(binaries, folder, "--models", MODEL, "--without=" + names)
    found = results["models"]["tiny-llama"]["found"]
    want(set(found) == {"", *names.split(",")} and found["llm-chunk-scan"] is None, f"measured: {found}")
    for name in ("", "llm-fuse-glu", "--huge-pages"):
        one = found[name]
        want(0.02 < one["prompt"] < 50 and 0.02 < one["token"] < 50 and one["peak_bytes"] > 1e6 and 0 < one["kld"] < 0.1, f"{name}: {one}")
    for shown in ("| nothing |", "| `llm-fuse-glu` |", "| huge pages |", "nothing in this model's step: `llm-chunk-scan`.", f"{found['']['kld']:.6f}"):
        want(shown in page, f"the page lacks {shown}")
    want("--models tiny-llama" in page and ROOT not in page, "the page names places of this machine")
    want("lock" not in page, "the page names the lock")


def check_kept(binaries, folder):
    before = ledger(binaries, folder, "--models", MODEL, "--without=llm-fuse-glu")[0]
    after, _, said = ledger(binaries, folder, "--models", MODEL, "--without=llm-fuse-glu")
    want(after == before and "without" not in said, "what was known was measured again")


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--bin", required=True)
    a = ap.parse_args()
    checks = Checks()
    with tempfile.TemporaryDirectory() as folder:
        checks.run("a ledger of a small model", lambda: check_ledger(a.bin, folder))
        checks.run("what was measured is kept", lambda: check_kept(a.bin, folder))
    sys.exit(checks.finish())


if __name__ == "__main__":
    main()
