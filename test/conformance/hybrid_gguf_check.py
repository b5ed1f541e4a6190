#!/usr/bin/env python3
"""Hybrids in GGUF: the cases of hf_cases.py, written as llama.cpp's converter names and lays out things, against the logits of the case.

    hybrid_gguf_check.py CASES_DIR --llmc build/bin/llmc [--only lfm2,jamba]

Needs the packages gguf and safetensors. Tensors stay float32: what is held to the case is the mapping of names, metadata and layouts.
"""
import argparse
import json
import os
import shutil
import sys
import tempfile

import gguf
import numpy as np
from safetensors.numpy import save_file

from gguf_experts_check import interleaved, logits, read_safetensors


def stacked(source, pattern, count):
    return np.stack([source[pattern.format(e=e)] for e in range(count)])


def common_metadata(w, c, attends, feed_forward, epsilon):
    """What all have; `attends` has a flag for each layer."""
    w.add_context_length(c["max_position_embeddings"]), w.add_embedding_length(c["hidden_size"]), w.add_block_count(len(attends))
    w.add_head_count(c["num_attention_heads"])
    w.add_head_count_kv(c["num_key_value_heads"] if all(attends) else [c["num_key_value_heads"] if a else 0 for a in attends])
    w.add_feed_forward_length(feed_forward), w.add_layer_norm_rms_eps(epsilon)
    if "rope_parameters" in c:
        w.add_rope_freq_base(c["rope_parameters"]["rope_theta"])


def attention(source, at, out_name="o_proj"):
    return {f"attn_{long}.weight": source[f"{at}self_attn.{short}.weight"]
            for short, long in (("q_proj", "q"), ("k_proj", "k"), ("v_proj", "v"), (out_name, "output"))}


def lfm2(w, c, source):
    common_metadata(w, c, [kind == "full_attention" for kind in c["layer_types"]], c["intermediate_size"], c["norm_eps"])
    w.add_shortconv_l_cache(c["conv_L_cache"])
    out = {"token_embd.weight": source["model.embed_tokens.weight"], "token_embd_norm.weight": source["model.embedding_norm.weight"]}
    for i, kind in enumerate(c["layer_types"]):
        at = f"model.layers.{i}."
        layer = {"attn_norm.weight": source[at + "operator_norm.weight"], "ffn_norm.weight": source[at + "ffn_norm.weight"]}
        layer.update({f"ffn_{long}.weight": source[f"{at}feed_forward.{short}.weight"] for short, long in (("w1", "gate"), ("w3", "up"), ("w2", "down"))})
        if kind == "full_attention":
            layer.update(attention(source, at, "out_proj"))
            layer.update({f"attn_{x}_norm.weight": source[f"{at}self_attn.{x}_layernorm.weight"] for x in "qk"})
        else:
            layer.update({f"shortconv.{x}.weight": source[f"{at}conv.{x}.weight"] for x in ("in_proj", "out_proj")})
            layer["shortconv.conv.weight"] = source[at + "conv.conv.weight"][:, 0]
        out.update({f"blk.{i}.{name}": values for name, values in layer.items()})
    return out


def mamba2_mixer(source, at, groups):
    out = {f"{long}": source[at + short] for short, long in (
        ("in_proj.weight", "ssm_in.weight"), ("conv1d.bias", "ssm_conv1d.bias"), ("dt_bias", "ssm_dt.bias"), ("out_proj.weight", "ssm_out.weight"))}
    out["ssm_conv1d.weight"], out["ssm_norm.weight"] = source[at + "conv1d.weight"][:, 0], source[at + "norm.weight"].reshape(groups, -1)
    out["ssm_a"], out["ssm_d"] = -np.exp(source[at + "A_log"]).reshape(-1, 1), source[at + "D"].reshape(-1, 1)
    return out


def llama_ends(source, norm="model.norm.weight"):
    return {"token_embd.weight": source["model.embed_tokens.weight"], "output_norm.weight": source[norm], "output.weight": source["lm_head.weight"]}


