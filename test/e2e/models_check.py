#!/usr/bin/env python3
"""The demonstration models of examples/models answer and foretell as their model cards say.

    models_check.py --bin build/bin [--only tiny-mamba2,...]

For each file NAME.json in test/e2e/models, which examples/models/training/card.py wrote with Hugging Face transformers:
questions that no training text holds, answered through `llmc run`; stories of another seed; a story's beginning. In --exact
every answer is that of transformers, so the card's accuracy is reached; the perplexity is within 1 %. The default mode, which
rounds more, may lose 4 % of the questions.
"""
import argparse
import glob
import json
import math
import os
import sys
import tempfile

from harness import Checks, Llmc, want

HERE = os.path.dirname(os.path.abspath(__file__))
MODELS = os.path.join(HERE, "..", "..", "examples", "models")
sys.path.insert(0, os.path.join(MODELS, "training"))

from questions import KINDS, training_questions  # noqa: E402

PERPLEXITY_TOLERANCE = 0.01
DEFAULT_MODE_LOSS = 0.04
CLOSE = 1e-3  # logits: where transformers' choice was that close, either is right


def continued(llmc, library, prompt, count):
    """The ids that follow a prompt, greedily."""
    text = llmc.call("run", library, "-p", prompt, "-n", count, "--temp", 0, "--ids", "-q").decode().strip()
    return [int(i) for i in text.split(",") if i]


def check_held_out(questions):
    for kind, asked in questions.items():
        trained = {q.prompt for q in training_questions(kind)}
        for q in asked:
            want(q["prompt"] not in trained, f"{q['prompt']!r} is in the training text")
    want(set(questions) == set(KINDS), f"kinds {sorted(questions)}, want {sorted(KINDS)}")


def check_compiles(llmc, folder, library, *options):
    llmc.call("compile", folder, "-o", library, *options)


def answers(llmc, library, asked):
    return [continued(llmc, library, q["prompt"], len(q["ids"])) for q in asked]


def right(asked, got):
    return sum(g == q["ids"] for q, g in zip(asked, got)) / len(asked)


def check_exact(llmc, library, asked, stated):
    got = answers(llmc, library, asked)
    for q, ids in zip(asked, got):
        want(ids == q["greedy"] or q["margin"] < CLOSE, f"{q['prompt']!r}: ids {ids}, transformers' are {q['greedy']}")
    share = right(asked, got)
    want(share >= stated, f"{100 * share:.1f} % of the answers are right, want {100 * stated:.1f} %")
    return f"{100 * share:.0f} % of {len(asked)} right"


def check_default(llmc, library, questions, accuracy):
    asked = [q for kind in questions.values() for q in kind]
    stated = sum(accuracy[kind] * len(qs) for kind, qs in questions.items()) / len(asked)
    share = right(asked, answers(llmc, library, asked))
    want(share >= stated - DEFAULT_MODE_LOSS, f"{100 * share:.1f} % of the answers are right, want {100 * stated:.1f} % less 4 %")
    return f"{100 * share:.1f} % of {len(asked)} right"


def check_perplexity(llmc, library, stories, stated):
    total = scored = 0
    for ids in stories:
        result = json.loads(llmc.call("eval", "perplexity", library, "--tokens-file", llmc.put("story.json", ids), "--json"))
        total += result["mean_nll"] * (len(ids) - 1)
        scored += len(ids) - 1
    got = math.exp(total / scored)
    want(abs(got - stated) <= PERPLEXITY_TOLERANCE * stated, f"{got:.4f}, want {stated:.4f} within 1 %")
    return f"{got:.4f}, the card's {stated:.4f}"


def check_story(llmc, library, story):
    got = continued(llmc, library, story["prompt"], len(story["greedy"]))
    want(got == story["greedy"], f"ids {got[:24]}..., transformers' are {story['greedy'][:24]}...")


def check_model(checks, llmc, name, data):
    folder = os.path.join(MODELS, name)
    exact, fast = (os.path.join(llmc.work, f"{name}-{mode}.so") for mode in ("exact", "default"))
    checks.run(f"{name}: questions are held out", check_held_out, data["questions"])
    checks.run(f"{name}: compiles, exact", check_compiles, llmc, folder, exact, "--exact")
    for kind, asked in data["questions"].items():
        checks.run(f"{name}: {kind}", check_exact, llmc, exact, asked, data["accuracy"][kind])
    checks.run(f"{name}: perplexity", check_perplexity, llmc, exact, data["stories"], data["perplexity"])
    checks.run(f"{name}: a story", check_story, llmc, exact, data["story"])
    checks.run(f"{name}: compiles", check_compiles, llmc, folder, fast)
    checks.run(f"{name}: questions, default mode", check_default, llmc, fast, data["questions"], data["accuracy"])
    checks.run(f"{name}: perplexity, default mode", check_perplexity, llmc, fast, data["stories"], data["perplexity"])


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--bin", required=True)
    ap.add_argument("--only")
    a = ap.parse_args()
    checks = Checks()
    with tempfile.TemporaryDirectory(prefix="models-") as work:
        llmc = Llmc(os.path.abspath(os.path.join(a.bin, "llmc")), work)
        for path in sorted(glob.glob(os.path.join(HERE, "models", "*.json"))):
            name = os.path.splitext(os.path.basename(path))[0]
            if a.only is None or name in a.only.split(","):
                with open(path, encoding="utf-8") as f:
                    check_model(checks, llmc, name, json.load(f))
    return checks.finish()


if __name__ == "__main__":
    sys.exit(main())
