"""The table by which --kernels=auto chooses, and its page, from what HalideBench measured. Standard library only.

    build/unittests/HalideBench all > first.tsv; build/unittests/HalideBench all > second.tsv
    halide_table.py first.tsv second.tsv --table compiler/halide/KernelTable.inc --page table.md

Of several measurements each size counts by its worst. A row of the table is a run of two or more sizes next to each other of which each
was faster than the compiler's own kernel by more than 5 %: one alone is taken for noise. Sizes beyond the measured ones are not taken.
"""
import argparse
import fileinput
import itertools

LEAST_GAIN = 1.05
HEAD = """\
// Made by test/benchmark/kernels/halide_table.py from what HalideBench measured; see docs/benchmarks/2026-11-24-halide.md.
// LLMC_HALIDE_FASTER(target, kind, from, to): Halide's kernel was faster by more than 5 % for sizes in [from, to].
"""


def read(paths):
    """[(target, kind, [(size, emitted ns, halide ns, ratio), …])] in the files' order of kinds, sizes ascending."""
    groups = {}
    for line in fileinput.input(paths):
        target, kind, size, *numbers = line.rstrip("\n").split("\t")
        row, sizes = (int(size), *map(float, numbers)), groups.setdefault((target, kind), {})
        sizes[row[0]] = min(sizes.get(row[0], row), row, key=lambda row: row[3])
    return [(target, kind, sorted(sizes.values())) for (target, kind), sizes in groups.items()]


def intervals(rows):
    for wins, run in itertools.groupby(rows, key=lambda row: row[3] > LEAST_GAIN):
        if wins:
            sizes = [row[0] for row in run]
            if len(sizes) > 1:
                yield sizes[0], sizes[-1]


def table(groups):
    lines = [f'LLMC_HALIDE_FASTER("{target}", "{kind}", {first}, {last})'
             for target, kind, rows in groups for first, last in intervals(rows)]
    return HEAD + "".join(line + "\n" for line in lines)


def time(ns):
    return f"{ns:.0f}" if ns >= 100 else f"{ns:.1f}"


def page(groups):
    """For each target a row for each kind; a ratio of more than 1.05 is bold. Times are of the size in the middle."""
    text = ""
    for target, kinds in itertools.groupby(groups, key=lambda group: group[0]):
        text += f"\n## {target}\n\n| kind | sizes | emitted / Halide | ns at | emitted | Halide |\n| --- | --- | --- | ---: | ---: | ---: |\n"
        for _, kind, rows in kinds:
            sizes = ", ".join(str(row[0]) for row in rows)
            ratios = ", ".join(f"**{row[3]:.2f}**" if row[3] > LEAST_GAIN else f"{row[3]:.2f}" for row in rows)
            size, emitted, halide, _ = rows[len(rows) // 2]
            text += f"| {kind} | {sizes} | {ratios} | {size} | {time(emitted)} | {time(halide)} |\n"
    return text


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("measured", nargs="+")
    arguments.add_argument("--table", help="where to write the table")
    arguments.add_argument("--page", help="where to write the page's tables")
    options = arguments.parse_args()
    groups = read(options.measured)
    for path, text in ((options.table, table(groups)), (options.page, page(groups))):
        if path:
            with open(path, "w") as out:
                out.write(text)


if __name__ == "__main__":
    main()
