#!/usr/bin/env python3
"""Random blocks mean the same before and after the phases simplify and fuse, by the reference interpreter.

    fuse_differential.py --opt llmc-opt --interpret llmc-interpret [--seeds 12] [--first 0] [--keep DIR]

Each seed draws a model of two layers: which norm, where, with which gains and biases; rope and norms of heads, alike or not;
grouped heads; GLU in either order or an activation; sums in either order; one residual or a parallel one; and an order of ops that
is any order which their operands allow. Standard library only.
"""
import argparse
import os
import random
import re
import struct
import subprocess
import sys
import tempfile

T, LAYERS, VOCAB = 5, 2, 11
# Both sides compute in f32 with the same order of sums; merged factors round once instead of twice.
TOLERANCE = 2e-5


class Model:
    """Ops of one block in a random valid order, and the weights they name."""

    def __init__(self, seed):
        self.rng = random.Random(seed)
        self.weights = {}
        self.pending, self.count = [], 0

    def flip(self):
        return self.rng.random() < 0.5

    def weight(self, *shape):
        name = f"w{len(self.weights)}"
        self.weights[name] = shape
        kind = "x".join(map(str, shape)) + "xf32"
        return self.op(f"llm.weight_load @{name}[%i] : tensor<{kind}>", []), f"tensor<{kind}>"

    def op(self, text, operands, results=1):
        name = f"%v{self.count}"
        self.count += 1
        self.pending.append((name, set(operands), f"{name}{':%d' % results if results > 1 else ''} = {text}"))
        return name

    def rows(self, channels):
        return f"tensor<?x{channels}xf32>"

    def norm(self, x, c, d=None, like=None):
        d = d or c
        kind, eps, offset = like or self.norm_kind(heads=d != c)
        g, gt = self.weight(d)
        if kind == "rms":
            return self.op(f"llm.rms_norm {x}, {g} {{eps = {eps}, offset = {offset}}} : {self.rows(c)}, {gt}", [x, g])
        if self.flip():
            b, bt = self.weight(d)
            return self.op(f"llm.layer_norm {x}, {g}, {b} {{eps = {eps}}} : {self.rows(c)}, {gt}, {bt}", [x, g, b])
        return self.op(f"llm.layer_norm {x}, {g} {{eps = {eps}}} : {self.rows(c)}, {gt}", [x, g])

    def norm_kind(self, heads=False):
        kind = "rms" if heads or self.flip() else "layer"
        return kind, self.rng.choice(["1.0e-5", "1.0e-6"]), self.rng.choice(["0.0", "1.0"])

    def linear(self, x, k, n, bias):
        w, wt = self.weight(n, k)
        if not bias:
            return self.op(f"llm.linear {x} [{w}] : ({self.rows(k)}, {wt}) -> {self.rows(n)}", [x, w])
        b, bt = self.weight(n)
        return self.op(f"llm.linear {x} [{w}] bias [{b}] : ({self.rows(k)}, {wt}, {bt}) -> {self.rows(n)}", [x, w, b])

    def add(self, a, b, c):
        a, b = (a, b) if self.flip() else (b, a)
        return self.op(f"llm.add {a}, {b} : {self.rows(c)}", [a, b])

    def rope(self, x, c, table, style):
        return self.op(f"llm.rope {x}, {table} <{style}, dim = {self.rope_dim}> head_dim {self.head_dim} : "
                       f"{self.rows(c)}, {self.rows(self.rope_dim)}", [x])

    def maybe(self, value, chance=0.15):
        """A second reader of `value`, which must keep what it reads."""
        if self.rng.random() < chance:
            self.extra.append(value)

    def attention(self, x):
        q_size, kv_size = self.heads * self.head_dim, self.kv_heads * self.head_dim
        bias = self.rng.choice([(0, 0, 0), (1, 1, 1), (1, 0, 1)])
        q = self.linear(x, self.c, q_size, bias[0])
        k = self.linear(x, self.c, kv_size, bias[1])
        v = self.linear(x, self.c, kv_size, bias[2])
        q, k = self.prepare(q, q_size, k, kv_size)
        extra = f", window = {self.rng.randint(1, 3)} : i64" if self.flip() else ""
        extra += ", softcap = 5.0" if self.flip() else ""
        a = self.op(f"llm.attention {q}, {k}, {v}, @kv[%i], %batch scale 0.5 {{{extra.lstrip(', ')}}} : ({self.rows(q_size)}, "
                    f"{self.rows(kv_size)}, {self.rows(kv_size)}, index, !llm.batch) -> {self.rows(q_size)}", [q, k, v])
        return self.linear(a, q_size, self.c, self.flip())

    def prepare(self, q, q_size, k, kv_size):
        """Norms of heads and ropes of q and k, mostly alike, in either order."""
        steps = self.rng.choice([[], ["rope"], ["norm"], ["norm", "rope"], ["norm", "rope"], ["rope", "norm"]])
        for step in steps:
            alike = self.rng.random() < 0.8
            if step == "norm":
                like = self.norm_kind(heads=True)
                q = self.norm(q, q_size, self.head_dim, like)
                k = self.norm(k, kv_size, self.head_dim, like if alike else self.norm_kind(heads=True))
            else:
                style = self.rng.choice(["half", "interleaved"])
                q = self.rope(q, q_size, "%cs0", style)
                k = self.rope(k, kv_size, "%cs0" if alike else "%cs1", style)
        return q, k

    def mlp(self, x):
        hidden = 12
        kind = self.rng.choice(["silu", "gelu", "gelu_tanh", "relu", "sigmoid", "tanh"])
        bias = self.flip()
        if self.flip():
            h = self.linear(x, self.c, hidden, bias)
            self.maybe_pair(h, hidden)
            y = self.op(f"llm.activation {kind} {h} : {self.rows(hidden)}", [h])
        else:
            a = self.linear(x, self.c, hidden, bias)
            b = self.linear(x, self.c, hidden, bias if self.rng.random() < 0.8 else not bias)
            self.maybe_pair(a, hidden)
            a, b = (a, b) if self.flip() else (b, a)
            y = self.op(f"llm.glu {kind} {a}, {b} : {self.rows(hidden)}", [a, b])
        return self.linear(y, hidden, self.c, self.flip())

    def maybe_pair(self, value, channels):
        if self.rng.random() < 0.15:
            self.extra.append(self.linear(value, channels, self.c, False))

    def block(self):
        self.head_dim = self.rng.choice([4, 8])
        self.rope_dim = self.rng.choice([4, self.head_dim])
        self.kv_heads = self.rng.choice([1, 2])
        self.heads = self.kv_heads * self.rng.choice([1, 2])
        self.c, self.extra = 8, []
        x = "%x"
        n = self.norm(x, self.c)
        self.maybe(n)
        attention = self.attention(n)
        if self.flip():  # one after the other, perhaps with norms behind each half
            sandwich = self.flip()
            h = self.add(x, self.norm(attention, self.c) if sandwich else attention, self.c)
            m = self.mlp(self.norm(h, self.c))
            y = self.add(h, self.norm(m, self.c) if sandwich else m, self.c)
        elif self.flip():  # parallel, summed in either way
            y = self.add(x, self.add(attention, self.mlp(n), self.c), self.c)
        else:
            y = self.add(self.add(x, attention, self.c), self.mlp(n), self.c)
        for value in self.extra:
            y = self.add(y, value, self.c)
        return y

    def ordered(self):
        """The ops in a random order that their operands allow."""
        known = {"%x", "%i", "%batch", "%cs0", "%cs1"}
        pending, lines = list(self.pending), []
        while pending:
            ready = [op for op in pending if op[1] <= known]
            op = self.rng.choice(ready)
            pending.remove(op)
            known.add(op[0])
            lines.append("  " + op[2])
        return "\n".join(lines)

    def text(self):
        result = self.block()
        c, rope = self.rows(self.c), self.rows(self.rope_dim)
        weights = "\n".join(f'llm.weight @{n} : !llm.weights<{LAYERS}x{"x".join(map(str, s))}xf32> from "{n}.{{layer}}"'
                            for n, s in self.weights.items())
        theta1 = self.rng.choice(["1.0e4", "1.0e2"])
        return f"""llm.asset @file weights "weights.safetensors"
llm.weight @embed : !llm.weights<1x{VOCAB}x{self.c}xf32> from "embed"
llm.weight @head : !llm.weights<1x{VOCAB}x{self.c}xf32> from "embed"
{weights}
llm.state @kv : !llm.kv_cache<layers = {LAYERS}, kv_heads = {self.kv_heads}, head_dim = {self.head_dim}, f32>
func.func private @block(%x: {c}, %i: index, %batch: !llm.batch, %cs0: {rope}, %cs1: {rope}) -> {c} {{
{self.ordered()}
  return {result} : {c}
}}
func.func @step(%batch: !llm.batch) -> {self.rows(VOCAB)} {{
  %t = llm.weight_load @embed : tensor<{VOCAB}x{self.c}xf32>
  %e = llm.embedding %batch, %t tokens : tensor<{VOCAB}x{self.c}xf32> -> {c}
  %s = llm.scale %e by 1.7 : {c}
  %x = llm.scale %s by 0.9 : {c}
  %cs0 = llm.rope_table %batch theta 1.0e4 -> {rope}
  %cs1 = llm.rope_table %batch theta {theta1} -> {rope}
  %y = llm.layers %x, %batch (%cs0, %cs1 : {rope}, {rope}) kinds [@block] order [0, 0] : {c} -> {c}
  %w = llm.weight_load @head : tensor<{VOCAB}x{self.c}xf32>
  %l = llm.linear %y [%w] : ({c}, tensor<{VOCAB}x{self.c}xf32>) -> {self.rows(VOCAB)}
  return %l : {self.rows(VOCAB)}
}}
"""

    def tensors(self):
        yield "embed", (VOCAB, self.c)
        for name, shape in self.weights.items():
            for layer in range(LAYERS):
                yield f"{name}.{layer}", shape