def granite(w, c, source):
    attends = [kind == "full_attention" for kind in c["layer_types"]]
    common_metadata(w, c, attends, c["intermediate_size"], c["rms_norm_eps"])
    w.add_attention_scale(c["attention_multiplier"]), w.add_embedding_scale(c["embedding_multiplier"])
    w.add_residual_scale(c["residual_multiplier"]), w.add_logit_scale(c["logits_scaling"])
    w.add_expert_count(c["num_local_experts"]), w.add_expert_used_count(c["num_experts_per_tok"])
    w.add_expert_shared_feed_forward_length(c["shared_intermediate_size"]), w.add_rope_scaling_finetuned(False)
    w.add_ssm_conv_kernel(c["mamba_d_conv"]), w.add_ssm_state_size(c["mamba_d_state"]), w.add_ssm_group_count(c["mamba_n_groups"])
    w.add_ssm_inner_size(c["mamba_expand"] * c["hidden_size"]), w.add_ssm_time_step_rank(c["mamba_n_heads"])
    out = llama_ends(source)
    for i, attending in enumerate(attends):
        at = f"model.layers.{i}."
        layer = {"attn_norm.weight": source[at + "input_layernorm.weight"], "ffn_norm.weight": source[at + "post_attention_layernorm.weight"],
                 "ffn_gate_inp.weight": source[at + "block_sparse_moe.router.layer.weight"],
                 "ffn_down_exps.weight": source[at + "block_sparse_moe.output_linear.weight"],
                 "ffn_down_shexp.weight": source[at + "shared_mlp.output_linear.weight"]}
        layer["ffn_gate_exps.weight"], layer["ffn_up_exps.weight"] = np.split(source[at + "block_sparse_moe.input_linear.weight"], 2, axis=1)
        layer["ffn_gate_shexp.weight"], layer["ffn_up_shexp.weight"] = np.split(source[at + "shared_mlp.input_linear.weight"], 2)
        if attending:
            layer.update(attention(source, at))
            for x, heads in (("q", c["num_attention_heads"]), ("k", c["num_key_value_heads"])):
                layer[f"attn_{x}.weight"] = interleaved(layer[f"attn_{x}.weight"], heads)
        else:
            layer.update(mamba2_mixer(source, at + "mamba.", c["mamba_n_groups"]))
        out.update({f"blk.{i}.{name}": values for name, values in layer.items()})
    return out


def jamba(w, c, source):
    layers = range(c["num_hidden_layers"])
    attends = [i % c["attn_layer_period"] == c["attn_layer_offset"] for i in layers]
    common_metadata(w, c, attends, c["intermediate_size"], c["rms_norm_eps"])
    w.add_expert_count(c["num_experts"]), w.add_expert_used_count(c["num_experts_per_tok"])
    w.add_ssm_conv_kernel(c["mamba_d_conv"]), w.add_ssm_state_size(c["mamba_d_state"])
    w.add_ssm_inner_size(c["mamba_expand"] * c["hidden_size"]), w.add_ssm_time_step_rank(c["mamba_dt_rank"])
    out = llama_ends(source, "model.final_layernorm.weight")
    for i in layers:
        at = f"model.layers.{i}."
        layer = {"attn_norm.weight": source[at + "input_layernorm.weight"], "ffn_norm.weight": source[at + "pre_ff_layernorm.weight"]}
        router = source.get(at + "feed_forward.router.weight")
        if router is not None:
            layer["ffn_gate_inp.weight"] = router
        for x in ("gate", "up", "down"):
            if router is None:
                layer[f"ffn_{x}.weight"] = source[f"{at}feed_forward.{x}_proj.weight"]
            else:
                layer[f"ffn_{x}_exps.weight"] = stacked(source, at + "feed_forward.experts.{e}." + x + "_proj.weight", c["num_experts"])
        if attends[i]:
            layer.update(attention(source, at))
        else:
            names = {"in_proj.weight": "ssm_in.weight", "conv1d.bias": "ssm_conv1d.bias", "x_proj.weight": "ssm_x.weight", "dt_proj.weight": "ssm_dt.weight",
                     "dt_proj.bias": "ssm_dt.bias", "D": "ssm_d", "out_proj.weight": "ssm_out.weight", "dt_layernorm.weight": "ssm_dt_norm.weight",
                     "b_layernorm.weight": "ssm_b_norm.weight", "c_layernorm.weight": "ssm_c_norm.weight"}
            layer.update({long: source[f"{at}mamba.{short}"] for short, long in names.items()})
            layer["ssm_conv1d.weight"], layer["ssm_a"] = source[at + "mamba.conv1d.weight"][:, 0], -np.exp(source[at + "mamba.A_log"])
        out.update({f"blk.{i}.{name}": values for name, values in layer.items()})
    return out


def in_runs(weight, sizes, turns):
    """The parts of a tensor in which they take turns, each part's rows together."""
    runs = np.split(weight.reshape(turns, -1, weight.shape[-1]), np.cumsum(sizes)[:-1], axis=1)
    return [run.reshape(-1, weight.shape[-1]) for run in runs]


