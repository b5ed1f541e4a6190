#!/usr/bin/env python3
"""Runs the tests of each decoding strategy, one by one.

    decoding_check.py --build build [--json decoding.json] [--rows]

--json writes [{"strategy", "options", "ok"}], which status.py --decoding turns into its table; --rows lists the strategies and runs nothing.
Ends with `N passed, N failed`. Standard library only.
"""
import argparse
import json
import os
import subprocess
import sys

# strategy, options of the command line, program in BUILD/unittests, its tests
STRATEGIES = [
    ("Greedy", "--temp 0", "SamplerTest", "Sampler.ZeroTemperature*:Sampler.FindsWhatSortingFinds"),
    ("Sampling with temperature, top-k, top-p, min-p", "--temp --top-k --top-p --min-p", "SamplerTest", "Sampler.*"),
    ("Repeat, presence and frequency penalty", "--repeat-penalty --presence-penalty --frequency-penalty", "SamplerChainTest", "SamplerChain.Penalties"),
    ("No repeated n-grams", "--no-repeat-ngram", "SamplerChainTest", "SamplerChain.NoRepeat*"),
    ("Logit bias", "--logit-bias", "SamplerChainTest", "SamplerChain.LogitBias"),
    ("DRY", "--dry-multiplier", "SamplerChainTest", "SamplerChain.Dry*"),
    ("Top-n-sigma", "--top-nsigma", "SamplerChainTest", "SamplerChain.TopNSigma"),
    ("Locally typical", "--typical", "SamplerChainTest", "SamplerChain.Typical"),
    ("XTC", "--xtc-probability", "SamplerChainTest", "SamplerChain.Xtc"),
    ("Dynamic temperature", "--dynatemp-range", "SamplerChainTest", "SamplerChain.DynamicTemperature"),
    ("Temperature schedules", "--temp-schedule", "SamplerChainTest", "SamplerChain.TemperatureSchedule:TemperatureSchedule.*"),
    ("Mirostat 1 and 2", "--mirostat", "SamplerChainTest", "SamplerChain.Mirostat*"),
    ("Any order of samplers", "--samplers", "SamplerChainTest", "SamplerChain.GoesInTheOrderGiven:SamplerChain.LeavesOut*"),
    ("Beam search", "--beams --length-penalty --early-stopping", "EngineTest", "GenerateBeams.*"),
    ("Beam search, scores of transformers", "--beams", "BeamSearchTest", "BeamSearch.*"),
    ("Self-consistency", "--samples --vote --answer", "EngineTest", "GenerateSamples.*:AnswerFinder.*:CountVotes.*"),
    ("Prompt lookup", "--lookup", "EngineTest", "GenerateGuesses.Lookup*:GenerateGuesses.KeepTheDistribution:GenerateGuesses.Ends*"),
    ("Draft model", "--draft", "EngineTest", "GenerateGuesses.ADraft*:GenerateGuesses.AShort*"),
]


def run(build, program, tests):
    """True, False, or None if the program is not there. A filter that selects no test is a failure."""
    path = os.path.join(build, "unittests", program)
    if not os.path.exists(path):
        return None
    ran = subprocess.run([path, f"--gtest_filter={tests}"], capture_output=True, text=True)
    return ran.returncode == 0 and "Running 0 tests" not in ran.stdout


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--build", default="build")
    ap.add_argument("--json")
    ap.add_argument("--rows", action="store_true")
    a = ap.parse_args()
    results = [{"strategy": name, "options": options, "ok": None if a.rows else run(a.build, program, tests)}
               for name, options, program, tests in STRATEGIES]
    for row in results:
        print(f"{ {True: 'ok', False: 'FAIL', None: '-'}[row['ok']]:5s} {row['strategy']}")
    if a.json:
        json.dump(results, open(a.json, "w", encoding="utf-8"), indent=1)
    passed, failed = sum(r["ok"] is True for r in results), sum(r["ok"] is not True for r in results)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed and not a.rows else 0


if __name__ == "__main__":
    sys.exit(main())
