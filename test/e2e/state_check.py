#!/usr/bin/env python3
"""Sequences go back, fork and are kept, through the C ABI of compiled models: logits as if nothing else had ever been.

    state_check.py --bin build/bin [--cases DIR]

One model for each kind of state: attention caches, sliding windows, recurrences, and both (random weights: random_models.py). `--cases`: a
folder of conformance cases (hf_cases.py) to take instead of these and the goldens of this repository. Compiled with --exact: attention must agree to
the bit where the steps are the same, everything else to rounding.
"""
import argparse
import os
import sys
import tempfile

import numpy as np

from abi import CANCELLED, IGNORE_EOS, NO_LOGITS, NO_PREFIX_REUSE, WANT_LAST, AbiError, Context, Library
import random_models
from harness import Checks, Llmc, same_bits, want

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TINY = os.path.join(ROOT, "examples", "models", "tiny-llama")
# Of each kind: cases that have it; those that are there are taken.
RECURRENT = ("mamba", "mamba2", "falcon_mamba", "rwkv")
HYBRID = ("recurrent_gemma", "jamba", "bamba", "zamba2", "nemotron_h", "granitemoehybrid", "lfm2", "qwen3_next")
ATTENTION = ("gemma3_text", "gpt2")
LENGTH = 70  # of the sequences: longer than the goldens' windows, shorter than their contexts


class Kind:
    """A compiled model, and how well its numbers must agree."""

    def __init__(self, library, fixed):
        self.library, self.fixed = library, fixed

    def context(self, **options):
        return Context(self.library, **{"context": 128, "slots": 3, "threads": 2, **options})

    def ids(self, count, seed=1):
        return [int(i) for i in np.random.default_rng(seed).integers(3, self.library.info.vocab, count)]

    def agree(self, got, wanted, what):
        """To the bit for attention, to rounding where tokens are run again in other steps."""
        if not self.fixed:
            return same_bits(got, wanted, what)
        return close(got, wanted, what)


def close(got, wanted, what):
    want(got.shape == wanted.shape, f"{what}: shapes {got.shape} and {wanted.shape}")
    difference, scale = np.abs(got - wanted).max(), np.abs(wanted).max()
    want(difference <= 2e-4 * scale, f"{what}: differ by {difference:.2e}, the largest is {scale:.1f}")


def fresh(kind, *requests):
    """The rows of the last request in a context that has seen nothing but these."""
    with kind.context(slots=1, checkpoints=-1) as context:
        for ids in requests:
            rows = context.eval(ids)
    return rows


def check_chunks(kind):
    """One by one, in two halves, at once: a chunk longer than a window reads keys before they are overwritten."""
    ids = kind.ids(LENGTH)
    whole = fresh(kind, ids)
    close(np.concatenate([fresh(kind, ids[:33]), fresh(kind, ids[:33], ids[33:])]), whole, "two requests and one")
    with kind.context() as context:
        close(np.concatenate([context.eval([i]) for i in ids]), whole, "single tokens and one request")


