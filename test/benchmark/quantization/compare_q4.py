#!/usr/bin/env python3
"""How far quantised models are from their float32 source: our schemes and llama.cpp's Q4_0, on the same texts.

    compare_q4.py --llmc build/bin/llmc --gguf gemma.gguf --text perplexity.txt [--schemes q8,q6,q5,q4,q4a] [--calibrate other.txt] [-o table.json]
    compare_q4.py --llmc build/bin/llmc --models examples/models --text-of tiny-llama=story.txt …

A GGUF file is decoded to float32 by gguf-py; that is the source. llama.cpp's quantiser (llama_model_quantize, its default mixture) makes
Q4_0 of it; ours makes each scheme. A Hugging Face directory has no GGUF: there the same mixture is made from gguf-py's Q4_0 and Q8_0,
which are ggml's reference bit for bit, decoded into a float32 checkpoint. Everything is run by llmc: `eval kld --reference SOURCE`, all
with --exact, so that only the weights differ; and, for the GGUF, in the default mode too.
With --calibrate each scheme is measured once more, after reading that text.
Run it with a Python that has gguf, numpy and llama-cpp-python (the last for --gguf only).
"""
import argparse
import ctypes
import json
import os
import shutil
import struct
import subprocess
import sys
import tempfile

import gguf
import numpy as np
from gguf import GGMLQuantizationType as Q

BITS = {"F32": 32, "BF16": 16, "F16": 16}


def decode_to_float32(source, target):
    """A copy of a GGUF file with all tensors in float32."""
    reader = gguf.GGUFReader(source)
    architecture = reader.fields["general.architecture"].contents()
    writer = gguf.GGUFWriter(target, architecture)
    for name, field in reader.fields.items():
        if name.startswith("GGUF.") or name in ("general.architecture", "general.file_type"):
            continue
        kind = field.types[0]
        writer.add_key_value(name, field.contents(), kind, sub_type=field.types[-1] if kind == gguf.GGUFValueType.ARRAY else None)
    writer.add_file_type(0)
    for tensor in reader.tensors:
        values = gguf.quants.dequantize(tensor.data, tensor.tensor_type).astype(np.float32)
        writer.add_tensor(tensor.name, values.reshape([int(n) for n in reversed(tensor.shape)]))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def llama_cpp_q4_0(source, target):
    import llama_cpp
    silent = llama_cpp.llama_log_callback(lambda *_: None)
    llama_cpp.llama_log_set(silent, ctypes.c_void_p(0))
    parameters = llama_cpp.llama_model_quantize_default_params()
    parameters.ftype = llama_cpp.LLAMA_FTYPE_MOSTLY_Q4_0
    if llama_cpp.llama_model_quantize(source.encode(), target.encode(), ctypes.byref(parameters)):
        sys.exit("llama_model_quantize failed")


def read_safetensors(path):
    with open(path, "rb") as f:
        header = json.loads(f.read(struct.unpack("<Q", f.read(8))[0]))
        data = f.read()
    header.pop("__metadata__", None)
    tensors = {}
    for name, about in header.items():
        raw = data[slice(*about["data_offsets"])]
        if about["dtype"] == "BF16":
            values = (np.frombuffer(raw, np.uint16).astype(np.uint32) << 16).view(np.float32)
        else:
            values = np.frombuffer(raw, {"F32": np.float32, "F16": np.float16}[about["dtype"]]).astype(np.float32)
        tensors[name] = values.reshape(about["shape"])
    return tensors


def write_safetensors(path, tensors):
    header, at = {}, 0
    for name, values in tensors.items():
        header[name] = {"dtype": "F32", "shape": list(values.shape), "data_offsets": [at, at + values.nbytes]}
        at += values.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text)
        for values in tensors.values():
            f.write(np.ascontiguousarray(values, np.float32).tobytes())


def reference_mixture(folder, target):
    """Q4_0 as llama.cpp makes it, decoded: the token table and head Q8_0 (their rows are no super-blocks), vectors, convolutions and
    routers as they are."""
    shutil.copytree(folder, target)
    tensors = read_safetensors(os.path.join(folder, "model.safetensors"))
    for name, values in tensors.items():
        keeps = values.ndim < 2 or values.ndim > 2 or "norm" in name or "conv" in name or name.endswith("A_log") or ".gate.weight" in name and "moe" in name
        if keeps or values.shape[-1] % 32:
            continue
        kind = Q.Q8_0 if "embed" in name or "lm_head" in name else Q.Q4_0
        tensors[name] = gguf.quants.dequantize(gguf.quants.quantize(values, kind), kind)
    write_safetensors(os.path.join(target, "model.safetensors"), tensors)


