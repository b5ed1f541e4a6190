"""Computes, in float64 and by the formulas of the papers, the values that the interpreter's tests expect.

    python3 reference.py            prints every case: its name, then one row of literals per line

The literals in ../*.mlir are this output, four significant digits.
"""
import math

X = [[-2.0, -0.5, 0.0, 1.5], [3.0, 10.0, -30.0, 0.25]]
W = [[0.5, -1.0, 2.0, 0.25], [1.0, 0.0, -0.5, 0.75], [-0.25, 0.5, 1.0, -2.0]]  # [3, 4]
W2 = [[1.0, 0.5, -0.5, 0.0], [0.25, 0.25, 0.25, 0.25], [2.0, -1.0, 0.5, 1.0]]  # [3, 4]
BIAS = [0.5, -1.0, 2.0]
BIAS2 = [0.125, 0.25, -0.5]
GAIN = [1.0, 0.5, -1.0, 2.0]
SHIFT = [0.25, 0.0, 1.0, -1.0]
RESIDUAL = [[1.0, 2.0, 3.0], [-1.0, -2.0, -3.0]]


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


ACTIVATIONS = {
    "relu": lambda x: max(x, 0.0),
    "silu": lambda x: x * sigmoid(x),
    "gelu": lambda x: 0.5 * x * (1 + math.erf(x / math.sqrt(2))),
    "gelu_tanh": lambda x: 0.5 * x * (1 + math.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))),
    "sigmoid": sigmoid,
    "tanh": math.tanh,
}


def each(f, *matrices):
    return [[f(*values) for values in zip(*rows)] for rows in zip(*matrices)]


def rms_norm(x, gain, eps, offset=0.0):
    def heads(row):
        n, out = len(gain), []
        for h in range(0, len(row), n):
            run = row[h : h + n]
            inverse = 1 / math.sqrt(sum(v * v for v in run) / n + eps)
            out += [v * inverse * (g + offset) for v, g in zip(run, gain)]
        return out

    return [heads(row) for row in x]


def layer_norm(x, gain, bias, eps):
    def one(row):
        mean = sum(row) / len(row)
        variance = sum((v - mean) ** 2 for v in row) / len(row)
        return [(v - mean) / math.sqrt(variance + eps) * g + b for v, g, b in zip(row, gain, bias)]

    return [one(row) for row in x]


def linear(x, w, bias=None):
    return [[sum(a * b for a, b in zip(row, out)) + (bias[n] if bias else 0) for n, out in enumerate(w)] for row in x]


