#!/usr/bin/env python3
"""Dense families in GGUF: the cases of hf_cases.py, named by the package gguf and laid out as llama.cpp's converter does, against transformers' logits.

    dense_gguf_check.py CASES_DIR --llmc build/bin/llmc [--only bloom,phi3]

Needs the package gguf. Tensors stay float32: what is held to the reference is the mapping of names, metadata and layouts.
"""
import argparse
import json
import math
import os
import sys
import tempfile

import gguf
import numpy as np

from gguf_experts_check import interleaved, logits, read_safetensors

# case -> architecture
CASES = {"gpt_neox": "gptneox", "gpt_neox_sequential": "gptneox", "bloom": "bloom", "falcon_7b_like": "falcon", "falcon_40b_like": "falcon",
         "mpt": "mpt", "qwen2": "qwen2", "gemma": "gemma", "gemma2": "gemma2", "phi": "phi2", "phi3": "phi3", "phi3_longrope": "phi3",
         "stablelm": "stablelm", "olmo": "olmo", "olmo2": "olmo2", "cohere": "command-r", "starcoder2": "starcoder2", "granite": "granite",
         "smollm3": "smollm3"}
TURNED = ("olmo", "granite", "smollm3")  # q and k have the channels of a pair side by side


def first(config, *keys):
    return next((config[key] for key in keys if config.get(key) is not None), None)


class Sizes:
    """A configuration under the names of any family."""

    def __init__(self, c):
        self.hidden, self.layers = first(c, "hidden_size", "d_model"), first(c, "num_hidden_layers", "n_layer", "n_layers")
        self.heads = first(c, "num_attention_heads", "n_head", "n_heads")
        self.kv = first(c, "num_key_value_heads") or self.heads
        if c["model_type"] == "falcon":
            self.kv = c["num_kv_heads"] if c["new_decoder_architecture"] else 1
        self.head = first(c, "head_dim") or self.hidden // self.heads
        self.rope = c.get("rope_parameters") or {}
        default = {"gpt_neox": 0.25, "phi": 0.5, "stablelm": 0.25}.get(c["model_type"], 1.0)
        part = first({**c, **self.rope}, "partial_rotary_factor", "rotary_pct")
        self.turned = int(self.head * (default if part is None else part))
        self.theta = first({**c, **self.rope}, "rope_theta", "rotary_emb_base")


def write_metadata(w, c, s):
    w.add_embedding_length(s.hidden), w.add_block_count(s.layers), w.add_head_count(s.heads), w.add_head_count_kv(s.kv)
    w.add_context_length(first(c, "max_position_embeddings", "max_seq_len") or 2048)
    w.add_feed_forward_length(first(c, "intermediate_size", "ffn_hidden_size") or 4 * s.hidden)
    epsilon = first(c, "rms_norm_eps")
    if epsilon is not None:
        w.add_layer_norm_rms_eps(epsilon)
    else:
        w.add_layer_norm_eps(first(c, "layer_norm_eps", "layer_norm_epsilon", "norm_epsilon") or 1e-5)
    if s.theta:
        w.add_rope_freq_base(s.theta), w.add_rope_dimension_count(s.turned)
    if c.get("head_dim"):
        w.add_key_length(s.head), w.add_value_length(s.head)
    for key, add in (("clip_qkv", w.add_clamp_kqv), ("sliding_window", w.add_sliding_window), ("logit_scale", w.add_logit_scale),
                     ("logits_scaling", w.add_logit_scale), ("embedding_multiplier", w.add_embedding_scale),
                     ("residual_multiplier", w.add_residual_scale), ("attention_multiplier", w.add_attention_scale),
                     ("attn_logit_softcapping", w.add_attn_logit_softcapping), ("final_logit_softcapping", w.add_final_logit_softcapping)):
        if c.get(key):
            add(c[key])
    if "use_parallel_residual" in c:
        w.add_parallel_residual(c["use_parallel_residual"])
    if c["model_type"] == "mpt":
        w.add_max_alibi_bias(c["attn_config"]["alibi_bias_max"])
    if c["model_type"] == "gemma2":  # llama.cpp knows the scale of published sizes, and has no key for others
        w.add_attention_scale(c["query_pre_attn_scalar"] ** -0.5)