def delta_mixer(c, source, at, older):
    key, heads = c["linear_key_head_dim"], c["linear_num_key_heads"]
    values = c["linear_num_value_heads"] // heads * c["linear_value_head_dim"]
    out = {long: source[at + short] for short, long in (("in_proj_ba.weight", "ssm_ba.weight"), ("dt_bias", "ssm_dt.bias"), ("norm.weight", "ssm_norm.weight"),
                                                         ("out_proj.weight", "ssm_out.weight"))}
    out["ssm_a"], out["ssm_conv1d.weight"] = -np.exp(source[at + "A_log"]), source[at + "conv1d.weight"][:, 0]
    if older:
        out["ssm_in.weight"] = source[at + "in_proj_qkvz.weight"]
        return out
    q, k, v, z = in_runs(source[at + "in_proj_qkvz.weight"], (key, key, values, values), heads)
    out["attn_qkv.weight"], out["attn_gate.weight"] = np.concatenate([q, k, v]), z
    return out


def qwen3_next(w, c, source, older=False):
    attends = [kind == "full_attention" for kind in c["layer_types"]]
    common_metadata(w, c, [True] * len(attends), c["intermediate_size"], c["rms_norm_eps"])
    w.add_key_length(c["head_dim"]), w.add_value_length(c["head_dim"])
    w.add_rope_dimension_count(int(c["head_dim"] * c["rope_parameters"]["partial_rotary_factor"])), w.add_full_attention_interval(4)
    w.add_expert_count(c["num_experts"]), w.add_expert_used_count(c["num_experts_per_tok"])
    w.add_expert_feed_forward_length(c["moe_intermediate_size"]), w.add_expert_shared_feed_forward_length(c["shared_expert_intermediate_size"])
    w.add_ssm_conv_kernel(c["linear_conv_kernel_dim"]), w.add_ssm_state_size(c["linear_key_head_dim"]), w.add_ssm_group_count(c["linear_num_key_heads"])
    w.add_ssm_time_step_rank(c["linear_num_value_heads"]), w.add_ssm_inner_size(c["linear_num_value_heads"] * c["linear_value_head_dim"])
    out = llama_ends(source)
    out["output_norm.weight"] = out["output_norm.weight"] + 1
    for i, attending in enumerate(attends):
        at = f"model.layers.{i}."
        layer = {"attn_norm.weight": source[at + "input_layernorm.weight"] + 1, "post_attention_norm.weight": source[at + "post_attention_layernorm.weight"] + 1,
                 "ffn_gate_inp.weight": source[at + "mlp.gate.weight"], "ffn_gate_inp_shexp.weight": source[at + "mlp.shared_expert_gate.weight"][0]}
        for x in ("gate", "up", "down"):
            layer[f"ffn_{x}_exps.weight"] = stacked(source, at + "mlp.experts.{e}." + x + "_proj.weight", c["num_experts"])
            layer[f"ffn_{x}_shexp.weight"] = source[f"{at}mlp.shared_expert.{x}_proj.weight"]
        if attending:
            layer.update(attention(source, at))
            layer.update({f"attn_{x}_norm.weight": source[f"{at}self_attn.{x}_norm.weight"] + 1 for x in "qk"})
        else:
            layer.update(delta_mixer(c, source, at + "linear_attn.", older))
        out.update({f"blk.{i}.{name}": values for name, values in layer.items()})
    return out


def nemotron_h(w, c, source):
    kinds = c["layers_block_type"]
    moe, fed = "moe" in kinds, [kind in ("mlp", "moe") for kind in kinds]
    size = c["moe_intermediate_size"] if moe else c["intermediate_size"]
    common_metadata(w, c, [kind == "full_attention" for kind in kinds], [size if f else 0 for f in fed], c["layer_norm_epsilon"])
    w.add_key_length(c["head_dim"]), w.add_value_length(c["head_dim"])
    w.add_ssm_conv_kernel(c["conv_kernel"]), w.add_ssm_state_size(c["ssm_state_size"]), w.add_ssm_group_count(c["n_groups"])
    w.add_ssm_inner_size(c["mamba_num_heads"] * c["mamba_head_dim"]), w.add_ssm_time_step_rank(c["mamba_num_heads"])
    if moe:
        w.add_expert_count(c["n_routed_experts"]), w.add_expert_used_count(c["num_experts_per_tok"]), w.add_expert_shared_count(c["n_shared_experts"])
        w.add_expert_feed_forward_length(size), w.add_expert_shared_feed_forward_length(c["moe_shared_expert_intermediate_size"])
        w.add_expert_weights_norm(c["norm_topk_prob"]), w.add_expert_weights_scale(c["routed_scaling_factor"]), w.add_expert_group_count(c["n_group"])
    plain = {"embeddings": "token_embd", "norm_f": "output_norm"}
    out = {f"{long}.weight": source[f"backbone.{short}.weight"] for short, long in plain.items()}
    out["output.weight"] = source["lm_head.weight"]
    for i, kind in enumerate(kinds):
        at = f"backbone.layers.{i}.mixer."
        layer = {"attn_norm.weight": source[f"backbone.layers.{i}.norm.weight"]}
        if kind == "full_attention":
            layer.update({f"attn_{long}.weight": source[f"{at}{short}_proj.weight"] for short, long in (("q", "q"), ("k", "k"), ("v", "v"), ("o", "output"))})
        elif kind == "mlp":
            layer.update({f"ffn_{x}.weight": source[f"{at}{x}_proj.weight"] for x in ("up", "down")})
        elif kind == "moe":
            layer["ffn_gate_inp.weight"], layer["exp_probs_b.bias"] = source[at + "gate.weight"], source[at + "gate.e_score_correction_bias"]
            for x in ("up", "down"):
                layer[f"ffn_{x}_exps.weight"] = stacked(source, at + "experts.{e}." + x + "_proj.weight", c["n_routed_experts"])
                layer[f"ffn_{x}_shexp.weight"] = source[f"{at}shared_experts.{x}_proj.weight"]
        else:
            layer.update(mamba2_mixer(source, at, c["n_groups"]))
        out.update({f"blk.{i}.{name}": values for name, values in layer.items()})
    return out


