"""Compares .npy files in pairs: near.py [--rows N] TOLERANCE A B [A B]... Of the first N rows of each; of all without. Exits 1 unless all agree."""
import argparse
import sys

import npy

parser = argparse.ArgumentParser()
parser.add_argument("--rows", type=int)
parser.add_argument("tolerance", type=float)
parser.add_argument("paths", nargs="+")
args = parser.parse_args()


def difference(a, b):
    a, b = a[: args.rows], b[: args.rows]
    same = len(a) == len(b) > 0 and len(a[0]) == len(b[0])
    return max(abs(x - y) for row, other in zip(a, b) for x, y in zip(row, other)) if same else float("inf")


agree = 0
for path, other in zip(args.paths[::2], args.paths[1::2]):
    by = difference(npy.load(path), npy.load(other))
    agree += by <= args.tolerance
    if not by <= args.tolerance:
        print(f"{path} and {other} differ by {by}")
count = len(args.paths) // 2
print(f"{agree} of {count} pairs agree")
sys.exit(agree < count)
