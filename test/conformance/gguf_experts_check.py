#!/usr/bin/env python3
"""Mixtures of experts in GGUF: the cases of hf_cases.py, written as llama.cpp's converter names things, against transformers' logits.

    gguf_experts_check.py CASES_DIR --llmc build/bin/llmc [--only mixtral,olmoe]

Needs the package gguf. Tensors stay float32: what is held to the reference is the mapping of names, metadata and layouts.
"""
import argparse
import json
import os
import shutil
import struct
import subprocess
import sys
import tempfile

import gguf
import numpy as np

ARCHITECTURES = {"mixtral": "llama", "qwen2_moe": "qwen2moe", "qwen3_moe": "qwen3moe", "olmoe": "olmoe", "deepseek_v3": "deepseek2",
                 "gpt_oss": "gpt-oss"}


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
    w.add_head_count(c["num_attention_heads"]), w.add_head_count_kv(1 if "kv_lora_rank" in c else c["num_key_value_heads"])
    w.add_feed_forward_length(c["intermediate_size"]), w.add_layer_norm_rms_eps(c["rms_norm_eps"])
    w.add_rope_freq_base(c["rope_theta"] if "rope_theta" in c else c["rope_parameters"]["rope_theta"])
    w.add_expert_count(c["experts"]), w.add_expert_used_count(c["num_experts_per_tok"])
    sizes = () if "kv_lora_rank" in c else (("head_dim", w.add_key_length), ("head_dim", w.add_value_length))
    for key, add in (*sizes, ("clip_qkv", w.add_clamp_kqv),
                     ("moe_intermediate_size", w.add_expert_feed_forward_length),
                     ("shared_expert_intermediate_size", w.add_expert_shared_feed_forward_length)):
        if c.get(key):
            add(c[key])


def write_gpt_oss_metadata(w, c):
    scaling = c["rope_parameters"]
    w.add_sliding_window(c["sliding_window"]), w.add_rope_scaling_type(gguf.RopeScalingType.YARN)
    w.add_rope_scaling_factor(scaling["factor"]), w.add_rope_scaling_orig_ctx_len(scaling["original_max_position_embeddings"])
    w.add_expert_feed_forward_length(c["intermediate_size"])


def write_latent_metadata(w, c):
    rank, turned, scaling = c["kv_lora_rank"], c["qk_rope_head_dim"], c["rope_scaling"]
    w.add_q_lora_rank(c["q_lora_rank"]), w.add_kv_lora_rank(rank), w.add_rope_dimension_count(turned)
    w.add_key_length(rank + turned), w.add_value_length(rank)
    w.add_key_length_mla(c["qk_nope_head_dim"] + turned), w.add_value_length_mla(c["v_head_dim"])
    w.add_leading_dense_block_count(c["first_k_dense_replace"]), w.add_expert_shared_count(c["n_shared_experts"])
    w.add_expert_weights_scale(c["routed_scaling_factor"]), w.add_expert_weights_norm(c["norm_topk_prob"])
    w.add_expert_group_count(c["n_group"]), w.add_expert_group_used_count(c["topk_group"])
    w.add_expert_gating_func(gguf.ExpertGatingFuncType.SIGMOID)
    w.add_rope_scaling_type(gguf.RopeScalingType.YARN), w.add_rope_scaling_factor(scaling["factor"])
    w.add_rope_scaling_orig_ctx_len(scaling["original_max_position_embeddings"])
    w.add_rope_scaling_yarn_log_mul(0.1 * scaling["mscale_all_dim"])


def latent_tensors(c, source, at):
    names = {"q_a_proj": "attn_q_a", "q_a_layernorm": "attn_q_a_norm", "q_b_proj": "attn_q_b", "kv_a_proj_with_mqa": "attn_kv_a_mqa",
             "kv_a_layernorm": "attn_kv_a_norm", "o_proj": "attn_output"}
    out = {f"{short}.weight": source[f"{at}self_attn.{long}.weight"] for long, short in names.items()}
    both = source[f"{at}self_attn.kv_b_proj.weight"].reshape(c["num_attention_heads"], -1, c["kv_lora_rank"])
    still = c["qk_nope_head_dim"]
    out["attn_k_b.weight"], out["attn_v_b.weight"] = both[:, :still].swapaxes(1, 2), both[:, still:]
    return out