def without(case, kind, work):
    """A copy of the case that lacks layers of a kind (files have dense or routed parts, not both) and bounds of the time step."""
    copy = os.path.join(work, "without-" + kind)
    shutil.copytree(case, copy)
    config, source, kept = json.load(open(f"{copy}/config.json")), read_safetensors(f"{copy}/model.safetensors"), {}
    layers = [i for i, other in enumerate(config["layers_block_type"]) if other != kind]
    config["layers_block_type"], config["time_step_min"] = [config["layers_block_type"][i] for i in layers], 0.0
    for name, values in source.items():
        parts = name.split(".")
        if parts[1:2] == ["layers"]:
            if int(parts[2]) not in layers:
                continue
            parts[2] = str(layers.index(int(parts[2])))
        kept[".".join(parts)] = np.ascontiguousarray(values)
    json.dump(config, open(f"{copy}/config.json", "w"))
    save_file(kept, f"{copy}/model.safetensors")
    return copy


def older_qwen3_next(w, c, source):
    return qwen3_next(w, c, source, older=True)


# The architecture; what writes metadata and returns tensors; layers that the case must do without.
FILES = {"lfm2": [("lfm2", lfm2, None)], "granitemoehybrid": [("granitehybrid", granite, None)], "jamba": [("jamba", jamba, None)],
         "qwen3_next": [("qwen3next", qwen3_next, None), ("qwen3next", older_qwen3_next, None)],
         "nemotron_h": [("nemotron_h", nemotron_h, "moe"), ("nemotron_h_moe", nemotron_h, "mlp")]}


def write_gguf(architecture, writer, case, path):
    w = gguf.GGUFWriter(path, architecture)
    for key, values in writer(w, json.load(open(f"{case}/config.json")), read_safetensors(f"{case}/model.safetensors")).items():
        w.add_tensor(key, np.ascontiguousarray(values))
    w.write_header_to_file(), w.write_kv_data_to_file(), w.write_tensors_to_file(), w.close()


def check(name, case, llmc, work):
    path = os.path.join(work, name + ".gguf")
    ids = json.load(open(f"{case}/reference.json"))["prompts"]["p80"]
    worst = 0
    for architecture, writer, missing in FILES[name]:
        checkpoint = without(case, missing, work) if missing else case
        wanted = logits(llmc, checkpoint, ids, work) # hf_check.py holds the directory to transformers
        write_gguf(architecture, writer, checkpoint, path)
        worst = max(worst, float(np.abs(logits(llmc, path, ids, work) - wanted).max()))
    print(f"{name}: max difference {worst:.1e}")
    return None if worst <= 1e-4 else f"a logit is off by {worst:.1e}, want at most 1e-4"


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("cases")
    ap.add_argument("--llmc", required=True)
    ap.add_argument("--only", default=",".join(FILES))
    a = ap.parse_args()
    failed = 0
    with tempfile.TemporaryDirectory(prefix="gguf-hybrids-") as work:
        for name in a.only.split(","):
            try:
                wrong = check(name, os.path.join(a.cases, name), os.path.abspath(a.llmc), work)
            except RuntimeError as failure:
                wrong = failure
            if wrong:
                print(f"{name}: FAILED: {wrong}")
                failed += 1
    return failed != 0


if __name__ == "__main__":
    sys.exit(main())
