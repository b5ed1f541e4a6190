"""Computes, in float64 and by the formulas of the papers, the values that experts.mlir expects.

    python3 reference_experts.py
"""
import math

X = [[-2.0, -0.5, 0.0, 1.5], [3.0, 1.0, -3.0, 0.25]]
LOGITS = [[0.5, -1.0, 2.0, 0.25, 1.0, 0.0], [1.0, 1.5, -0.5, 1.5, 0.0, -2.0]]
BIAS = [0.0, 0.0, -1.0, 0.5, 0.0, 0.25]
GATE = [[[0.5, -1.0, 2.0, 0.25], [1.0, 0.0, -0.5, 0.75]], [[-0.25, 0.5, 1.0, -2.0], [1.0, 0.5, -0.5, 0.0]],
        [[0.25, 0.25, 0.25, 0.25], [2.0, -1.0, 0.5, 1.0]]]
UP = [[[1.0, 1.0, 0.0, 0.0], [0.0, 1.0, 1.0, 0.0]], [[0.0, 0.0, 1.0, 1.0], [1.0, 0.0, 0.0, 1.0]],
      [[-1.0, 0.5, 0.0, 0.0], [0.0, 0.0, -1.0, 0.5]]]
DOWN = [[[1.0, 2.0], [-1.0, 0.5], [0.0, 1.0]], [[0.5, 0.5], [1.0, 0.0], [-2.0, 1.0]], [[1.0, -1.0], [0.25, 1.0], [1.0, 1.0]]]
GATE_BIAS = [[0.5, -0.5], [1.0, 0.0], [-1.0, 0.25]]
UP_BIAS = [[0.25, 0.0], [0.0, -1.0], [0.5, 0.5]]
DOWN_BIAS = [[1.0, 0.0, -1.0], [0.5, 0.5, 0.5], [0.0, 2.0, 0.0]]
CHOICE = [[0.0, 2.0, 1.0], [1.0, 0.5, 0.75]]  # logits over the three experts


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


def softmax(values):
    e = [math.exp(v - max(values)) for v in values]
    return [v / sum(e) for v in e]


def best(values, count, among):
    return sorted(among, key=lambda i: (-values[i], i))[:count]


def route(logits, scores, top, bias=None, groups=1, top_groups=1, by=max, normalize=None, epsilon=0.0, scale=1.0):
    s = {"logits": list, "softmax": softmax, "sigmoid": lambda v: [sigmoid(x) for x in v]}[scores](logits)
    c = [a + b for a, b in zip(s, bias or [0.0] * len(s))]
    size = len(s) // groups
    members = [range(g * size, (g + 1) * size) for g in range(groups)]
    kept = best([by([c[i] for i in m]) for m in members], top_groups, range(groups))
    chosen = best(c, top, [i for g in sorted(kept) for i in members[g]])
    w = [s[i] for i in chosen]
    if normalize == "sum":
        w = [v / (sum(w) + epsilon) for v in w]
    if normalize == "softmax":
        w = softmax(w)
    return chosen, [scale * v for v in w]


def top2(values):
    return sum(sorted(values)[-2:])


def dot(matrix, x):
    return [sum(a * b for a, b in zip(row, x)) for row in matrix]


def plus(a, b):
    return [x + y for x, y in zip(a, b)]


def clamped(g, u, alpha=1.702, limit=1.5, offset=1.0):
    g, u = min(g, limit), max(-limit, min(u, limit))
    return g * sigmoid(alpha * g) * (u + offset)


def experts(unit, biases=False, gated=True):
    rows = []
    for x, logits in zip(X, CHOICE):
        y = [0.0] * 3
        for e, w in zip(*route(logits, "softmax", 2)):
            zero = [0.0] * 3
            gate = plus(dot(GATE[e], x), GATE_BIAS[e] if biases else zero)
            up = plus(dot(UP[e], x), UP_BIAS[e] if biases else zero)
            hidden = [unit(g, u) for g, u in zip(gate, up)] if gated else [unit(u) for u in up]
            out = plus(dot(DOWN[e], hidden), DOWN_BIAS[e] if biases else zero)
            y = plus(y, [w * v for v in out])
        rows.append(y)
    return rows


def grouped(bias):
    w = [[[1.0], [0.5], [-1.0]], [[2.0], [0.0], [0.25]]]
    b = [[0.5, 0.0, 1.0], [-1.0, 1.0, 0.0]] if bias else [[0.0] * 3] * 2
    return [[v for g in range(2) for v in plus(dot(w[g], x[2 * g:2 * g + 1]), b[g])] for x in X]


def show(name, rows):
    print(f"// {name}")
    for row in rows:
        print("[" + ", ".join(f"{v:.4g}" for v in row) + "]")


for name, options in {
        "softmax": dict(scores="softmax", top=3),
        "logits_softmax": dict(scores="logits", top=2, normalize="softmax"),
        "sigmoid": dict(scores="sigmoid", top=2, bias=BIAS, groups=3, top_groups=2, by=top2, normalize="sum", epsilon=0.25, scale=2.5),
        "groups": dict(scores="softmax", top=2, groups=2, top_groups=1, by=max)}.items():
    for part in (0, 1):
        show(f"route {name} {part}", [route(row, **options)[part] for row in LOGITS])
show("gated", experts(lambda g, u: g * sigmoid(g) * u))
show("biased", experts(clamped, biases=True))
show("plain", experts(lambda u: max(u, 0.0), gated=False))
show("grouped", grouped(False))
show("grouped bias", grouped(True))

# Latent attention: 2 heads, latents of 2 channels, 2 that turn; row r of the table is token r's (q, q_latent, kv).
TABLE = [[((7 * r + 3 * c) % 11 - 5) / 4 for c in range(14)] for r in range(4)]
LATENT_GAIN = [1.5, -0.5]
TOKENS = [1, 3, 0, 2]


def turned(pair, position):
    a, b = pair
    c, s = math.cos(position), math.sin(position)  # the first frequency is 1
    return [a * c - b * s, b * c + a * s]


def latent():
    keys, rows = [], []
    for position, token in enumerate(TOKENS):
        q, ql, kv = TABLE[token][:6], TABLE[token][6:10], TABLE[token][10:]
        size = math.sqrt(sum(v * v for v in kv[:2]) / 2 + 1e-6)
        keys.append([v / size * g for v, g in zip(kv[:2], LATENT_GAIN)] + turned(kv[2:], position))
        row = []
        for head in range(2):
            query = ql[2 * head:2 * head + 2] + turned(q[3 * head + 1:3 * head + 3], position)
            p = softmax([0.5 * sum(a * b for a, b in zip(query, key)) for key in keys])
            row += [sum(w * key[i] for w, key in zip(p, keys)) for i in range(2)]
        rows.append(row)
    return rows


# One KV head of 2 channels, two query heads, each with a sink.
SINKS = [0.5, -1.0]


def sinks():
    keys, values, rows = [], [], []
    for token in TOKENS:
        x = TABLE[token]
        keys.append(x[4:6]), values.append(x[6:8])
        row = []
        for head in range(2):
            scores = [0.5 * sum(a * b for a, b in zip(x[2 * head:2 * head + 2], key)) for key in keys]
            p = softmax(scores + [SINKS[head]])[:-1]
            row += [sum(w * value[i] for w, value in zip(p, values)) for i in range(2)]
        rows.append(row)
    return rows


show("latent", latent())
show("sinks", sinks())
