#!/usr/bin/env python3
"""Mixtures of experts in GGUF: the cases of hf_cases.py, written as llama.cpp's converter names things, against transformers' logits.

    gguf_experts_check.py CASES_DIR --llmc build/bin/llmc [--only mixtral,olmoe]

Needs the package gguf. Tensors stay float32: what is held to the reference is the mapping of names, metadata and layouts.
"""
import argparse
import json
import os
import struct
import subprocess
import sys
import tempfile

import gguf
import numpy as np

ARCHITECTURES = {"mixtral": "llama", "qwen2_moe": "qwen2moe", "qwen3_moe": "qwen3moe", "olmoe": "olmoe"}


def read_safetensors(path):
    data = open(path, "rb").read()
    size = struct.unpack("<Q", data[:8])[0]
    tensors = {}
    for name, entry in json.loads(data[8:8 + size]).items():
        if name != "__metadata__":
            begin, end = (8 + size + offset for offset in entry["data_offsets"])
            tensors[name] = np.frombuffer(data[begin:end], np.float32).reshape(entry["shape"])
    return tensors


def interleaved(weight, heads):
    """Rows of each head as llama.cpp turns them: pairs side by side."""
    return weight.reshape(heads, 2, weight.shape[0] // heads // 2, *weight.shape[1:]).swapaxes(1, 2).reshape(weight.shape)


def write_metadata(w, c):
    w.add_context_length(c["max_position_embeddings"]), w.add_embedding_length(c["hidden_size"]), w.add_block_count(c["num_hidden_layers"])
    w.add_head_count(c["num_attention_heads"]), w.add_head_count_kv(c["num_key_value_heads"])
    w.add_feed_forward_length(c["intermediate_size"]), w.add_layer_norm_rms_eps(c["rms_norm_eps"])
    w.add_rope_freq_base(c["rope_theta"] if "rope_theta" in c else c["rope_parameters"]["rope_theta"])
    w.add_expert_count(c["experts"]), w.add_expert_used_count(c["num_experts_per_tok"])
    for key, add in (("head_dim", w.add_key_length), ("head_dim", w.add_value_length), ("clip_qkv", w.add_clamp_kqv),
                     ("moe_intermediate_size", w.add_expert_feed_forward_length),
                     ("shared_expert_intermediate_size", w.add_expert_shared_feed_forward_length)):
        if c.get(key):
            add(c[key])


def layer_tensors(name, c, source, i):
    """{GGUF name: values} of layer i."""
    at, out = f"model.layers.{i}.", {}
    out["attn_norm.weight"], out["ffn_norm.weight"] = source[at + "input_layernorm.weight"], source[at + "post_attention_layernorm.weight"]
    for short, long in (("q", "attn_q"), ("k", "attn_k"), ("v", "attn_v"), ("o", "attn_output")):
        for part in ("weight", "bias"):
            if (values := source.get(f"{at}self_attn.{short}_proj.{part}")) is not None:
                heads = {"q": c["num_attention_heads"], "k": c["num_key_value_heads"]}.get(short)
                out[f"{long}.{part}"] = interleaved(values, heads) if name == "mixtral" and heads else values
        if (norm := source.get(f"{at}self_attn.{short}_norm.weight")) is not None:
            out[f"attn_{short}_norm.weight"] = norm
    mlp, names = (at + "block_sparse_moe.", ("w1", "w3", "w2")) if name == "mixtral" else (at + "mlp.", ("gate_proj", "up_proj", "down_proj"))
    out["ffn_gate_inp.weight"] = source[mlp + "gate.weight"]
    for short, long in zip(("gate", "up", "down"), names):
        out[f"ffn_{short}_exps.weight"] = np.stack([source[f"{mlp}experts.{e}.{long}.weight"] for e in range(c["experts"])])
        if (shared := source.get(f"{mlp}shared_expert.{long}.weight")) is not None:
            out[f"ffn_{short}_shexp.weight"] = shared
    if (gate := source.get(mlp + "shared_expert_gate.weight")) is not None:
        out["ffn_gate_inp_shexp.weight"] = gate[0]
    return out


def write_gguf(name, case, path):
    c, source = json.load(open(f"{case}/config.json")), read_safetensors(f"{case}/model.safetensors")
    c["experts"] = c.get("num_local_experts") or c["num_experts"]
    w = gguf.GGUFWriter(path, ARCHITECTURES[name])
    write_metadata(w, c)
    w.add_tensor("token_embd.weight", source["model.embed_tokens.weight"])
    w.add_tensor("output_norm.weight", source["model.norm.weight"])
    w.add_tensor("output.weight", source["lm_head.weight"])
    for i in range(c["num_hidden_layers"]):
        for key, values in layer_tensors(name, c, source, i).items():
            w.add_tensor(f"blk.{i}.{key}", np.ascontiguousarray(values))
    w.write_header_to_file(), w.write_kv_data_to_file(), w.write_tensors_to_file(), w.close()


def check(name, case, llmc, work):
    path, out = os.path.join(work, name + ".gguf"), os.path.join(work, "out.npy")
    write_gguf(name, case, path)
    ids = json.load(open(f"{case}/reference.json"))["prompts"]["p80"]
    r = subprocess.run([llmc, "eval", "logits", path, "--exact", "--tokens", ",".join(map(str, ids)), "-o", out], capture_output=True, text=True)
    if r.returncode:
        return f"exit {r.returncode}: {r.stderr.strip()[-200:]}"
    worst = float(np.abs(np.load(out) - np.load(f"{case}/reference.npz")["logits_p80"]).max())
    print(f"{name}: max error {worst:.1e}")
    return None if worst <= 3e-4 else f"a logit is off by {worst:.1e}, want at most 3e-4"


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("cases")
    ap.add_argument("--llmc", required=True)
    # The case of qwen3_moe has a dense layer, which GGUF's qwen3moe has not.
    ap.add_argument("--only", default="mixtral,qwen2_moe,olmoe")
    a = ap.parse_args()
    failed = 0
    with tempfile.TemporaryDirectory(prefix="gguf-experts-") as work:
        for name in a.only.split(","):
            if wrong := check(name, os.path.join(a.cases, name), os.path.abspath(a.llmc), work):
                print(f"{name}: FAILED: {wrong}")
                failed += 1
    return failed != 0


if __name__ == "__main__":
    sys.exit(main())