def check_rollback(kind, checkpoints):
    ids, more = kind.ids(LENGTH), kind.ids(20, seed=2)
    with kind.context(checkpoints=checkpoints) as context:
        for length in (LENGTH - 1, LENGTH // 2, 16, 3, 1, 0):
            context.clear()
            context.eval(ids[:40])
            for i in ids[40:]:
                context.eval([i])
            context.rollback(length)
            rows = context.eval(more)
            before = [ids[:length]] if length <= 40 else [ids[:40], *([i] for i in ids[40:length])]
            kind.agree(rows, fresh(kind, *(b for b in before if b), more), f"after rolling back to {length}")
            context.rollback(length)  # again, from there
            want(context.pending() == 0 or checkpoints != 0, f"behind by {context.pending()} tokens at {length}, the second time")
            close(context.eval(more), rows, f"after rolling back to {length} once more")


def check_fork(kind):
    ids, one, two = kind.ids(LENGTH), kind.ids(20, seed=2), kind.ids(20, seed=3)
    with kind.context() as context:
        context.eval(ids)
        context.fork(0, 2)
        # Both go on in one step, their tokens mixed.
        mixed = [i for pair in zip(one, two) for i in pair]
        rows = context.eval(mixed, slots=[0, 2] * 20)
        close(rows[0::2], fresh(kind, ids, one), "the source")
        close(rows[1::2], fresh(kind, ids, two), "the fork")
        context.clear(0)
        context.rollback(LENGTH, slot=2)
        want(context.pending(2) == 0, f"the fork is behind by {context.pending(2)}: it lost its checkpoints")
        kind.agree(context.eval(one, slot=2), fresh(kind, ids, one), "the fork, rolled back")


def check_second_turn(kind):
    prompt = kind.ids(LENGTH)
    with kind.context() as context:
        answer, _, first = context.generate(prompt, 12)
        want(first.cached_tokens == 0, f"cached {first.cached_tokens} of the first prompt")
        second = prompt + answer + kind.ids(9, seed=4)
        told, rows, stats = context.generate(second, 8)
        held = len(prompt) + len(answer) - 1  # the last one was drawn, not evaluated
        want(stats.cached_tokens == held, f"second turn: cached {stats.cached_tokens} of {len(second)} tokens, want {held}")
        again, plain, _ = context.generate(second, 8, slot=1, flags=IGNORE_EOS | NO_PREFIX_REUSE)
        want(told == again, f"wrote {told}, without reuse {again}")
        close(rows, plain, "second turn and its whole prompt")
        # Another answer to the first prompt, and the same once more.
        other = prompt + [i for i in kind.ids(10, seed=5) if i != answer[0]][:5]  # nothing of the answer is a prefix of it
        _, rows, stats = context.generate(other, 4)
        want(stats.cached_tokens == len(prompt), f"another answer: cached {stats.cached_tokens}, want {len(prompt)}")
        close(rows[:1], fresh(kind, other)[-1:], "another answer")
        repeated, rows, stats = context.generate(prompt, 12)
        want(stats.cached_tokens >= len(prompt) - 1, f"the same prompt: cached {stats.cached_tokens}")
        want(repeated == answer, f"the same prompt wrote {repeated}, want {answer}")


def check_save(kind):
    ids, more = kind.ids(LENGTH), kind.ids(20, seed=2)
    with kind.context() as context, kind.context(slots=2, context=100) as other:
        context.eval(ids[:30])
        context.eval(ids[30:])
        expected = context.save()
        other.restore(expected, slot=1)
        context.rollback(LENGTH)
        kind.agree(other.eval(more, slot=1), context.eval(more), "the restored sequence")
        other.rollback(30, slot=1)
        want(other.pending(1) == 0, "the checkpoints were not restored")
        kind.agree(other.eval(more, slot=1), fresh(kind, ids[:30], more), "the restored sequence, rolled back")
        for at in (0, 30, 60, len(expected) // 2, len(expected) - 1):
            damaged = bytearray(expected)
            damaged[at] ^= 1
            try:
                other.restore(bytes(damaged), slot=0)
                want(False, f"damage at byte {at} was not noticed")
            except AbiError as e:
                want(e.code == 1, f"damage at byte {at}: {e}")


def check_stopped(kind):
    """A request that ends early in its first or a later step leaves the sequence as it was."""
    ids, more = kind.ids(30), kind.ids(20, seed=2)
    step, room = kind.library.info.max_step_tokens, kind.library.info.context
    longer = step + 20 + len(ids)  # more than one step, where the model has the positions
    requests = [kind.ids(40, seed=6)] + [kind.ids(step + 20, seed=7)] * (longer <= room)
    with kind.context(context=min(longer, room), slots=1) as context:
        context.eval(ids)
        for long in requests:
            for after in (1, 2):
                if after == 2 and len(long) <= step:
                    continue
                try:
                    context.eval(long, stop_after=after)
                    want(False, "the callback did not end the request")
                except AbiError as e:
                    want(e.code == CANCELLED, str(e))
                want(context.length() == 30 and context.pending() == 0, f"{context.length()} tokens, {context.pending()} behind")
                kind.agree(context.eval(more), fresh(kind, ids, more), "after the request")
                context.rollback(30)


def check_interleaved(kind):
    """Rows of a step with three sequences are those of each alone."""
    ids = [kind.ids(25, seed=s) for s in (11, 12, 13)]
    order = [int(s) for s in np.random.default_rng(5).permutation([0] * 25 + [1] * 25 + [2] * 25)]
    taken, tokens = [0, 0, 0], []
    for s in order:
        tokens.append(ids[s][taken[s]])
        taken[s] += 1
    with kind.context() as context:
        rows = context.eval(tokens, slots=order)
    for s in range(3):
        close(rows[[i for i, o in enumerate(order) if o == s]], fresh(kind, ids[s]), f"sequence {s}")


def check_model(checks, llmc, name, path):
    library = os.path.join(llmc.work, name + ".so")
    llmc.call("compile", path, "-o", library, "--exact")
    opened = Library(library)
    with Context(opened, context=64) as context:
        kind = Kind(opened, context.info.checkpoints > 0)
    what = "checkpoints" if kind.fixed else "attention"
    print(f"-- {name} ({what})")
    checks.run(f"{name}: steps of any size", check_chunks, kind)
    checks.run(f"{name}: roll back", check_rollback, kind, 0)
    if kind.fixed:
        checks.run(f"{name}: roll back without checkpoints", check_rollback, kind, -1)
        checks.run(f"{name}: roll back with one checkpoint", check_rollback, kind, 1)
    checks.run(f"{name}: fork", check_fork, kind)
    checks.run(f"{name}: second turn", check_second_turn, kind)
    checks.run(f"{name}: save and restore", check_save, kind)
    checks.run(f"{name}: stopped requests", check_stopped, kind)
    checks.run(f"{name}: interleaved sequences", check_interleaved, kind)
    checks.run(f"{name}: best tokens", check_best, kind)
    checks.run(f"{name}: draws without logits", check_draws, kind)
    opened.close()
    return kind.fixed


def check_session(llmc, path):
    """llmc run --session: a second run evaluates only what is new."""
    session = os.path.join(llmc.work, "session")

    def run(ids, *options):
        text = llmc.call("run", path, "--tokens-file", llmc.put("ids.json", ids), "-n", 8, "--temp", 0, "--ids", "--ignore-eos",
                         "-c", 100, *options).decode().strip()
        return [int(i) for i in text.split(",")], llmc.stderr[-1]

    prompt = list(range(5, 45))
    if os.path.exists(session):
        os.remove(session)
    first, figures = run(prompt, "--session", session)
    want(" 0 of them cached" in figures, f"first run: {figures}")
    longer = prompt + first + [7, 8, 9]
    second, figures = run(longer, "--session", session)
    want(" 47 of them cached" in figures, f"second run: {figures}")
    want(second == run(longer)[0], "the session changed what is written")
    llmc.call("run", path, "--tokens", "5,6", "-n", 1, "--ids", "-c", 32, "--prompt-cache", session, status=1)
    want(any("room for 32" in line for line in llmc.stderr), f"a session longer than the context: {llmc.stderr[-1]}")
    with open(session, "r+b") as f:
        f.seek(100)
        f.write(b"\xff")
    llmc.call("run", path, "--tokens", "5,6", "-n", 1, "--ids", "-c", 100, "--session", session, status=1)
    want(any(session in line and "damaged" in line for line in llmc.stderr), f"a damaged session: {llmc.stderr[-1]}")


def same_best(got, logits, what):
    """The best tokens of each row are those that sorting its logits finds, to the bit."""
    order = np.argsort(-logits, axis=1, kind="stable")[:, :got[1].shape[1]]
    want(np.array_equal(got[1], order), f"{what}: other tokens than sorting finds")
    same_bits(got[0], np.take_along_axis(logits, order, 1), what)


def check_best(kind):
    """One token, few rows, more than a step gives the best of, and a batch of sequences."""
    for count in (1, 5, 100):
        wanted, tokens = kind.ids(100), min(count, 40)
        with kind.context() as one, kind.context(threads=1) as other:
            for ids in (wanted[:1], wanted[1:2], wanted[2:9], wanted):
                same_best(one.best(ids, tokens), other.eval(ids), f"{len(ids)} rows, best {tokens}")
        with kind.context() as one, kind.context() as other:
            slots = [0, 0, 1, 2, 2, 2]
            got, rows = one.best(wanted[:6], tokens, slots=slots, want=WANT_LAST), other.eval(wanted[:6], slots=slots, want=WANT_LAST)
            same_best((got[0][:3], got[1][:3]), rows[:3], f"three sequences, best {tokens}")


def check_draws(kind):
    """Without logits the same tokens are drawn."""
    ids = kind.ids(20)
    for sampling in ({}, {"repeat_penalty": 1.3, "repeat_last_n": 8},
                     {"temperature": 1.2, "top_k": 40, "top_p": 0.95, "min_p": 0.02, "seed": 7}, {"temperature": 1, "seed": 3}):
        with kind.context() as one, kind.context(threads=1) as other:
            drawn = one.generate(ids, 40, **sampling)[0]
            want(other.generate(ids, 40, flags=IGNORE_EOS | NO_LOGITS, **sampling)[0] == drawn, f"{sampling}: other tokens without logits")


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--bin", required=True)
    ap.add_argument("--cases")
    a = ap.parse_args()
    checks = Checks()
    with tempfile.TemporaryDirectory(prefix="state-") as work:
        os.environ["XDG_CACHE_HOME"] = os.path.join(work, "cache")
        llmc = Llmc(os.path.abspath(os.path.join(a.bin, "llmc")), work)
        models = [("tiny-llama", TINY)]
        if not a.cases:
            models += [(f"random {make.__name__}", make(os.path.join(work, make.__name__))) for make in (random_models.mamba2, random_models.bamba)]
        cases = a.cases or os.path.join(ROOT, "test", "e2e", "golden")
        for family in (*ATTENTION, *RECURRENT, *HYBRID):
            if os.path.isdir(os.path.join(cases, family)):
                models.append((family, os.path.join(cases, family)))
        for name, path in models:
            try:
                fixed = check_model(checks, llmc, name, path)
                if fixed or path == TINY:
                    checks.run(f"{name}: llmc run --session", check_session, llmc, path)
            except Exception as e:  # a model that does not compile or open is one failure, not the end
                checks.failed += 1
                print(f"FAIL  {name}: {e}", flush=True)
    return checks.finish()


if __name__ == "__main__":
    sys.exit(main())