def write_safetensors(path, tensors, rng):
    header, data = [], bytearray()
    for name, shape in tensors:
        count = 1
        for d in shape:
            count *= d
        begin = len(data)
        data += struct.pack(f"<{count}f", *(rng.uniform(-0.6, 0.6) for _ in range(count)))
        header.append(f'"{name}":{{"dtype":"F32","shape":{list(shape)},"data_offsets":[{begin},{len(data)}]}}')
    text = ("{" + ",".join(header) + "}").encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + data)


def run(*command):
    r = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=120)
    if r.returncode:
        raise RuntimeError(f"{' '.join(command)}: exit {r.returncode}: {r.stderr.strip()}")
    return r.stdout


def logits(interpret, path):
    """Of a prompt of three tokens and two more, one at a time."""
    out = run(interpret, path, "--tokens", "3,1,4,1,5", "--chunks", "3,1,1", "--digits", "9")
    return [float(v) for v in re.findall(r"-?\d[\d.]*(?:e[-+]?\d+)?", "\n".join(l for l in out.splitlines() if l.startswith("[")))]


def check(seed, a, folder):
    model = Model(seed)
    before, after = os.path.join(folder, f"{seed}.mlir"), os.path.join(folder, f"{seed}.fused.mlir")
    with open(before, "w", encoding="utf-8") as f:
        f.write(model.text())
    write_safetensors(os.path.join(folder, "weights.safetensors"), model.tensors(), random.Random(seed))
    run(a.opt, "--llm-simplify-pipeline", "--llm-fuse-pipeline", before, "-o", after)
    x, y = logits(a.interpret, before), logits(a.interpret, after)
    if len(x) != T * VOCAB or len(x) != len(y):
        return f"want {T * VOCAB} logits, got {len(x)} before and {len(y)} after"
    worst = max(abs(p - q) / max(1, abs(p)) for p, q in zip(x, y))
    # A model whose logits are all alike would test nothing.
    if max(x) - min(x) < 1e-3:
        return "the logits are all alike"
    return None if worst <= TOLERANCE else f"logits differ by {worst:.3g}, want at most {TOLERANCE}"


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--opt", required=True)
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
            trouble = check(seed, a, folder)
            if trouble:
                failed += 1
                print(f"seed {seed}: {trouble}")
    print(f"{a.seeds - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
