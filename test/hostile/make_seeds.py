#!/usr/bin/env python3
"""Writes seeds/FUZZER/*: small good files from which the fuzzers start. Run again after a change here, and commit both."""
import json
import os
import random
import struct

HERE = os.path.dirname(os.path.abspath(__file__))
# ggml type, elements and bytes of a block: F32, F16, BF16, Q4_0, Q5_0, Q8_0, Q4_K, Q5_K, Q6_K,
# Q4_1, Q5_1, Q2_K, Q3_K, IQ4_NL, MXFP4.
GGUF_BLOCKS = [(0, 1, 4), (1, 1, 2), (30, 1, 2), (2, 32, 18), (6, 32, 22), (8, 32, 34), (12, 256, 144), (13, 256, 176),
               (14, 256, 210), (3, 32, 20), (7, 32, 24), (10, 256, 84), (11, 256, 110), (20, 32, 18), (39, 32, 17)]


def string(data):
    return struct.pack("<Q", len(data)) + data


def gguf():
    def entry(key, kind, value):
        return string(key) + struct.pack("<I", kind) + value

    def array(kind, count, values):
        return struct.pack("<IQ", kind, count) + values

    entries = [
        entry(b"general.architecture", 8, string(b"llama")),
        entry(b"general.alignment", 4, struct.pack("<I", 32)),
        entry(b"u8", 0, b"\7"), entry(b"i8", 1, b"\xff"), entry(b"u16", 2, b"\1\2"), entry(b"i16", 3, b"\xfe\xff"),
        entry(b"i32", 5, struct.pack("<i", -5)), entry(b"f32", 6, struct.pack("<f", 1e-6)), entry(b"bool", 7, b"\1"),
        entry(b"u64", 10, struct.pack("<Q", 1 << 40)), entry(b"i64", 11, struct.pack("<q", -9)),
        entry(b"f64", 12, struct.pack("<d", 0.5)),
        entry(b"tokens", 9, array(8, 3, string(b"a") + string(b"") + string("\u2581the".encode()))),
        entry(b"types", 9, array(5, 2, struct.pack("<ii", 1, 6))),
        entry(b"scores", 9, array(6, 2, struct.pack("<ff", 0, -1))),
        entry(b"flags", 9, array(7, 2, b"\0\1")),
    ]
    tensors, data, rng = [], b"", random.Random(1)
    for number, (kind, elements, size) in enumerate(GGUF_BLOCKS):
        row = max(elements, 2)
        tensors.append(string(b"blk.%d.w" % number) + struct.pack("<IQQIQ", 2, row, 2, kind, len(data)))
        data += rng.randbytes(row // elements * size * 2)
        data += bytes(-len(data) % 32)
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(entries)) + b"".join(entries) + b"".join(tensors)
    return {"formats.gguf": head + bytes(-len(head) % 32) + data, "empty.gguf": b"GGUF" + struct.pack("<IQQ", 2, 0, 0)}


def safetensors():
    header = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, dtype, shape, size in [("a", "F32", [2, 2], 16), ("b", "BF16", [3], 6), ("c", "F16", [], 2), ("ids", "I64", [1], 8),
                                     ("none", "F16", [0, 4], 0)]:
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [end, end + size]}
        end += size
    text = json.dumps(header).encode()
    return {"buffers.safetensors": struct.pack("<Q", len(text)) + text + random.Random(2).randbytes(end),
            "empty.safetensors": struct.pack("<Q", 2) + b"{}"}


def jsons():
    return {"kinds.json": rb'{"a": [1, -2.5e3, true, null, "x\u00e9\ud83d\ude00\n"], "b": {"c": {}, "d": []}, "e": 18446744073709551615}'}


def main():
    for fuzzer, files in {"GgufFuzz": gguf(), "SafetensorsFuzz": safetensors(), "JsonFuzz": jsons()}.items():
        os.makedirs(os.path.join(HERE, "seeds", fuzzer), exist_ok=True)
        for name, data in files.items():
            with open(os.path.join(HERE, "seeds", fuzzer, name), "wb") as file:
                file.write(data)


if __name__ == "__main__":
    main()