def frequencies(dim, theta, length=0, kind="none", factor=1.0, low=0.0, high=0.0, original=0, fast=32.0, slow=1.0,
                truncate=True, short=(), long=()):
    if kind == "dynamic":
        n = max(length, original)
        theta *= (factor * n / original - (factor - 1)) ** (dim / (dim - 2))
    f = [theta ** (-2 * i / dim) for i in range(dim // 2)]
    if kind == "linear":
        return [v / factor for v in f]
    if kind == "llama3":
        def llama3(v):
            wave = 2 * math.pi / v
            if wave < original / high:
                return v
            if wave > original / low:
                return v / factor
            smooth = (original / wave - low) / (high - low)
            return (1 - smooth) * v / factor + smooth * v
        return [llama3(v) for v in f]
    if kind == "yarn":
        at = lambda turns: dim * math.log(original / (turns * 2 * math.pi)) / (2 * math.log(theta))
        first, last = at(fast), at(slow)
        if truncate:
            first, last = math.floor(first), math.ceil(last)
        first, last = max(first, 0), min(last, dim - 1)
        ramp = [min(max((i - first) / (last - first), 0), 1) for i in range(dim // 2)]
        return [v / factor * r + v * (1 - r) for v, r in zip(f, ramp)]
    if kind == "longrope":
        return [v / s for v, s in zip(f, long if length > original else short)]
    return f


def table(positions, f, attention=1.0):
    return [[math.cos(p * v) * attention for v in f] + [math.sin(p * v) * attention for v in f] for p in positions]


def rotate(x, cs, head_dim, dim, interleaved=False):
    out = []
    for row, turn in zip(x, cs):
        row, half = list(row), dim // 2
        for h in range(0, len(row), head_dim):
            for i in range(half):
                a, b = (h + 2 * i, h + 2 * i + 1) if interleaved else (h + i, h + i + half)
                c, s = turn[i], turn[half + i]
                row[a], row[b] = row[a] * c - row[b] * s, row[b] * c + row[a] * s
        out.append(row)
    return out


def bucket(distance, buckets, most, both):
    """arXiv:1910.10683, as transformers' T5Attention has it; `distance`: of the key behind the query in the text."""
    first = 0
    if both:
        buckets //= 2
        first, distance = buckets if distance > 0 else 0, abs(distance)
    else:
        distance = max(-distance, 0)
    exact = buckets // 2
    if distance < exact:
        return first + distance
    return first + min(exact + int(math.log(distance / exact) / math.log(most / exact) * (buckets - exact)), buckets - 1)


def cross_attention(q, k, v, scale, head_dim):
    n = len(k)
    return [attention([row] * n, k, v, [0] * n, range(n), scale, head_dim, full=True)[0] for row in q]


def attention(q, k, v, slots, positions, scale, head_dim, window=0, softcap=0.0, slopes=None, full=False, bias=None):
    heads, kv_heads = len(q[0]) // head_dim, len(k[0]) // head_dim
    out = []
    for t, row in enumerate(q):
        seen = [u for u in range(len(q)) if slots[u] == slots[t] and (full or positions[u] <= positions[t])
                and (not window or abs(positions[u] - positions[t]) < window)]
        result = []
        for h in range(heads):
            g = h * kv_heads // heads * head_dim
            scores = [scale * sum(row[h * head_dim + d] * k[u][g + d] for d in range(head_dim)) for u in seen]
            if softcap:
                scores = [softcap * math.tanh(s / softcap) for s in scores]
            if slopes:
                scores = [s + slopes[h] * (positions[u] - positions[t]) for s, u in zip(scores, seen)]
            if bias:
                scores = [s + bias(positions[u] - positions[t], h) for s, u in zip(scores, seen)]
            weights = [math.exp(s - max(scores)) for s in scores]
            result += [sum(w * v[u][g + d] for w, u in zip(weights, seen)) / sum(weights) for d in range(head_dim)]
        out.append(result)
    return out


TABLE = [[0.125 * (r + 1) * (c - 1) for c in range(4)] for r in range(6)]  # [6, 4], an embedding
TOKENS = [1, 5, 0, 2]
Q = [TABLE[t] for t in TOKENS]  # two heads of two
K = [[row[0] - 0.5, row[3]] for row in Q]  # one KV head of two
V = [[row[1] + 1.0, row[2] - row[0]] for row in Q]
K2 = [[row[0] - 0.5, row[3], row[1], row[2] + 1.0] for row in Q]  # two KV heads of two
RELATIVE = [[0.5, -0.25], [1.0, 0.0], [-0.5, 0.75], [0.25, 1.5]]  # [4 buckets, 2 heads]

CASES = {
    "add": each(lambda a, b: a + b, X, X),
    "scale": each(lambda a: a * 0.5, X),
    "softcap": each(lambda a: 2 * math.tanh(a / 2), X),
    **{name: each(f, X) for name, f in ACTIVATIONS.items()},
    "glu": each(lambda a: ACTIVATIONS["silu"](a) * 2 * a, X),
    "rms_norm": rms_norm(X, GAIN, 1e-5),
    "rms_norm_offset": rms_norm(X, GAIN, 0.5, 1.0),
    "rms_norm_heads": rms_norm(X, [1.0, 2.0], 1e-5),
    "layer_norm": layer_norm(X, GAIN, SHIFT, 1e-5),
    "layer_norm_no_bias": layer_norm(X, GAIN, [0] * 4, 0.5),
    "linear": linear(X, W),
    "linear_two": [a + b for a, b in zip(linear(X, W, BIAS), linear(X, W2, BIAS2))],
    "linear_norm": linear(rms_norm(X, GAIN, 0.5, 1.0), W),
    "linear_layer_norm": linear(layer_norm(X, GAIN, SHIFT, 1e-5), W),
    "linear_activation": each(ACTIVATIONS["gelu"], linear(X, W, BIAS)),
    "linear_residual": each(lambda a, b: a + b, linear(X, W, BIAS), RESIDUAL),
    "linear_all": each(
        lambda a, b, r: ACTIVATIONS["silu"](a) * b + r,
        linear(rms_norm(X, GAIN, 1e-5), W, BIAS), linear(rms_norm(X, GAIN, 1e-5), W2, BIAS2), RESIDUAL),
    "embedding_tokens": [[2 * v for v in TABLE[t]] for t in TOKENS],
    "embedding_positions": [TABLE[t + 2] for t in range(4)],
    "select_rows": [TABLE[TOKENS[r]] for r in (3, 1)],
    "table_plain": table([0, 1, 7, 1000], frequencies(4, 100.0)),
    "table_factors": table([0, 1, 7, 1000], [v / f for v, f in zip(frequencies(4, 100.0), (2.0, 4.0))]),
    "table_linear": table([3], frequencies(4, 100.0, kind="linear", factor=8.0)),
    "table_llama3": table([3], frequencies(8, 100.0, kind="llama3", factor=8.0, low=1.0, high=4.0, original=64)),
    "table_yarn": table([3], frequencies(8, 100.0, kind="yarn", factor=4.0, original=64, fast=4.0), 1.25),
    "table_yarn_exact": table([3], frequencies(8, 100.0, kind="yarn", factor=4.0, original=64, fast=4.0, truncate=False)),
    "table_dynamic_short": table([3], frequencies(4, 100.0, 4, kind="dynamic", factor=2.0, original=8)),
    "table_dynamic_long": table([3], frequencies(4, 100.0, 32, kind="dynamic", factor=2.0, original=8)),
    "table_longrope_short": table([3], frequencies(4, 100.0, 4, kind="longrope", original=8, short=(1.0, 2.0), long=(4.0, 8.0))),
    "table_longrope_long": table([3], frequencies(4, 100.0, 9, kind="longrope", original=8, short=(1.0, 2.0), long=(4.0, 8.0))),
    "rope_half": rotate(Q, table(range(4), frequencies(4, 100.0)), 4, 4),
    "rope_interleaved": rotate(Q, table(range(4), frequencies(4, 100.0)), 4, 4, True),
    "rope_part": rotate([r + r for r in Q], table(range(4), frequencies(2, 100.0)), 4, 2),
    "attention": attention(Q, K, V, [0] * 4, range(4), 0.7, 2),
    "attention_window": attention(Q, K, V, [0] * 4, range(4), 0.7, 2, window=2),
    "attention_softcap": attention(Q, K, V, [0] * 4, range(4), 4.0, 2, softcap=0.5),
    "attention_slots": attention(Q, K, V, [0, 1, 0, 1], [0, 0, 1, 1], 0.7, 2),
    "attention_slopes": attention(Q, K, V, [0] * 4, range(4), 0.7, 2, slopes=[0.5, 2.0]),
    "attention_full": attention(Q, K, V, [0] * 4, range(4), 0.7, 2, full=True),
    "attention_around": attention(Q, K, V, [0] * 4, range(4), 0.7, 2, window=2, full=True),
    "attention_relative": attention(Q, K, V, [0] * 4, range(4), 0.7, 2, bias=lambda d, h: RELATIVE[bucket(d, 4, 3, False)][h]),
    "attention_both": attention(Q, K, V, [0] * 4, range(4), 0.7, 2, full=True, bias=lambda d, h: RELATIVE[bucket(d, 4, 3, True)][h]),
    "cross": cross_attention(Q, K[1:3], V[1:3], 0.7, 2),
    "attention_two_heads": attention(Q, K2, K2, [0] * 4, range(4), 0.7, 2),
    "attention_fused": attention(
        rotate(rms_norm(Q, [1.0, 0.5], 0.01, 1.0), table(range(4), frequencies(2, 100.0)), 2, 2),
        rotate(rms_norm(K, [2.0, -0.5], 0.01, 1.0), table(range(4), frequencies(2, 100.0)), 2, 2),
        V, [0] * 4, range(4), 0.7, 2),
}

if __name__ == "__main__":
    for name, rows in CASES.items():
        print(name)
        for row in rows:
            print("[" + ", ".join("%.4g" % (v + 0.0) for v in row) + "]")
