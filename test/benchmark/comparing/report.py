"""The results as text and as a Markdown page. A result is a dictionary, the same that -o writes as JSON."""
import statistics


def ratio(mine, theirs):
    """The median of the pairs' ratios."""
    return statistics.median(m / t for m, t in zip(mine, theirs))


def number(value, digits=0):
    return f"{value:,.{digits}f}"


def speed(value):
    return number(value, 0 if value >= 100 else 1)


def peers_in(results):
    names = [name for test in results["tests"] for name in test["peers"]]
    return list(dict.fromkeys(names))


def table(results):
    """Head and lines of cells."""
    peers = peers_in(results)
    head = ["model", "test", "threads", "llmc t/s", "of bound"]
    for name in peers:
        head += [f"{name} t/s", "ratio", "of bound"]
    lines = []
    for test in results["tests"]:
        line = [test["row"], test["test"], str(test["threads"]), speed(test["tokens_per_second"]), f"{test['of_bound']:.0%}"]
        for name in peers:
            peer = test["peers"].get(name)
            line += [speed(peer["tokens_per_second"]), f"{peer['ratio']:.2f}", f"{peer['of_bound']:.0%}"] if peer else ["", "", ""]
        lines.append(line)
    return head, lines


# For shapes of a billion weights; every row of the table is held to them.
GOALS = {"cold": 10.0, "warm": 0.1}   # seconds: the whole process, compiled anew and from the cache
STARTS = ("One process that reads a prompt of 16 tokens and gives one; compiled anew, then from the cache. Goals for a billion weights: under 10 s, packing "
          "included, and under 100 ms; `!` marks what is over.")


def start_table(results):
    head = ["model", "compile and load, s", "load again, s", "first token of 16, ms", "whole process, ms", "anonymous / RSS, MB", "peak of all tests, MB"]
    head += [f"{name}: load, s / first token, ms" for name in start_peers(results)]
    lines = []
    for start in results["starts"]:
        warm, cold = start["warm"], start["cold"]
        over = {kind: " !" * (each is not None and each["process_seconds"] > GOALS[kind]) for kind, each in (("cold", cold), ("warm", warm))}
        line = [start["row"], f"{cold['load_seconds']:.2f}{over['cold']}" if cold else "", f"{warm['load_seconds']:.3f}",
                f"{warm['first_token_seconds'] * 1e3:.0f}", f"{warm['process_seconds'] * 1e3:.0f}{over['warm']}",
                megabytes(warm["anonymous_bytes"], warm["rss_bytes"]),
                megabytes(start["peak_bytes"]["anonymous"], start["peak_bytes"]["rss"])]
        for name in start_peers(results):
            peer = start["peers"].get(name)
            line.append(f"{peer['load_seconds']:.2f} / {peer['first_token_seconds'] * 1e3:.0f}" if peer else "")
        lines.append(line)
    return head, lines


def megabytes(anonymous, rss):
    return f"{number(anonymous / 1e6)} / {number(rss / 1e6)}"


def start_peers(results):
    return list(dict.fromkeys(name for start in results["starts"] for name in start["peers"]))


def limits_table(results):
    all_limits = results["limits"]
    reads = [("read, " + {"small": "4 KiB pages", "huge": "huge pages"}[kind] + ", GB/s",
              [limits["read_bytes_per_second"][kind] / 1e9 for limits in all_limits]) for kind in all_limits[0]["read_bytes_per_second"]]
    peaks = [(kind.replace("_", " ") + ", 10^9/s", [limits["operations_per_second"][kind] / 1e9 for limits in all_limits])
             for kind in all_limits[0]["operations_per_second"]]
    head = ["limit"] + [f"{limits['threads']} thread{'s' * (limits['threads'] > 1)}" for limits in all_limits]
    return head, [[name] + [speed(value) for value in values] for name, values in reads + peaks]


def aligned(head, lines):
    widths = [max(len(row[i]) for row in [head, *lines]) for i in range(len(head))]
    return "\n".join("  ".join(cell.ljust(w) if i < 2 else cell.rjust(w) for i, (cell, w) in enumerate(zip(row, widths))).rstrip()
                     for row in [head, *lines])


def markdown(head, lines):
    rows = [head, ["---"] * len(head), *lines]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


NOTES = ("Tokens per second, medians; `ratio` is the median of the pairs' ratios. `of bound`: for decoding, bytes read per token (weights and cache) "
         "over what 1 GiB of huge pages gave, read beside each pair; for prompts, the operations of the products over the arithmetic "
         "peak of the format (bf16 AMX where there is AMX, else the fastest vector product that serves it).")


def machine_line(results):
    m = results["machine"]
    return (f"{m['model']} (family {m['family']}, model {m['number']}), {m['cpus']} CPUs, {m['memory_bytes'] / 2**30:.0f} GiB; "
            f"{', '.join(m['features'])}; huge pages: {m['huge_pages']}")


def text(results):
    parts = [machine_line(results), aligned(*limits_table(results)), aligned(*table(results)), aligned(*start_table(results))]
    return "\n\n".join(parts + results["warnings"])


def page(results):
    parts = [f"# {results['date']}: llmc and its peers", machine_line(results) + ". Programs: " + "; ".join(results["versions"]) + ".",
             f"    {results['command']}", NOTES, markdown(*table(results)), "## Start and memory",
             STARTS, markdown(*start_table(results)),
             "## The machine's limits", markdown(*limits_table(results))]
    if results["warnings"]:
        parts += ["## Warnings", "\n".join("- " + line for line in results["warnings"])]
    return "\n\n".join(parts) + "\n"
