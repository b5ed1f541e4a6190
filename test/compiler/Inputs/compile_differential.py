#!/usr/bin/env python3
"""Random models mean the same to the reference interpreter and to compiled code.

    compile_differential.py --llmc llmc --interpret llmc-interpret [--seeds 12] [--first 0] [--keep DIR]

Blocks come from the generator of test/passes/fusion; around them are drawn: one to three kinds of layers in any order, so that
weight arrays exist at some depths only; a second reader of the layers' input and result; layers whose result is no sum; a last norm
whose output is a result of its own, or none; the versions of the step, so that prompts go through one chunk, several, or one
token at a time. Tokens are also decoded one by one. Standard library only.
"""
import argparse
import importlib.util
import json
import os
import random
import re
import struct
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
TEST = os.path.dirname(os.path.dirname(HERE))


def module(path):
    spec = importlib.util.spec_from_file_location(os.path.basename(path)[:-3], path)
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


blocks = module(os.path.join(TEST, "passes", "fusion", "Inputs", "fuse_differential.py"))

VOCAB, CHANNELS, TOKENS = blocks.VOCAB, 8, 23
# Sums in another order, and activations by polynomials.
TOLERANCE = 1e-4
STEPS = ["1,512", "1,4", "3", "1,2,16", "64"]


class Model:
    """A whole model, of blocks that differ in kind."""

    def __init__(self, seed):
        self.rng = random.Random(seed)
        kinds = self.rng.choice([1, 1, 2, 3])
        self.order = list(range(kinds)) + [self.rng.randrange(kinds) for _ in range(self.rng.randint(0, 3))]
        self.rng.shuffle(self.order)
        self.kinds = [self.kind(k, seed) for k in range(kinds)]
        self.steps = self.rng.choice(STEPS)

    def flip(self):
        return self.rng.random() < 0.5

    def kind(self, number, seed):
        block = blocks.Model(1000 * seed + number)
        result = block.block()
        end = self.rng.choice(["plain", "plain", "scale", "norm", "first"])
        lines = block.ordered()
        c = block.rows(CHANNELS)
        if end == "scale":  # the result is computed by an op that reads the input through others
            lines += f"\n  %end = llm.scale {result} by 0.7 : {c}"
        elif end == "norm":
            lines += f"\n  %g = llm.weight_load @last_gain : tensor<{CHANNELS}xf32>\n" \
                     f"  %end = llm.rms_norm {result}, %g {{eps = 1.0e-5}} : {c}, tensor<{CHANNELS}xf32>"
        elif end == "first":  # the input is read once more after everything else
            lines += f"\n  %half = llm.scale {result} by 0.5 : {c}\n  %end = llm.add %half, %x : {c}"
        if end != "plain":
            result = "%end"
        return dict(block=block, result=result, lines=re.sub(r"@(w\d+)", rf"@k{number}.\1", lines).replace("@kv", f"@kv{number}"))

    def depths(self, number):
        return [i for i, k in enumerate(self.order) if k == number]

    def listed(self, number):
        """The clause that says at which depths an array exists, where it does not at all."""
        depths = self.depths(number)
        return "" if depths == list(range(len(depths))) else f" layers {depths}"

    def weight_lines(self):
        for number, kind in enumerate(self.kinds):
            count, block = len(self.depths(number)), kind["block"]
            for name, shape in block.weights.items():
                dims = "x".join(map(str, shape))
                yield f'llm.weight @k{number}.{name} : !llm.weights<{count}x{dims}xf32> from "k{number}.{name}.{{layer}}"{self.listed(number)}'
            yield f"llm.state @kv{number} : !llm.kv_cache<layers = {count}, kv_heads = {block.kv_heads}, head_dim = {block.head_dim}, f32>" \
                  f"{self.listed(number)}"

    def tensors(self):
        yield "embed", (VOCAB, CHANNELS)
        yield "last_gain", (CHANNELS,)
        for number, kind in enumerate(self.kinds):
            for name, shape in kind["block"].weights.items():
                for depth in self.depths(number):
                    yield f"k{number}.{name}.{depth}", shape

    def text(self):
        c, logits = f"tensor<?x{CHANNELS}xf32>", f"tensor<?x{VOCAB}xf32>"
        tables, arguments = "", ""
        for number, kind in enumerate(self.kinds):
            rope = kind["block"].rope_dim
            for i, theta in enumerate(("1.0e4", "1.0e2")):
                tables += f"  %cs{number}{i} = llm.rope_table %batch theta {theta} -> tensor<?x{rope}xf32>\n"
        names = [f"%cs{n}{i}" for n in range(len(self.kinds)) for i in (0, 1)]
        types = [f"tensor<?x{k['block'].rope_dim}xf32>" for k in self.kinds for _ in (0, 1)]
        functions = ""
        for number, kind in enumerate(self.kinds):
            extra = ", ".join(f"{n}: {t}" for n, t in zip(names, types))
            lines = re.sub(r"%cs([01])\b", rf"%cs{number}\1", kind["lines"])
            functions += f"func.func private @kind{number}(%x: {c}, %i: index, %batch: !llm.batch, {extra}) -> {c} {{\n" \
                         f"{lines}\n  return {kind['result']} : {c}\n}}\n"
        before = "%e"  # what the layers start from
        if self.flip():
            tables += f"  %s = llm.scale %e by 1.7 : {c}\n"
            before = "%s"
        after = "%y"
        tail = ""
        if self.flip():  # the layers' input is read again behind them
            tail += f"  %again = llm.add %y, {before} : {c}\n"
            after = "%again"
        norm = self.rng.choice(["returned", "inner", "none"])
        tail += f"  %r = llm.select_rows {after}, %batch : {c} -> {c}\n"
        last = "%r"
        if norm != "none":
            tail += f"  %g = llm.weight_load @last_gain : tensor<{CHANNELS}xf32>\n" \
                    f"  %n = llm.rms_norm %r, %g {{eps = 1.0e-5}} : {c}, tensor<{CHANNELS}xf32>\n"
            last = "%n"
        hidden = last if norm == "returned" else "%r"
        kinds = ", ".join(f"@kind{k}" for k in range(len(self.kinds)))
        return f"""module attributes {{llm.vocab = {VOCAB} : i64, llm.hidden = {CHANNELS} : i64, llm.context = 64 : i64}} {{
llm.asset @file weights "weights.safetensors"
llm.weight @embed : !llm.weights<1x{VOCAB}x{CHANNELS}xf32> from "embed"
llm.weight @last_gain : !llm.weights<1x{CHANNELS}xf32> from "last_gain"
{chr(10).join(self.weight_lines())}
{functions}func.func @step(%batch: !llm.batch) -> ({logits}, {c}) {{
  %t = llm.weight_load @embed : tensor<{VOCAB}x{CHANNELS}xf32>
  %e = llm.embedding %batch, %t tokens : tensor<{VOCAB}x{CHANNELS}xf32> -> {c}
{tables}  %y = llm.layers %{before[1:]}, %batch ({", ".join(names)} : {", ".join(types)}) kinds [{kinds}] order {self.order} : {c} -> {c}
{tail}  %l = llm.linear {last} [%t] : ({c}, tensor<{VOCAB}x{CHANNELS}xf32>) -> {logits}
  return %l, {hidden} : {logits}, {c}
}}
}}
"""