def gpt_oss_tensors(source, at):
    """Attention sinks, and experts whose columns of gate and up take turns."""
    out = {"attn_sinks.weight": source[at + "self_attn.sinks"], "post_attention_norm.weight": source[at + "post_attention_layernorm.weight"]}
    for part in ("weight", "bias"):
        out[f"ffn_gate_inp.{part}"] = source[f"{at}mlp.router.{part}"]
        tail = "_bias" if part == "bias" else ""
        both, down = (np.moveaxis(source[f"{at}mlp.experts.{long}{tail}"], -1, 1) for long in ("gate_up_proj", "down_proj"))
        out[f"ffn_gate_exps.{part}"], out[f"ffn_up_exps.{part}"], out[f"ffn_down_exps.{part}"] = both[:, ::2], both[:, 1::2], down
    return out


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
    if "kv_lora_rank" in c:
        out.update(latent_tensors(c, source, at))
    if name == "gpt_oss":
        del out["ffn_norm.weight"]
        return {**out, **gpt_oss_tensors(source, at)}
    mlp, names = (at + "block_sparse_moe.", ("w1", "w3", "w2")) if name == "mixtral" else (at + "mlp.", ("gate_proj", "up_proj", "down_proj"))
    if mlp + "gate.weight" not in source:
        out.update({f"ffn_{short}.weight": source[f"{mlp}{long}.weight"] for short, long in zip(("gate", "up", "down"), names)})
        return out
    out["ffn_gate_inp.weight"] = source[mlp + "gate.weight"]
    if (correction := source.get(mlp + "gate.e_score_correction_bias")) is not None:
        out["exp_probs_b.bias"] = correction
    for short, long in zip(("gate", "up", "down"), names):
        out[f"ffn_{short}_exps.weight"] = np.stack([source[f"{mlp}experts.{e}.{long}.weight"] for e in range(c["experts"])])
        for shared in ("shared_expert", "shared_experts"):
            if (values := source.get(f"{mlp}{shared}.{long}.weight")) is not None:
                out[f"ffn_{short}_shexp.weight"] = values
    if (gate := source.get(mlp + "shared_expert_gate.weight")) is not None:
        out["ffn_gate_inp_shexp.weight"] = gate[0]
    return out


def write_gguf(name, case, path):
    c, source = json.load(open(f"{case}/config.json")), read_safetensors(f"{case}/model.safetensors")
    c["experts"] = c.get("num_local_experts") or c.get("num_experts") or c["n_routed_experts"]
    w = gguf.GGUFWriter(path, ARCHITECTURES[name])
    write_metadata(w, c)
    if "kv_lora_rank" in c:
        write_latent_metadata(w, c)
    if name == "gpt_oss":
        write_gpt_oss_metadata(w, c)
    w.add_tensor("token_embd.weight", source["model.embed_tokens.weight"])
    w.add_tensor("output_norm.weight", source["model.norm.weight"])
    w.add_tensor("output.weight", source["lm_head.weight"])
    for i in range(c["num_hidden_layers"]):
        for key, values in layer_tensors(name, c, source, i).items():
            w.add_tensor(f"blk.{i}.{key}", np.ascontiguousarray(values))
    w.write_header_to_file(), w.write_kv_data_to_file(), w.write_tensors_to_file(), w.close()


def logits(llmc, model, ids, work):
    out = os.path.join(work, "out.npy")
    r = subprocess.run([llmc, "eval", "logits", model, "--exact", "--tokens", ",".join(map(str, ids)), "-o", out], capture_output=True, text=True)
    if r.returncode:
        raise RuntimeError(f"exit {r.returncode}: {r.stderr.strip()[-200:]}")
    return np.load(out)


def with_one_epsilon(case, work):
    """A copy of the case whose norms all have the epsilon that transformers gives those of latents: GGUF has one for all."""
    copy = os.path.join(work, "case")
    shutil.copytree(case, copy)
    config = json.load(open(f"{copy}/config.json"))
    config["rms_norm_eps"] = 1e-6
    json.dump(config, open(f"{copy}/config.json", "w"))
    return copy


def check(name, case, llmc, work):
    path = os.path.join(work, name + ".gguf")
    ids = json.load(open(f"{case}/reference.json"))["prompts"]["p80"]
    if "kv_lora_rank" in json.load(open(f"{case}/config.json")):
        case = with_one_epsilon(case, work)
        wanted = logits(llmc, case, ids, work) # hf_check.py holds the directory to transformers
    else:
        wanted = np.load(f"{case}/reference.npz")["logits_p80"]
    write_gguf(name, case, path)
    worst = float(np.abs(logits(llmc, path, ids, work) - wanted).max())
    print(f"{name}: max error {worst:.1e}")
    return None if worst <= 3e-4 else f"a logit is off by {worst:.1e}, want at most 3e-4"


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("cases")
    ap.add_argument("--llmc", required=True)
    # The case of qwen3_moe has a dense layer, which GGUF's qwen3moe has not.
    ap.add_argument("--only", default="mixtral,qwen2_moe,olmoe,deepseek_v3,gpt_oss")
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
