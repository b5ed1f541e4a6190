#!/usr/bin/env python3
"""Holds llmc's beam search to transformers' on the cases of hf_cases.py, recurrent models among them, with every way of stopping.

    beam_check.py CASES_DIR --llmc build/bin/llmc [--only a,b] [--tokens 16] [--verbose]

For each case transformers' generate(num_beams=...) runs without a cache (not every recurrent model's can be reordered), and `llmc run
--exact --beams` as often; the best sequence must be the same and its score within 1e-3, or the two best scores of the reference closer
than that. Ends with `N passed, N failed`. Needs torch and transformers (the environment that run.sh makes).
"""
import argparse
import json
import os
import subprocess
import sys
import warnings

os.environ.setdefault("HF_HUB_OFFLINE", "1")
import torch
import transformers

transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()
warnings.filterwarnings("ignore")
TOLERANCE = 1e-3
# beams, length penalty, early stopping, whether some tokens end a sequence
SETTINGS = [(4, 1.0, False, False), (3, 1.0, True, True), (4, 2.0, "never", True), (5, -1.0, False, True)]


def reference(model, ids, tokens, stops, beams, length_penalty, early_stopping):
    config = transformers.GenerationConfig(num_beams=beams, num_return_sequences=beams, do_sample=False, max_new_tokens=tokens,
                                           length_penalty=length_penalty, early_stopping=early_stopping, eos_token_id=stops or None,
                                           pad_token_id=0, use_cache=False, return_dict_in_generate=True, output_scores=True)
    with torch.no_grad():
        found = model.generate(torch.tensor([ids]), attention_mask=torch.ones(1, len(ids), dtype=torch.long), generation_config=config)
    return [row[len(ids):] for row in found.sequences.tolist()], found.sequences_scores.tolist()


def until_stop(ids, stops):
    ends = [i for i, token in enumerate(ids) if token in stops]
    return ids[:ends[0] + 1] if ends else ids


def ours(llmc, case, prompt, tokens, stops, beams, length_penalty, early_stopping):
    command = [llmc, "run", case, "--exact", "--tokens", ",".join(map(str, prompt)), "-n", str(tokens), "--beams", str(beams), "--ids", "--json",
               "--length-penalty", str(length_penalty), "--early-stopping", str(early_stopping).lower()]
    ran = subprocess.run(command + ([] if stops else ["--ignore-eos"]), capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if ran.returncode:
        raise RuntimeError(ran.stderr.strip().splitlines()[-1])
    found = json.loads(ran.stdout)
    return found["sequences"], found["scores"]


def stop_tokens(case):
    path = os.path.join(case, "generation_config.json")
    stops = json.load(open(path, encoding="utf-8")).get("eos_token_id") if os.path.exists(path) else None
    return stops if isinstance(stops, list) else [] if stops is None else [stops]


def check(llmc, case, tokens):
    """Yields (setting, what is wrong or None)."""
    prompt = json.load(open(os.path.join(case, "reference.json"), encoding="utf-8"))["prompts"]["p7"]
    model = transformers.AutoModelForCausalLM.from_pretrained(case, dtype=torch.float32, attn_implementation="eager").eval()
    for beams, penalty, early, ending in SETTINGS:
        stops = stop_tokens(case) if ending else []
        want, want_scores = reference(model, prompt, tokens, stops, beams, penalty, early)
        got, scores = ours(llmc, case, prompt, tokens, stops, beams, penalty, early)
        setting = f"beams {beams}, length penalty {penalty}, early stopping {early}{', stops ' + str(stops) if ending else ''}"
        best = until_stop(want[0], stops)
        tied = len(want_scores) > 1 and want_scores[0] - want_scores[1] < TOLERANCE
        if abs(scores[0] - want_scores[0]) > TOLERANCE:
            yield setting, f"score {scores[0]:.5f}, not {want_scores[0]:.5f}"
        elif got[0] != best and not tied:
            yield setting, f"best {got[0]}, not {best}"
        else:
            yield setting, None


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("cases")
    ap.add_argument("--llmc", required=True)
    ap.add_argument("--only", default="")
    ap.add_argument("--tokens", type=int, default=16)
    ap.add_argument("--verbose", action="store_true")
    a = ap.parse_args()
    torch.set_num_threads(1)
    passed = failed = 0
    for name in filter(None, a.only.split(",") if a.only else json.load(open(f"{a.cases}/index.json"))["cases"]):
        try:
            results = list(check(a.llmc, os.path.join(a.cases, name), a.tokens))
        except Exception as failure:
            results = [("", f"{type(failure).__name__}: {failure}")]
        wrong = [(setting, problem) for setting, problem in results if problem]
        passed, failed = passed + (not wrong), failed + bool(wrong)
        print(f"{'FAIL' if wrong else 'ok':5s} {name}")
        for setting, problem in (results if a.verbose else wrong):
            print(f"      {setting}: {problem or 'ok'}")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
