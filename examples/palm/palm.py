#!/usr/bin/env python3
"""PaLM in numpy (arXiv:2204.02311): the reference of palm.mlir, and random weights for it.

    palm.py write FOLDER                     FOLDER/model.mlir and FOLDER/model.safetensors
    palm.py compare LOGITS.npy TOKEN,...     exit 1 where llmc's logits are others

For example:
    palm.py write /tmp/palm
    llmc eval logits /tmp/palm/model.mlir --exact --tokens 3,1,4,1,5 -o /tmp/palm/logits.npy
    palm.py compare /tmp/palm/logits.npy 3,1,4,1,5
"""
import json
import os
import shutil
import struct
import sys

import numpy as np

VOCAB, HIDDEN, LAYERS, HEADS, HEAD, FFN = 64, 32, 2, 4, 8, 128
SHAPES = {"norm": (HIDDEN,), "q": (HEADS * HEAD, HIDDEN), "k": (HEAD, HIDDEN), "v": (HEAD, HIDDEN), "o": (HIDDEN, HEADS * HEAD),
          "gate": (FFN, HIDDEN), "up": (FFN, HIDDEN), "down": (HIDDEN, FFN)}


def random_weights():
    rng = np.random.default_rng(0)
    shapes = {"embed": (VOCAB, HIDDEN), "norm": (HIDDEN,)}
    shapes.update({f"layer.{i}.{name}": shape for i in range(LAYERS) for name, shape in SHAPES.items()})
    def draw(shape):
        return 1 + 0.2 * rng.standard_normal(shape) if len(shape) == 1 else rng.standard_normal(shape) * 1.5 / np.sqrt(shape[1])
    return {name: (rng.standard_normal(shape) if name == "embed" else draw(shape)).astype(np.float32) for name, shape in shapes.items()}


def write_safetensors(path, tensors):
    header, offset = {}, 0
    for name, values in tensors.items():
        header[name] = {"dtype": "F32", "shape": list(values.shape), "data_offsets": [offset, offset + values.nbytes]}
        offset += values.nbytes
    text = json.dumps(header).encode()
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text)
        for values in tensors.values():
            f.write(values.tobytes())


def layer_norm(x, gain):
    return (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5) * gain


def turned(x):
    """Rope: channel i and i + HEAD / 2 of each head turn by position * 10000^(-2i / HEAD)."""
    angles = np.arange(len(x))[:, None, None] * 10000.0 ** (-np.arange(HEAD // 2) * 2 / HEAD)
    a, b = x[..., :HEAD // 2], x[..., HEAD // 2:]
    return np.concatenate([a * np.cos(angles) - b * np.sin(angles), b * np.cos(angles) + a * np.sin(angles)], -1)


def attention(n, w):
    q, k, v = turned((n @ w["q"].T).reshape(-1, HEADS, HEAD)), turned((n @ w["k"].T)[:, None])[:, 0], n @ w["v"].T
    scores = np.einsum("thd,sd->hts", q, k) / np.sqrt(HEAD)
    scores[:, np.triu(np.ones(scores.shape[1:], bool), 1)] = -np.inf
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    y = np.einsum("hts,sd->thd", weights / weights.sum(-1, keepdims=True), v)
    return y.reshape(len(n), -1) @ w["o"].T


def feed_forward(n, w):
    gate = n @ w["gate"].T
    return (gate / (1 + np.exp(-gate)) * (n @ w["up"].T)) @ w["down"].T


def logits(weights, tokens):
    weights = {name: values.astype(np.float64) for name, values in weights.items()}
    x = weights["embed"][tokens]
    for i in range(LAYERS):
        w = {name: weights[f"layer.{i}.{name}"] for name in SHAPES}
        n = layer_norm(x, w["norm"])
        x = x + attention(n, w) + feed_forward(n, w)
    return layer_norm(x, weights["norm"]) @ weights["embed"].T / np.sqrt(HIDDEN)


def write(folder):
    os.makedirs(folder, exist_ok=True)
    shutil.copy(os.path.join(os.path.dirname(os.path.abspath(__file__)), "palm.mlir"), f"{folder}/model.mlir")
    write_safetensors(f"{folder}/model.safetensors", random_weights())


def compare(got, tokens):
    wanted = logits(random_weights(), tokens)
    worst = np.abs(got - wanted).max() if got.shape == wanted.shape else np.inf
    print(f"max error {worst:.1e} on logits of standard deviation {wanted.std():.2f}")
    return int(worst > 1e-4)


if __name__ == "__main__":
    if len(sys.argv) == 3 and sys.argv[1] == "write":
        sys.exit(write(sys.argv[2]))
    if len(sys.argv) == 4 and sys.argv[1] == "compare":
        sys.exit(compare(np.load(sys.argv[2]), [int(token) for token in sys.argv[3].split(",")]))
    sys.exit(__doc__)
