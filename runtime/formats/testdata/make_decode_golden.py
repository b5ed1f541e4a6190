#!/usr/bin/env python3
"""Records what gguf.quants.dequantize makes of random blocks, for DecodeTest.cpp.

    pip install gguf==0.19.0 numpy
    python3 make_decode_golden.py > DecodeGolden.inc

Each row: format, bytes of two blocks (hex), and the bits of the float32 values (hex).
"""
import importlib.metadata

import numpy as np
from gguf import GGMLQuantizationType as T
from gguf.constants import GGML_QUANT_SIZES
from gguf.quants import dequantize

# Offsets of the float16 scales inside a block: random bytes there could be infinite.
FORMATS = [("F32", T.F32, []), ("F16", T.F16, []), ("BF16", T.BF16, []), ("Q4_0", T.Q4_0, [0]), ("Q5_0", T.Q5_0, [0]),
           ("Q8_0", T.Q8_0, [0]), ("Q4_K", T.Q4_K, [0, 2]), ("Q5_K", T.Q5_K, [0, 2]), ("Q6_K", T.Q6_K, [208]),
           ("Q4_1", T.Q4_1, [0, 2]), ("Q5_1", T.Q5_1, [0, 2]), ("Q2_K", T.Q2_K, [80, 82]), ("Q3_K", T.Q3_K, [108]),
           ("IQ4_NL", T.IQ4_NL, [0]), ("MXFP4", T.MXFP4, [])]
SCALES = np.array([-0.01234, 3.1e-7], dtype=np.float16)  # the second is subnormal


def blocks(rng, kind, scales):
    size, count = GGML_QUANT_SIZES[kind][1], 2 if scales else 16
    data = rng.integers(0, 256, (count, size), dtype=np.uint8)
    for at in scales:
        data[:, at:at + 2] = SCALES[:, None].view(np.uint8).reshape(2, 2)
    if kind in (T.F32, T.F16, T.BF16):
        values = rng.standard_normal(count).astype(np.float32)
        values[:4] = [0.0, -0.0, 65504.0, 6e-8]
        if kind == T.F32:
            data = values.view(np.uint8)
        elif kind == T.F16:
            data = values.astype(np.float16).view(np.uint8)
        else:
            data = (values.view(np.uint32) >> 16).astype(np.uint16).view(np.uint8)
    return data.reshape(-1)


def lines(text, width=112):
    return "\n".join(f'     "{text[i:i + width]}"' for i in range(0, len(text), width))


rng = np.random.default_rng(20240501)
print(f"// Made by make_decode_golden.py with gguf {importlib.metadata.version('gguf')}, numpy {np.__version__}.")
for name, kind, scales in FORMATS:
    data = blocks(rng, kind, scales)
    bits = dequantize(data, kind).astype(np.float32).view(np.uint32)
    print(f"    {{Format::{name},\n{lines(data.tobytes().hex())},\n{lines(''.join(f'{b:08x}' for b in bits))}}},")
