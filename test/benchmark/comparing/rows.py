"""The rows of the table: which file, which tests, and what llama.cpp is known to reach of the machine's bounds on it."""
import dataclasses


@dataclasses.dataclass(frozen=True)
class Known:
    """Shares of the bounds that measure.py computes, by llama.cpp where it was well built."""
    decode: float
    prefill: float


@dataclasses.dataclass(frozen=True)
class Row:
    preset: str                 # of test/conformance/make_synthetic_gguf.py, or "gemma-3-270m", the real file
    quant: str
    amx: Known = None           # on two cores of a Xeon with AMX (bounds: 34 GB/s; bf16 tiles, 6.4 Tflop/s)
    vectors: Known = None       # on two Zen 5 cores, AVX-512 VNNI and BF16 (docs/benchmarks/2026-11-24-compare.md)
    openvino: str = ""          # the weight format of OpenVINO that compares with this one
    more: tuple = ()            # tests beside prefill and decode: "deep", "many"

    def known(self, peaks):
        """For a machine with the same features; None where nothing was measured. `peaks`: what it has, by instruction."""
        return self.amx if "bf16_amx" in peaks else self.vectors if "int8_vnni_avx512" in peaks and "bf16_dot_avx512" in peaks else None

    @property
    def name(self):
        return f"{self.preset} {self.quant}"

    @property
    def file(self):
        return f"{self.preset}-{self.quant}.gguf"


ROWS = (
    Row("gemma-3-270m", "q4_k_m", Known(0.48, 0.021), Known(0.40, 0.10), more=("deep", "many")),
    Row("llama-3.2-1b", "q4_0", Known(0.59, 0.072), Known(0.73, 0.25), openvino="int4", more=("deep", "many")),
    Row("llama-3.2-1b", "q8_0", Known(0.74, 0.075), Known(0.50, 0.13), openvino="int8", more=("many",)),
    Row("llama-3.2-1b", "bf16", Known(0.61, 0.028), Known(0.95, 0.50)),
    Row("qwen2.5-0.5b", "q4_0", Known(0.68, 0.091), Known(0.61, 0.21), openvino="int4"),
    Row("mamba-370m", "f16", Known(0.51, 0.013), Known(0.42, 0.11)),
    Row("mamba2-370m", "q8_0", Known(0.46, 0.017), Known(0.31, 0.08)),
    Row("olmoe-1b-7b", "q4_0", Known(0.37, 0.027), Known(0.49, 0.11)),
)


@dataclasses.dataclass(frozen=True)
class Test:
    """`count` tokens as one prompt (prefill), or `count` steps of one token for each of `sequences`, after `depth` tokens."""
    name: str
    prefill: bool
    count: int
    depth: int = 0
    sequences: int = 1

    @property
    def tokens(self):
        return self.count * self.sequences


def tests_of(row, prompt, generated, depth, sequences):
    tests = [Test(f"prefill {prompt}", True, prompt), Test("decode", False, generated)]
    if "deep" in row.more and depth:
        tests.append(Test(f"decode after {depth}", False, generated, depth=depth))
    if "many" in row.more and sequences > 1:
        tests.append(Test(f"decode {sequences} sequences", False, max(generated // 2, 1), sequences=sequences))
    return tests


def choose(names):
    """The rows whose names contain one of the words of --rows."""
    if not names:
        return list(ROWS)
    chosen = [row for row in ROWS if any(name in row.name or name in row.file for name in names)]
    for name in names:
        if not any(name in row.name or name in row.file for row in ROWS):
            raise SystemExit(f"--rows: no row '{name}'; there are: {', '.join(row.name for row in ROWS)}")
    return chosen
