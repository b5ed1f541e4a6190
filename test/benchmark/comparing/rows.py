"""The rows of the table: which file, which tests, and what llama.cpp is known to reach of the machine's limits on it."""
import dataclasses


@dataclasses.dataclass(frozen=True)
class Row:
    preset: str                 # of test/conformance/make_synthetic_gguf.py, or "gemma-3-270m", the real file
    quant: str
    decode_share: float         # of the bytes' bound, by llama.cpp where it was well built
    prefill_share: float        # of the best vector peak for the format, likewise (no AMX on either side)
    openvino: str = ""          # the weight format of OpenVINO that compares with this one
    more: tuple = ()            # tests beside prefill and decode: "deep", "many"

    @property
    def name(self):
        return f"{self.preset} {self.quant}"

    @property
    def file(self):
        return f"{self.preset}-{self.quant}.gguf"


ROWS = (
    Row("gemma-3-270m", "q4_k_m", 0.48, 0.07, more=("deep", "many")),
    Row("llama-3.2-1b", "q4_0", 0.59, 0.14, openvino="int4", more=("deep", "many")),
    Row("llama-3.2-1b", "q8_0", 0.74, 0.11, openvino="int8", more=("many",)),
    Row("llama-3.2-1b", "bf16", 0.61, 0.15),
    Row("qwen2.5-0.5b", "q4_0", 0.68, 0.14, openvino="int4"),
    Row("mamba-370m", "f16", 0.51, 0.15),
    Row("mamba2-370m", "q8_0", 0.46, 0.07),
    Row("olmoe-1b-7b", "q4_0", 0.37, 0.07),
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