def interpreted(a, path, ids):
    """Logits and hidden rows of every token."""
    out = blocks.run(a.interpret, path, "--tokens", ",".join(map(str, ids)), "--digits", "9")
    parts = re.split(r"^step \d+ result (\d+):.*$", out, flags=re.MULTILINE)[1:]
    rows = {"0": [], "1": []}
    for result, block in zip(parts[::2], parts[1::2]):
        rows[result] += [json.loads(line) for line in block.strip().splitlines()]
    return rows["0"], rows["1"]


def load(path):
    """The rows of a float32 .npy of two dimensions."""
    with open(path, "rb") as f:
        data = f.read()
    size = struct.unpack_from("<H", data, 8)[0]
    rows, columns = map(int, re.search(r"'shape': \((\d+), (\d+)\)", data[10:10 + size].decode()).groups())
    values = struct.unpack_from(f"<{rows * columns}f", data, 10 + size)
    return [list(values[r * columns:(r + 1) * columns]) for r in range(rows)]


def difference(name, got, want):
    if [len(row) for row in got] != [len(row) for row in want]:
        return f"{name}: {len(got)} rows, want {len(want)}"
    worst = max(abs(x - y) / max(1, abs(y)) for a, b in zip(got, want) for x, y in zip(a, b))
    return None if worst <= TOLERANCE else f"{name} differ by {worst:.3g}, want at most {TOLERANCE}"


def check(seed, a, folder):
    model = Model(seed)
    rng = random.Random(seed)
    path, library, rows = (os.path.join(folder, f"{seed}{end}") for end in (".mlir", ".so", ".npy"))
    with open(path, "w", encoding="utf-8") as f:
        f.write(model.text())
    blocks.write_safetensors(os.path.join(folder, "weights.safetensors"), model.tensors(), rng)
    ids = [rng.randrange(VOCAB) for _ in range(TOKENS)]
    tokens = ",".join(map(str, ids))
    logits, hidden = interpreted(a, path, ids)
    if max(map(max, logits)) - min(map(min, logits)) < 1e-3:
        return "the logits are all alike"
    blocks.run(a.llmc, "compile", path, "-o", library, "-O1", "--step-tokens", model.steps)
    for what, want in (("logits", logits), ("hidden", hidden)):
        blocks.run(a.llmc, "eval", what, library, "--tokens", tokens, "-o", rows, "-t", "2")
        trouble = difference(what, load(rows), want)
        if trouble:
            return f"steps {model.steps}: {trouble}"
    return decoded(a, library, rows, path, ids[:5], model.steps)


def decoded(a, library, rows, path, ids, steps):
    """Logits of tokens that are generated one by one."""
    out = blocks.run(a.llmc, "run", library, "--tokens", ",".join(map(str, ids)), "-n", "12", "--temp", "0", "--ids", "--ignore-eos",
                     "--step-logits", rows)
    new = [int(t) for t in out.strip().split(",")]
    want, _ = interpreted(a, path, ids + new[:-1])
    trouble = difference("logits of generated tokens", load(rows), want[len(ids) - 1:])
    return f"steps {steps}: {trouble}" if trouble else None


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--llmc", required=True)
    ap.add_argument("--interpret", required=True)
    ap.add_argument("--seeds", type=int, default=12)
    ap.add_argument("--first", type=int, default=0)
    ap.add_argument("--keep", help="leave the models in this folder")
    a = ap.parse_args()
    failed = 0
    with tempfile.TemporaryDirectory() as temporary:
        folder = a.keep or temporary
        os.makedirs(folder, exist_ok=True)
        for seed in range(a.first, a.first + a.seeds):
            try:
                trouble = check(seed, a, folder)
            except RuntimeError as e:
                trouble = str(e)
            if trouble:
                failed += 1
                print(f"seed {seed}: {trouble}", flush=True)
    print(f"{a.seeds - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
