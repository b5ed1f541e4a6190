"""Writes the weights of two experts in several layouts: write_experts.py OUT. The same numbers in all of them."""
import json
import struct
import sys

# [expert][row][column]: rows 0 … 2 are the weight, rows 3 … 5 another's.
FULL = [[[100 * e + 10 * n + k for k in range(4)] for n in range(6)] for e in range(2)]


def flat(values):
    return [v for row in values for v in (flat(row) if isinstance(row, list) else [row])]


def transposed(matrix):
    return [list(column) for column in zip(*matrix)]


part = [m[:3] for m in FULL]
turns = [[row for pair in zip(m[:3], m[3:]) for row in pair] for m in FULL]  # rows of the two in turns
TENSORS = {
    "each.0": ([3, 4], part[0]), "each.1": ([3, 4], part[1]), "stack": ([2, 3, 4], part), "below": ([6, 4], part),
    "part": ([2, 6, 4], FULL), "turns": ([2, 4, 6], [transposed(m) for m in turns]),
    "across": ([12, 3], [transposed(m[:3]) + [[9, 9, 9]] * 2 for m in FULL]),  # [expert][4 + 2][3]: the transpose of the weight, and more
    "bias": ([2, 3], [[row[0] for row in m] for m in part]), "bias_turns": ([2, 6], [[row[0] for row in m] for m in turns]),
}
header, data = {}, b""
for name, (shape, values) in TENSORS.items():
    numbers = struct.pack(f"<{len(flat(values))}f", *flat(values))
    header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [len(data), len(data) + len(numbers)]}
    data += numbers
text = json.dumps(header).encode()
with open(sys.argv[1], "wb") as out:
    out.write(struct.pack("<Q", len(text)) + text + data)
