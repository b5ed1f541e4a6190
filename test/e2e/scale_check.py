#!/usr/bin/env python3
"""Depth and size: the code of a model does not grow with its layers, nor the compiler's memory with its weights.

    scale_check.py --bin build/bin [--full]

Models are generated: checkpoints of zeros, sparse on disk. --full adds the 1B-sized GGUF file of
test/conformance/make_synthetic_gguf.py (2.1 GB of disk, needs the package gguf): compiled in under 30 s with at most
400 MB of anonymous memory, with a first token in under 300 ms, and as many operations for 40 layers as for 4.
"""
import argparse
import json
import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import threading
import time

from harness import Checks, want

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
TINY = os.path.join(ROOT, "examples", "models", "tiny-llama")
# phase of `--compile-to` -> an operation that a whole model has then
PHASES = {"simplify": "llm.attention", "fuse": "llm.attention", "specialize": "llm.attention", "schedule": "tile.barrier", "lower": "llvm.call"}
MB = 1 << 20


def write_llama(folder, layers, hidden, vocab=1024):
    """A Llama checkpoint in bfloat16 with tiny-llama's tokenizer. Every weight is 0, a hole in the file."""
    os.makedirs(folder)
    config = json.load(open(os.path.join(TINY, "config.json")))
    heads, inner = hidden // 32, 4 * hidden
    config.update(num_hidden_layers=layers, hidden_size=hidden, intermediate_size=inner, head_dim=32, vocab_size=vocab,
                  num_attention_heads=heads, num_key_value_heads=heads // 2)
    json.dump(config, open(os.path.join(folder, "config.json"), "w"))
    for name in ("tokenizer.json", "tokenizer_config.json", "generation_config.json"):
        shutil.copy(os.path.join(TINY, name), folder)
    shapes = {"model.embed_tokens.weight": (vocab, hidden), "model.norm.weight": (hidden,)}
    for i in range(layers):
        block = {"input_layernorm": (hidden,), "post_attention_layernorm": (hidden,),
                 "self_attn.q_proj": (hidden, hidden), "self_attn.k_proj": (hidden // 2, hidden),
                 "self_attn.v_proj": (hidden // 2, hidden), "self_attn.o_proj": (hidden, hidden),
                 "mlp.gate_proj": (inner, hidden), "mlp.up_proj": (inner, hidden), "mlp.down_proj": (hidden, inner)}
        shapes.update({f"model.layers.{i}.{name}.weight": shape for name, shape in block.items()})
    return write_zeros(folder, shapes)


def write_mixtral(folder, layers, hidden, experts, vocab=1024):
    """The same with experts in every layer, one tensor for each, and config.json's names of Mixtral."""
    write_llama(folder, layers, hidden, vocab)
    config = json.load(open(os.path.join(folder, "config.json")))
    inner = 2 * hidden
    config.update(model_type="mixtral", architectures=["MixtralForCausalLM"], intermediate_size=inner, num_local_experts=experts,
                  num_experts_per_tok=2, tie_word_embeddings=False)
    json.dump(config, open(os.path.join(folder, "config.json"), "w"))
    shapes = {"model.embed_tokens.weight": (vocab, hidden), "model.norm.weight": (hidden,), "lm_head.weight": (vocab, hidden)}
    for i in range(layers):
        block = {"input_layernorm": (hidden,), "post_attention_layernorm": (hidden,),
                 "self_attn.q_proj": (hidden, hidden), "self_attn.k_proj": (hidden // 2, hidden),
                 "self_attn.v_proj": (hidden // 2, hidden), "self_attn.o_proj": (hidden, hidden), "block_sparse_moe.gate": (experts, hidden)}
        for e in range(experts):
            block.update({f"block_sparse_moe.experts.{e}.{name}": shape
                          for name, shape in (("w1", (inner, hidden)), ("w2", (hidden, inner)), ("w3", (inner, hidden)))})
        shapes.update({f"model.layers.{i}.{name}.weight": shape for name, shape in block.items()})
    return write_zeros(folder, shapes)


def write_zeros(folder, shapes):
    """model.safetensors with these tensors in bfloat16, all 0; its bytes of weights."""
    header, end = {}, 0
    for name, shape in shapes.items():
        start, end = end, end + 2 * shape[0] * (shape[1] if len(shape) > 1 else 1)
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [start, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(os.path.join(folder, "model.safetensors"), "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text)
        f.truncate(8 + len(text) + end)
    return end


def anonymous_bytes(pid):
    with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as f:
        for line in f:
            if line.startswith("RssAnon:"):
                return int(line.split()[1]) * 1024
    return 0  # a process that is ending has none


def watched(command, timeout=600):
    """Runs it; (seconds, largest anonymous memory seen in bytes). Looks every 2 ms."""
    start, peak = time.monotonic(), 0
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        said = []
        reader = threading.Thread(target=lambda: said.append(process.stderr.read()))
        reader.start()
        try:
            while process.poll() is None:
                want(time.monotonic() - start < timeout, f"not done after {timeout} s")
                try:
                    peak = max(peak, anonymous_bytes(process.pid))
                except (FileNotFoundError, ProcessLookupError):
                    pass
                time.sleep(0.002)
        finally:
            process.kill()
            reader.join()
    want(process.returncode == 0, f"exit {process.returncode}: {said[0].decode(errors='replace').strip()[-200:]}")
    return time.monotonic() - start, peak


class Tools:
    def __init__(self, bin_dir, work):
        self.llmc, self.opt = (os.path.abspath(os.path.join(bin_dir, name)) for name in ("llmc", "llmc-opt"))
        self.work = work

    def text(self, source, verb, *options):
        r = subprocess.run([self.llmc, verb, source, "-o", "-", *options], capture_output=True, timeout=300)
        want(r.returncode == 0, f"llmc {verb} {' '.join(options)}: exit {r.returncode}: {r.stderr.decode(errors='replace').strip()[-200:]}")
        return r.stdout

    def operations(self, source, verb, *options):
        """{name of the operation: how many} of the module that `llmc VERB SRC OPTIONS` writes."""
        r = subprocess.run([self.opt, "--print-op-stats=json=true", "-o", os.devnull], input=self.text(source, verb, *options),
                           capture_output=True, timeout=300)
        want(r.returncode == 0, f"llmc-opt --print-op-stats: {r.stderr.decode(errors='replace').strip()[-200:]}")
        return json.loads(r.stderr)

    def code(self, source):
        """Functions and instructions of the LLVM module."""
        text = self.text(source, "compile", "--emit", "llvm", "--target", "cpu:x86-64-v3").decode()
        return {"functions": len(re.findall(r"^define ", text, re.MULTILINE)), "instructions": len(re.findall(r"^  [%a-z]", text, re.MULTILINE))}


def same_counts(few, many, needed):
    """Constants may differ a little: the number of layers may be one that the code has for another reason, and merge with it."""
    for name in sorted(few.keys() | many.keys()):
        slack = 4 if name in ("arith.constant", "llvm.mlir.constant") else 0
        want(abs(few.get(name, 0) - many.get(name, 0)) <= slack, f"{name}: {few.get(name, 0)} with 4 layers, {many.get(name, 0)} with 40")
    want(needed in many, f"no {needed}: not a whole model")
    return f"{sum(many.values())} operations"


def check_depth(tools, few, many, needed, *options):
    return same_counts(tools.operations(few, *options), tools.operations(many, *options), needed)


def check_code(tools, few, many):
    few, many = tools.code(few), tools.code(many)
    want(few == many, f"{few} with 4 layers, {many} with 40")
    want(few["instructions"] > 1000, f"only {few['instructions']} instructions: not a whole model")
    return f"{few['instructions']} instructions in {few['functions']} functions"


def compile_size(tools, source, then=lambda library: None):
    """(seconds, largest anonymous memory) of compiling `source`; `then` may use the library before it is removed."""
    library = os.path.join(tools.work, "size.so")
    try:
        size = watched([tools.llmc, "compile", source, "-o", library])
        then(library)
        return size
    finally:
        for path in (library, library[:-2] + "weights"):
            if os.path.exists(path):
                os.remove(path)


def check_memory(tools):
    """512 MB more weights: at most 48 MB more memory, and less than 400 MB at all."""
    peaks = []
    for name, layers, hidden in (("small", 2, 256), ("large", 18, 1024)):
        folder = os.path.join(tools.work, name)
        size = write_llama(folder, layers, hidden)
        peaks.append(compile_size(tools, folder)[1])
        shutil.rmtree(folder)
    want(size > 512 * MB, f"the large model has only {size / MB:.0f} MB")
    want(min(peaks) > MB, f"nothing was measured: {peaks}")
    want(peaks[1] < 400 * MB, f"{peaks[1] / MB:.0f} MB of anonymous memory for {size / MB:.0f} MB of weights, want under 400")
    want(peaks[1] - peaks[0] < 48 * MB, f"{peaks[0] / MB:.0f} MB of anonymous memory for a small model, {peaks[1] / MB:.0f} for {size / MB:.0f} MB of weights")
    return f"{peaks[0] / MB:.0f} MB, {peaks[1] / MB:.0f} MB with {size / MB:.0f} MB of weights"


def check_experts(tools):
    """40 layers of experts: under 30 s for each billion of weights, and 400 MB."""
    folder = os.path.join(tools.work, "experts")
    size = write_mixtral(folder, 40, 256, 8)
    seconds, peak = compile_size(tools, folder)
    shutil.rmtree(folder)
    billions = size / 2e9
    want(seconds < 30 * max(billions, 1), f"took {seconds:.1f} s for {billions:.2f} billion weights")
    want(MB < peak < 400 * MB, f"{peak / MB:.0f} MB of anonymous memory, want under 400")
    return f"{seconds:.1f} s, {peak / MB:.0f} MB of anonymous memory for {billions:.2f} billion weights in 40 layers"


def synthetic(tools, name, *options):
    path = os.path.join(tools.work, name)
    script = os.path.join(ROOT, "test", "conformance", "make_synthetic_gguf.py")
    r = subprocess.run([sys.executable, script, "--preset", "llama-3.2-1b", "--out", path, *options], capture_output=True, text=True, timeout=600)
    want(r.returncode == 0, f"make_synthetic_gguf.py: {r.stderr.strip()[-200:]}")
    return path


def check_1b(tools):
    """Two cores of 2025, doing nothing else, compile in 2 s and have the first token of 16 after 50 ms."""
    path, starts = synthetic(tools, "1b.gguf", "--quant", "q4_0"), []
    command = [tools.llmc, "run", "", "--tokens", ",".join(map(str, range(3, 19))), "-n", "1", "--temp", "0", "--ids", "--ignore-eos", "-c", "2048"]
    seconds, peak = compile_size(tools, path, lambda library: starts.extend(watched([*command[:2], library, *command[3:]])[0] for _ in range(6)))
    os.remove(path)
    want(seconds < 30, f"took {seconds:.1f} s, want under 30")
    want(peak < 400 * MB, f"{peak / MB:.0f} MB of anonymous memory, want under 400")
    want(min(starts) < 0.3, f"the first token of a 16-token prompt came after {min(starts) * 1e3:.0f} ms, want under 300")
    return f"{seconds:.1f} s, {peak / MB:.0f} MB of anonymous memory, first token after {min(starts) * 1e3:.0f} ms"


def check_mixed_depth(tools):
    """Q4_K_M gives some layers Q6_K; its 40 layers are as much code as 4."""
    counts = []
    for layers in ("4", "40"):
        path = synthetic(tools, "deep.gguf", "--quant", "q4_k_m", "--vocab", "1024", "--layers", layers)
        counts.append(tools.operations(path, "compile", "--compile-to", "lower"))
        os.remove(path)
    return same_counts(*counts, "llvm.call")


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--bin", required=True)
    ap.add_argument("--full", action="store_true")
    a = ap.parse_args()
    checks = Checks()
    with tempfile.TemporaryDirectory(prefix="scale-") as work:
        tools = Tools(a.bin, work)
        few, many = os.path.join(work, "few"), os.path.join(work, "many")
        write_llama(few, 4, 64)
        write_llama(many, 40, 64)
        checks.run("imported: 4 layers = 40", check_depth, tools, few, many, "llm.attention", "import")
        for phase, needed in PHASES.items():
            checks.run(f"after {phase}: 4 layers = 40", check_depth, tools, few, many, needed, "compile", "--compile-to", phase)
        checks.run("LLVM module: 4 layers = 40", check_code, tools, few, many)
        checks.run("memory of the compiler", check_memory, tools)
        write_mixtral(os.path.join(work, "few-experts"), 4, 64, 4)
        write_mixtral(os.path.join(work, "many-experts"), 40, 64, 4)
        for phase, needed in (("import", "llm.experts"), ("specialize", "llm.experts"), ("lower", "llvm.call")):
            options = ("import",) if phase == "import" else ("compile", "--compile-to", phase)
            checks.run(f"experts after {phase}: 4 layers = 40", check_depth, tools, os.path.join(work, "few-experts"),
                       os.path.join(work, "many-experts"), needed, *options)
        checks.run("experts: memory of the compiler", check_experts, tools)
        if a.full:
            checks.run("1B in 30 s and 400 MB, first token in 300 ms", check_1b, tools)
            checks.run("mixed formats: 4 layers = 40", check_mixed_depth, tools)
    return checks.finish()


if __name__ == "__main__":
    sys.exit(main())
