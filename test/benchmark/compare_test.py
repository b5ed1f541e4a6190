#!/usr/bin/env python3
"""test/benchmark/compare without peers: what it counts from a header, and a quick run of ours that writes every kind of output.

    compare_test.py --bin build/bin
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "e2e")]
from comparing import gguf_header, limits, measure, report, rows  # noqa: E402
from harness import Checks, want  # noqa: E402

MODEL = os.path.join(os.path.dirname(HERE), "e2e", "golden_gguf", "llama.gguf")


def check_cost():
    header, cost = gguf_header.Header(MODEL), gguf_header.cost(MODEL)
    sizes = header.tensor_bytes()
    want(sum(sizes.values()) == header.data_bytes, "tensors do not add up to the file's data")
    left_out = 0 if "output.weight" not in sizes else sizes["token_embd.weight"]
    want(cost.step_bytes == header.data_bytes - left_out, f"{cost.step_bytes} bytes a step, want {header.data_bytes - left_out}")
    heads, layers = header.get("attention.head_count_kv"), header.get("block_count")
    width = header.get("attention.key_length") or header.get("embedding_length") // header.get("attention.head_count")
    sliding = gguf_header.Cost(step_bytes=1, prompt_operations=1, cache_bytes=6, window_bytes=5, window=512)
    want(sliding.cache_bytes_at(100) == 600 and sliding.cache_bytes_at(4096) == 4096 + 5 * 512, "bytes of sliding windows")
    recurrent = gguf_header.Cost(step_bytes=100, prompt_operations=1, cache_bytes=0, state_bytes=10)
    want(recurrent.step_bytes_of(1, 0) == 120 and recurrent.step_bytes_of(16, 9) == 420, "states are read and written, for each sequence")
    want(cost.cache_bytes == heads * layers * width * 4, f"{cost.cache_bytes} bytes of cache a token")


def check_limits(all_limits):
    peaks, reads = all_limits["operations_per_second"], all_limits["read_bytes_per_second"]
    want("small" in reads and set(reads) <= {"small", "huge"}, f"reads: {sorted(reads)}")
    want(all(1e8 < value < 1e13 for value in reads.values()), f"bandwidths: {reads}")
    want(all(1e9 < value < 1e16 for value in peaks.values()), f"peaks: {peaks}")
    features = limits.cpu_features()["features"]
    for feature, kind in (("avx2", "f32_fma_avx2"), ("avx512f", "f32_fma_avx512"), ("avx512_vnni", "int8_vnni_avx512"),
                          ("avx512_bf16", "bf16_dot_avx512"), ("avx_vnni", "int8_vnni_avx2")):
        want((feature in features) == (kind in peaks), f"the kernel says {features}, measured are {sorted(peaks)}")


def check_misbuilt():
    row, test = rows.ROWS[1], rows.Test("decode", False, 48)
    cost = gguf_header.Cost(step_bytes=10**9, prompt_operations=10**9, cache_bytes=0)
    vectors = {"f32_fma_avx2": 1e12, "int8_vnni_avx512": 4e12, "bf16_dot_avx512": 2e12}
    all_limits = {"threads": 2, "operations_per_second": vectors}
    bound = measure.bound(test, row, cost, 5e10, all_limits)
    want(bound == 50, f"a bound of {bound} tokens/s, want 50")
    for speed, told in ((0.5 * 50, False), (0.2 * 50, True)):
        result = {"test": test.name, "prefill": False, "threads": 2, "depth": 0, "sequences": 1,
                  "peers": {"llama.cpp": {"tokens_per_second": speed, "of_bound": speed / bound}}}
        want(bool(measure.misbuilt(row, result, all_limits)) == told, f"{speed} of {bound} tokens/s: told {not told}")
        want(not measure.misbuilt(row, result, {**all_limits, "operations_per_second": {"f32_fma_avx2": 1e12}}), "nothing is known of such a machine")
    want(row.known({**vectors, "bf16_amx": 1}) == row.amx and row.known(vectors) == row.vectors, "shares are those of machines with the same features")


def check_goals():
    def start(cold, warm):
        one = {"first_token_seconds": 0.05, "load_seconds": 0.01, "anonymous_bytes": 1, "rss_bytes": 1}
        return {"row": "m", "cold": {**one, "process_seconds": cold}, "warm": {**one, "process_seconds": warm}, "peak_bytes": {"anonymous": 1, "rss": 1}, "peers": {}}
    lines = report.start_table({"starts": [start(9, 0.09), start(11, 0.09), start(9, 0.11)]})[1]
    want(["!" in "".join(line) for line in lines] == [False, True, True], f"marks: {lines}")


def check_ratio():
    want(report.ratio([2, 4, 9], [1, 1, 3]) == 3, "the ratio is the median of the pairs' ratios")


def quick_run(binaries, folder):
    paths = {kind: os.path.join(folder, "compare." + kind) for kind in ("json", "html", "md")}
    done = subprocess.run([sys.executable, os.path.join(HERE, "compare"), "--llmc", os.path.join(binaries, "llmc"), "--quick", "--peers", "none",
                           "--model", MODEL, "-o", paths["json"], "--html", paths["html"], "--page", paths["md"]], capture_output=True, text=True)
    want(done.returncode == 0, f"exit status {done.returncode}: {done.stderr[-800:]}")
    return done.stdout, {kind: open(path, encoding="utf-8").read() for kind, path in paths.items()}


def check_outputs(text, files):
    results = json.loads(files["json"])
    names = [test["test"] for test in results["tests"]]
    want(names[:2] == ["prefill 64", "decode"], f"tests {names}")
    for test in results["tests"]:
        want(test["tokens_per_second"] > 0 and test["bound"] > 0, f"{test['test']}: {test['tokens_per_second']} of {test['bound']} tokens/s")
    start = results["starts"][0]["warm"]
    want(0 <= start["first_token_seconds"] < start["process_seconds"] and start["rss_bytes"] > 1e6, f"start: {start}")
    shown = report.speed(results["tests"][0]["tokens_per_second"])
    for kind, content in (("text", text), ("page", files["md"]), ("html", files["html"])):
        want(shown in content, f"{kind} lacks the figure {shown}")
    want(files["html"].count("<svg") == 2, "want two plots")
    check_limits(results["limits"][-1])


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--bin", required=True)
    a = ap.parse_args()
    checks = Checks()
    checks.run("bytes and operations of a header", check_cost)
    checks.run("bounds, and peers that are too slow", check_misbuilt)
    checks.run("ratios of pairs", check_ratio)
    checks.run("starts that are too slow", check_goals)
    with tempfile.TemporaryDirectory() as folder:
        checks.run("a quick run and its outputs", lambda: check_outputs(*quick_run(a.bin, folder)))
    sys.exit(checks.finish())


if __name__ == "__main__":
    main()
