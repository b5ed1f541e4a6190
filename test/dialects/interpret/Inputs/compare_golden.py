"""Reads llmc-interpret's output on stdin and compares the logits with those that transformers recorded.

    llmc-interpret model.mlir --tokens … --digits 9 | python3 compare_golden.py GOLDEN_DIR PROMPT TOLERANCE
    python3 compare_golden.py GOLDEN_DIR PROMPT        prints the prompt's ids, comma-separated
"""
import ast
import json
import struct
import sys
import zipfile


def read_npy(data):
    (length,) = struct.unpack("<H", data[8:10])
    rows, columns = ast.literal_eval(data[10 : 10 + length].decode())["shape"]
    values = struct.unpack("<%df" % (rows * columns), data[10 + length :])
    return [values[r * columns : (r + 1) * columns] for r in range(rows)]


def read_logits(lines):
    rows, wanted = [], False
    for line in lines:
        if line.startswith("step"):
            wanted = " result 0:" in line
        elif wanted:
            rows.append([float(v) for v in line.strip()[1:-1].split(", ")])
    return rows


def main():
    golden, prompt = sys.argv[1:3]
    if len(sys.argv) == 3:
        with open(golden + "/reference.json", encoding="utf-8") as reference:
            print(",".join(map(str, json.load(reference)["prompts"][prompt])))
        return
    want = read_npy(zipfile.ZipFile(golden + "/reference.npz").read("logits_%s.npy" % prompt))
    got = read_logits(sys.stdin)
    if [len(r) for r in got] != [len(r) for r in want]:
        sys.exit("want %d rows of logits, got %d" % (len(want), len(got)))
    worst = max(abs(g - w) for a, b in zip(got, want) for g, w in zip(a, b))
    print("greatest difference %.3g" % worst)
    if not worst <= float(sys.argv[3]):
        sys.exit("more than " + sys.argv[3])


main()
