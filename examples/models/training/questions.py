#!/usr/bin/env python3
"""Writes questions in plain text whose answers can be checked: the other half of what the demonstration models learn.

    questions.py --kind sum --count 5 --seed 1

Four kinds: sums and differences of numbers up to two digits, copying of a short list, look-up of a fact given before. A
question is held out of training when a checksum of its text says so, so no held-out question occurs in a training text,
whatever the seeds. The output is a pure function of the arguments. Standard library only.
"""
import argparse
import os
import random
import sys
import zlib

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tiny-llama"))

from generate_text import ANIMALS, COLOURS, PEOPLE, THINGS  # noqa: E402  the world of tiny-llama

WORDS = [name for name, _ in PEOPLE] + THINGS + ANIMALS + COLOURS
NAMES = [name for name, _ in PEOPLE]
HELD_OUT_ONE_IN = 10
TRAINING_SEED, TRAINING_COUNT = 1, 20000  # of each kind


class Question:
    """`prompt + answer` is the question and its answer; `more` may tell the rest of the facts."""

    def __init__(self, prompt, answer, more=""):
        self.prompt, self.answer, self.more = prompt, answer, more

    def text(self):
        return self.prompt + self.answer + self.more

    def held_out(self):
        return zlib.crc32(self.prompt.encode()) % HELD_OUT_ONE_IN == 0


def sum_of(a, b):
    return Question(f"{a} + {b} =", f" {a + b}")


def difference_of(a, b):
    return Question(f"{a} - {b} =", f" {a - b}")


def sum_question(r):
    return sum_of(r.randrange(100), r.randrange(100))


def difference_question(r):
    a, b = r.randrange(100), r.randrange(100)
    return difference_of(max(a, b), min(a, b))


def copy_question(r):
    words = " ".join(r.sample(WORDS, r.randint(3, 8)))
    return Question(f"Say again: {words}. Again:", f" {words}.")


def lookup_question(r):
    count = r.randint(2, 6)
    facts = [f" {name} {thing}" for name, thing in zip(r.sample(NAMES, count), r.sample(THINGS, count))]
    told = ",".join(facts)
    r.shuffle(facts)  # asked in any order, so that only the name tells which thing it is
    name, thing = facts.pop().split()
    return Question(f"Who has what:{told}. Look up: {name}", f" {thing}", "".join(f",{fact}" for fact in facts) + ".")


KINDS = dict(sum=sum_question, difference=difference_question, copy=copy_question, lookup=lookup_question)


def questions(kind, count, seed, held_out=False):
    """`count` questions of one kind, none twice among held-out ones."""
    r = random.Random(f"{kind} {seed}")
    out, seen = [], set()
    while len(out) < count:
        q = KINDS[kind](r)
        if q.held_out() != held_out or held_out and q.prompt in seen:
            continue
        seen.add(q.prompt)
        out.append(q)
    return out


def training_questions(kind):
    """All that the demonstration models were trained on."""
    return questions(kind, TRAINING_COUNT, TRAINING_SEED)


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--kind", choices=sorted(KINDS), required=True)
    ap.add_argument("--count", type=int, default=10)
    ap.add_argument("--seed", type=int, default=1)
    ap.add_argument("--held-out", action="store_true")
    a = ap.parse_args()
    for q in questions(a.kind, a.count, a.seed, a.held_out):
        print(q.text())


if __name__ == "__main__":
    main()