class Measure:
    def __init__(self, llmc, threads):
        self.llmc, self.threads = llmc, threads

    def call(self, *args):
        return subprocess.run([self.llmc, *map(str, args)], capture_output=True, text=True, check=True).stdout

    def kld(self, model, reference, text, *options):
        out = json.loads(self.call("eval", "kld", model, "--reference", reference, "-f", text, "-t", self.threads, "--json", *options))
        out["perplexity"] = float(self.call("eval", "perplexity", model, "-f", text, "-t", self.threads, *options).split()[-1])
        return out

    def compiled(self, source, options, work):
        """The library, and its weights' bytes."""
        library = os.path.join(work, "model.so")
        self.call("compile", source, "-o", library, *options)
        return library, os.path.getsize(library.removesuffix(".so") + ".weights")

    def speed(self, library):
        rows = json.loads(self.call("bench", library, "-p", 512, "-n", 64, "-r", 3, "-t", self.threads, "-o", "json"))
        return [row["tokens_per_second"] for row in rows]


def quantised_forms(args):
    """Name and options of each."""
    for scheme in args.schemes.split(","):
        yield scheme, ["--quantize", scheme]
        if args.calibrate:
            yield f"{scheme} calibrated", ["--quantize", scheme, "--calibrate", args.calibrate]


def gguf_rows(measure, source, text, forms, work):
    """Against the float32 of one GGUF file."""
    plain, theirs = os.path.join(work, "f32.gguf"), os.path.join(work, "q4_0.gguf")
    decode_to_float32(source, plain)
    llama_cpp_q4_0(plain, theirs)
    for name, model, options in [("f32", plain, []), ("llama.cpp Q4_0", theirs, [])] + [(name, plain, options) for name, options in forms]:
        library, size = measure.compiled(model, options, work)
        row = {"model": os.path.basename(source), "scheme": name, "bytes": size, "tokens_per_second": measure.speed(library)}
        if name != "f32":
            row |= {"exact": measure.kld(model, plain, text, "--exact", *options), "default": measure.kld(model, plain, text, *options)}
        yield row


def folder_rows(measure, folder, text, forms, work):
    theirs = os.path.join(work, os.path.basename(folder) + "-q4_0")
    reference_mixture(folder, theirs)
    name = os.path.basename(folder)
    yield {"model": name, "scheme": "ggml Q4_0", "exact": measure.kld(theirs, folder, text, "--exact")}
    for scheme, options in forms:
        _, size = measure.compiled(folder, options, work)
        yield {"model": name, "scheme": scheme, "bytes": size, "exact": measure.kld(folder, folder, text, "--exact", *options)}


def show(row):
    line = f"{row['model']:16} {row['scheme']:16} {row.get('bytes', 0) / 1e6:8.1f} MB"
    for mode in ("exact", "default"):
        if mode in row:
            r = row[mode]
            line += f"  {mode}: KLD {r['mean_kld']:.5f} p99 {r['p99_kld']:.4f} top-1 {100 * r['top1_agreement']:.2f} % ppl {r['perplexity']:.3f}"
    if "tokens_per_second" in row:
        line += "  prefill {:.0f} decode {:.1f} tokens/s".format(*row["tokens_per_second"])
    print(line, flush=True)


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--llmc", default="build/bin/llmc")
    ap.add_argument("--gguf", action="append", default=[])
    ap.add_argument("--models", action="append", default=[], help="Hugging Face directories")
    ap.add_argument("--text", required=True)
    ap.add_argument("--schemes", default="q8,q6,q5,q4,q4a")
    ap.add_argument("--calibrate", metavar="TEXT", help="measure each scheme calibrated on this text too")
    ap.add_argument("-t", "--threads", type=int, default=2)
    ap.add_argument("-o", "--output", help="write the rows as JSON")
    args = ap.parse_args()
    measure, forms, rows = Measure(os.path.abspath(args.llmc), args.threads), list(quantised_forms(args)), []
    with tempfile.TemporaryDirectory() as work:
        for source in args.gguf:
            for row in gguf_rows(measure, source, args.text, forms, work):
                rows.append(row)
                show(row)
        for folder in args.models:
            for row in folder_rows(measure, folder.rstrip("/"), args.text, forms, work):
                rows.append(row)
                show(row)
    if args.output:
        with open(args.output, "w") as f:
            json.dump(rows, f, indent=1)


if __name__ == "__main__":
    main()
