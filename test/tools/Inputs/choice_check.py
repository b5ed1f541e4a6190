"""Compares the likelihoods of `llmc eval choice --json` with those of `llmc eval logits`: choice_check.py LLMC MODEL QUESTIONS LINES."""
import json
import math
import os
import subprocess
import sys
import tempfile

import npy

llmc, model, questions, lines = sys.argv[1:]


def tokenize(text):
    return json.loads(subprocess.run([llmc, "tokenize", model, text, "--ids"], capture_output=True, text=True, check=True).stdout)


def likelihood(prompt, choice):
    ids, first = tokenize(prompt + choice), len(tokenize(prompt))
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "logits.npy")
        subprocess.run([llmc, "eval", "logits", model, "--exact", "--tokens", ",".join(map(str, ids)), "-o", path], check=True)
        logits = npy.load(path)
    total = 0.0
    for row, token in zip(logits[first - 1 : -1], ids[first:]):
        most = max(row)
        total += row[token] - most - math.log(sum(math.exp(x - most) for x in row))
    return total


same = every = 0
for question, line in zip(map(json.loads, open(questions)), map(json.loads, open(lines))):
    prompt, choices = question.get("prompt"), question["choices"]
    if prompt is None:
        letters = "ABCDEFGH"[: len(choices)]
        prompt = question["question"] + "\n" + "".join(f"{letter}. {text}\n" for letter, text in zip(letters, choices)) + "Answer:"
        choices = [" " + letter for letter in letters]
    for choice, got in zip(choices, line["log_likelihood"]):
        want = likelihood(prompt, choice)
        every += 1
        same += abs(got - want) < 1e-3
        if abs(got - want) >= 1e-3:
            print(f"{choice!r}: {got}, want {want}")
print(f"{same} of {every} likelihoods as of eval logits")
