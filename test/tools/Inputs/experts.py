"""Checks the loads of experts in a profile: experts.py config.json bench.json, the same tokens at once and one by one."""
import json
import statistics
import sys


def want(condition, what):
    if not condition:
        sys.exit(what)


def check(load, config, tokens, what):
    counts = load["counts"]
    choices = tokens * config["num_experts_per_tok"]
    want(len(counts) == load["experts"] == config["num_local_experts"], f"{what}: {counts}")
    want(load["tokens"] == tokens, f"{what}: {load['tokens']} tokens, want {tokens}")
    want(sum(counts) == choices, f"{what}: {counts} are {sum(counts)}, want {choices}")
    want(max(counts) <= tokens, f"{what}: {counts}: an expert was chosen twice by one of {tokens} tokens")
    figures = {"min_share": min(counts) / choices, "median_share": statistics.median(counts) / choices, "max_share": max(counts) / choices,
               "imbalance": max(counts) / statistics.mean(counts)}
    for name, figure in figures.items():
        want(abs(load[name] - figure) < 1e-9, f"{what}: {name} {load[name]}, want {figure}")


def main():
    config, results = (json.load(open(path, encoding="utf-8")) for path in sys.argv[1:])
    seen = {}
    for result in results:
        what = f"{result['test']}, {result['threads']} threads"
        tokens = (result["n_prompt"] + result["n_gen"]) * len(result["samples"])
        loads = result["profile"]["experts"]
        want([load["layer"] for load in loads] == list(range(config["num_hidden_layers"])), f"{what}: {loads}")
        for load in loads:
            check(load, config, tokens, f"{what}, layer {load['layer']}")
        counts = [load["counts"] for load in loads]
        want(seen.setdefault(tokens, counts) == counts, f"{what}: {counts}, before {seen[tokens]}")
    want(len(results) == 6 and len(seen) == 2, f"{len(results)} tests of {len(seen)} lengths")


main()
