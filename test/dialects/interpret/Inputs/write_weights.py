"""Writes a small safetensors file: write_weights.py OUT. Values are small integers, exact in every format."""
import json
import struct
import sys


def f32(values):
    return b"".join(struct.pack("<f", v) for v in values)


def bf16(values):
    return b"".join(struct.pack("<f", v)[2:] for v in values)


def f16(values):
    return b"".join(struct.pack("<e", v) for v in values)


TENSORS = {
    "embed": ("F32", [4, 2], f32([1, 2, 3, 4, 5, 6, 7, 8])),
    # Layers 0 and 2; [in = 2, out = 6], of which a weight takes rows 2..4 of the transpose.
    "h.0.qkv": ("F16", [2, 6], f16([0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 0, 0])),
    "h.2.qkv": ("F16", [2, 6], f16([0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0])),
    "h.0.bias": ("F32", [6], f32([9, 9, 1, 2, 9, 9])),
    "h.2.bias": ("F32", [6], f32([9, 9, 10, 20, 9, 9])),
    # Rows 1..4 of five.
    "head": ("BF16", [5, 2], bf16([9, 9, 1, 0, 0, 1, 1, 1, 9, 9])),
}

header, offset = {}, 0
for name, (dtype, shape, data) in TENSORS.items():
    header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [offset, offset + len(data)]}
    offset += len(data)
text = json.dumps(header).encode()
with open(sys.argv[1], "wb") as out:
    out.write(struct.pack("<Q", len(text)) + text + b"".join(data for _, _, data in TENSORS.values()))