def write_longrope(w, c, s):
    scaling = c.get("rope_scaling") or s.rope
    if "long_factor" not in scaling:
        return
    original = c.get("original_max_position_embeddings") or scaling["original_max_position_embeddings"]
    factor = c["max_position_embeddings"] / original
    w.add_rope_scaling_orig_ctx_len(original)
    w.add_rope_scaling_attn_factors(1.0 if factor <= 1 else math.sqrt(1 + math.log(factor) / math.log(original)))
    for kind in ("long", "short"):
        w.add_tensor(f"rope_factors_{kind}.weight", np.array(scaling[f"{kind}_factor"], np.float32))


def in_order(values, groups, query_heads, head):
    """q, k and v that take turns by head, one after the other."""
    parts = values.reshape(groups, query_heads // groups + 2, head, *values.shape[1:])
    return np.concatenate([part.reshape(-1, *values.shape[1:]) for part in (parts[:, :-2], parts[:, -2:-1], parts[:, -1:])])


def laid_out(case, name, values, c, s):
    if "query_key_value" in name:
        groups = s.kv if c["model_type"] == "falcon" else s.heads
        return in_order(values, groups, s.heads, s.head)
    if case in TURNED and (".q_proj." in name or ".k_proj." in name):
        return interleaved(values, s.heads if ".q_proj." in name else s.kv)
    return values + 1 if c["model_type"].startswith("gemma") and "norm" in name else values


def write_gguf(case, folder, path):
    c, source = json.load(open(f"{folder}/config.json")), read_safetensors(f"{folder}/model.safetensors")
    s, architecture = Sizes(c), CASES[case]
    w = gguf.GGUFWriter(path, architecture)
    write_metadata(w, c, s)
    write_longrope(w, c, s)
    names = gguf.get_tensor_name_map(next(a for a, text in gguf.MODEL_ARCH_NAMES.items() if text == architecture), s.layers)
    for name, values in source.items():
        key = next(filter(None, (names.get_name(n, (".weight", ".bias")) for n in (name, name.removeprefix("transformer.")))))
        w.add_tensor(key, np.ascontiguousarray(laid_out(case, name, values, c, s)))
    w.write_header_to_file(), w.write_kv_data_to_file(), w.write_tensors_to_file(), w.close()


def check(case, folder, llmc, work):
    path = os.path.join(work, case + ".gguf")
    write_gguf(case, folder, path)
    reference = json.load(open(f"{folder}/reference.json"))
    wanted = np.load(f"{folder}/reference.npz")["logits_p80"]
    own = [v for tag in reference["spread"].values() for v in tag.values() if isinstance(v, float)]
    allowed = max(3e-4, 10 * max(own, default=0.0))
    worst = float(np.abs(logits(llmc, path, reference["prompts"]["p80"], work) - wanted).max())
    print(f"{case}: max error {worst:.1e}")
    return None if worst <= allowed else f"a logit is off by {worst:.1e}, want at most {allowed:.1e}"


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("cases")
    ap.add_argument("--llmc", required=True)
    ap.add_argument("--only", default=",".join(CASES))
    a = ap.parse_args()
    failed = 0
    with tempfile.TemporaryDirectory(prefix="gguf-dense-") as work:
        for case in a.only.split(","):
            try:
                wrong = check(case, os.path.join(a.cases, case), os.path.abspath(a.llmc), work)
            except RuntimeError as error:
                wrong = str(error)
            if wrong:
                print(f"{case}: FAILED: {wrong}")
                failed += 1
    return failed != 0


if __name__ == "__main__":
    sys.exit(main())
