#!/usr/bin/env python3
"""Models of real shapes whose weights nobody has to carry: for timing. Standard library only.

    synthetic.py source SHAPE FOLDER     a Hugging Face directory; its weights are a hole in a file
    synthetic.py header FILE.weights     leaves the header of a packed weight file in FILE.header, and removes the file
    synthetic.py weights FILE.header     makes FILE.weights anew, of numbers that are none of a model's, but numbers in every format

Shapes: llama-1b, llama-8b.
"""
import json
import os
import random
import struct
import sys

SHAPES = {
    "llama-1b": dict(hidden_size=2048, intermediate_size=8192, num_hidden_layers=16, num_attention_heads=32, num_key_value_heads=8, head_dim=64,
                     vocab_size=128256, tie_word_embeddings=True),
    "llama-8b": dict(hidden_size=4096, intermediate_size=14336, num_hidden_layers=32, num_attention_heads=32, num_key_value_heads=8, head_dim=128,
                     vocab_size=128256, tie_word_embeddings=False),
}
HEADER_BYTES = 4096


def tensors(shape):
    channels, inner, head = shape["hidden_size"], shape["intermediate_size"], shape["head_dim"]
    queries, keys = head * shape["num_attention_heads"], head * shape["num_key_value_heads"]
    yield "model.embed_tokens.weight", [shape["vocab_size"], channels]
    for i in range(shape["num_hidden_layers"]):
        layer = f"model.layers.{i}"
        for name, size in (("self_attn.q_proj", [queries, channels]), ("self_attn.k_proj", [keys, channels]), ("self_attn.v_proj", [keys, channels]),
                           ("self_attn.o_proj", [channels, queries]), ("mlp.gate_proj", [inner, channels]), ("mlp.up_proj", [inner, channels]),
                           ("mlp.down_proj", [channels, inner]), ("input_layernorm", [channels]), ("post_attention_layernorm", [channels])):
            yield f"{layer}.{name}.weight", size
    yield "model.norm.weight", [channels]
    if not shape["tie_word_embeddings"]:
        yield "lm_head.weight", [shape["vocab_size"], channels]


def write_source(shape, folder):
    os.makedirs(folder, exist_ok=True)
    config = dict(architectures=["LlamaForCausalLM"], model_type="llama", hidden_act="silu", rms_norm_eps=1e-5, rope_theta=500000.0,
                  max_position_embeddings=8192, torch_dtype="bfloat16", bos_token_id=1, eos_token_id=2, attention_bias=False, mlp_bias=False, **shape)
    with open(f"{folder}/config.json", "w", encoding="utf-8") as f:
        json.dump(config, f, indent=1)
    header, end = {}, 0
    for name, size in tensors(shape):
        count = 1
        for n in size:
            count *= n
        header[name] = dict(dtype="BF16", shape=size, data_offsets=[end, end + 2 * count])
        end += 2 * count
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(f"{folder}/model.safetensors", "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text)
        f.truncate(8 + len(text) + end)


def keep_header(path):
    with open(path, "rb") as f:
        header = f.read(HEADER_BYTES)
    with open(path.removesuffix(".weights") + ".header", "wb") as f:
        f.write(header)
    os.remove(path)


def write_weights(path):
    """Every 16-bit word is one of 0x3c80 … 0x3cff or its negative: about 0.02 as bf16, about 1.2 as f16, and the upper half of a small f32; as
    whole numbers anything."""
    with open(path, "rb") as f:
        header = f.read(HEADER_BYTES)
    size = struct.unpack_from("<q", header, 24)[0]
    block = 1 << 20
    rnd = random.Random(1).randbytes(block)
    low = bytes(b & 0x7f | 0x80 for b in rnd[::2])
    high = bytes(b & 0x80 | 0x3c for b in rnd[1::2])
    words = bytearray(block)
    words[::2], words[1::2] = low, high
    with open(path.removesuffix(".header") + ".weights", "wb") as f:
        f.write(header)
        for done in range(0, size, block):
            f.write(words[:min(block, size - done)])


def main():
    verb, *rest = sys.argv[1:] or [""]
    if verb == "source" and len(rest) == 2 and rest[0] in SHAPES:
        return write_source(SHAPES[rest[0]], rest[1])
    if verb == "header" and len(rest) == 1:
        return keep_header(rest[0])
    if verb == "weights" and len(rest) == 1:
        return write_weights(rest[0])
    sys.exit(__doc__)


if __name__ == "__main__":
    main()
