#!/usr/bin/env python3
"""Prompt lookup on summarising prompts: the very text of plain greedy decoding, and at least 1.5 times as fast where it counts.

    lookup_check.py --llmc build/bin/llmc --model gemma.gguf [-t THREADS] [--repeat 5]

Plain and guessing runs take turns; speeds are the best of their runs, tokens after the first. Ends with `N passed, N failed`. Standard library only.
"""
import argparse
import re
import subprocess
import sys

TEXT = (
    "The Harbour Council met on Tuesday to discuss the future of the old lighthouse at Gull Point. The lighthouse was built in 1874 and has "
    "not been used since 1988. Mrs. Eleanor Whitcombe, who chairs the council, said that the repair of the tower would cost about 240,000 "
    "pounds. The council has 90,000 pounds in its restoration fund. Mr. Daniel Okafor, the council's engineer, said that the lantern room is "
    "unsafe and that the stairs must be replaced before any visitor may enter. The Friends of Gull Point, a group of 130 local people, "
    "offered to raise 60,000 pounds by next summer. The council voted by seven to two to accept the offer and to apply to the National "
    "Heritage Fund for the remaining 90,000 pounds. Work may begin in April if the application succeeds.")
# name, prompt, tokens, how many times as fast it has to be
PROMPTS = [("TL;DR", TEXT + "\n\nTL;DR:", 64, 1.5),
           ("summary", "Article: " + TEXT + "\n\nSummary:", 64, 1.0),
           ("main points", TEXT + "\n\nThe main points of the text above, one sentence each:\n\n1. The Harbour Council", 64, 1.0)]


def generate(a, prompt, tokens, options):
    """(text, tokens per second, what was guessed)."""
    command = [a.llmc, "run", a.model, "-p", prompt, "-n", str(tokens), "--temp", "0"] + (["-t", a.threads] if a.threads else []) + options
    ran = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if ran.returncode:
        raise RuntimeError(ran.stderr.strip().splitlines()[-1])
    speed = re.search(r"generated: \d+ tokens, ([\d.]+) tokens/s", ran.stderr)
    guessed = re.search(r"guessed: (\d+) tokens, (\d+) accepted", ran.stderr)
    return ran.stdout, float(speed[1]), guessed and (int(guessed[1]), int(guessed[2]))


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--llmc", required=True)
    ap.add_argument("--model", required=True)
    ap.add_argument("-t", "--threads")
    ap.add_argument("--repeat", type=int, default=5)
    a = ap.parse_args()
    passed = failed = 0
    print(f"{'prompt':12s} {'tokens':>6s} {'plain':>8s} {'lookup':>8s} {'ratio':>6s} {'guessed':>8s} {'accepted':>8s}")
    for name, prompt, tokens, least in PROMPTS:
        plain, guessing = [], []
        for _ in range(a.repeat):
            plain.append(generate(a, prompt, tokens, []))
            guessing.append(generate(a, prompt, tokens, ["--lookup", "16"]))
        slow, fast = (max(speed for _, speed, _ in runs) for runs in (plain, guessing))
        guessed, accepted = guessing[0][2] or (0, 0)
        print(f"{name:12s} {tokens:6d} {slow:8.1f} {fast:8.1f} {fast / slow:6.2f} {guessed:8d} {accepted:8d}")
        same = len({text for text, _, _ in plain + guessing}) == 1
        for ok, what in ((same, "the texts differ"), (fast >= least * slow, f"{fast / slow:.2f} times as fast, want {least}"), (accepted > 0, "nothing was accepted")):
            passed, failed = passed + ok, failed + (not ok)
            if not ok:
                print(f"FAIL  {name}: {what}")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
