#!/usr/bin/env python3
"""Holds GGUF files of mamba and mamba2 to the Hugging Face checkpoints that they were made from.

    ssm_gguf_check.py CASES --llmc build/bin/llmc

CASES is a folder of hf_cases.py with the cases mamba, falcon_mamba and mamba2. Each checkpoint is written as GGUF in float32, as llama.cpp's
converter does (ssm_a = -exp(A_log), the convolution [channels, taps], Falcon Mamba as mamba with ssm.dt_b_c_rms), and both must give the
same logits in --exact; GGUF has one epsilon for all norms, so the checkpoint is read with its outer one for Falcon Mamba's inner norms too. Requires numpy, gguf and safetensors. Ends with `N passed, N failed`.
"""
import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile

import gguf
import numpy as np
from safetensors.numpy import load_file

TOKENS = [5, 99, 17, 3, 250, 8, 8, 41, 7, 600, 2, 31, 77, 12, 64, 9, 120, 33, 4, 19]
MIXER = {"in_proj.weight": "ssm_in.weight", "conv1d.bias": "ssm_conv1d.bias", "x_proj.weight": "ssm_x.weight", "dt_proj.weight": "ssm_dt.weight",
         "dt_proj.bias": "ssm_dt.bias", "dt_bias": "ssm_dt.bias", "norm.weight": "ssm_norm.weight", "out_proj.weight": "ssm_out.weight"}


def tensor(name, value, config):
    """(GGUF's name, value) of a tensor of the checkpoint."""
    plain = {"backbone.embeddings.weight": "token_embd.weight", "backbone.norm_f.weight": "output_norm.weight", "lm_head.weight": "output.weight"}
    if name in plain:
        return plain[name], value
    layer, rest = name.removeprefix("backbone.layers.").split(".", 1)
    block = f"blk.{layer}."
    if rest == "norm.weight":
        return block + "attn_norm.weight", value
    rest = rest.removeprefix("mixer.")
    two = config["model_type"] == "mamba2"
    if rest == "A_log":
        value = -np.exp(value)
        return block + "ssm_a", value.reshape(-1, 1) if two else value
    if rest == "D":
        return block + "ssm_d", value.reshape(-1, 1) if two else value
    if rest == "conv1d.weight":
        return block + "ssm_conv1d.weight", value.reshape(value.shape[0], -1)
    if rest == "norm.weight":
        value = value.reshape(config["n_groups"], -1)
    return block + MIXER[rest], value


def write(case, path):
    config = json.load(open(os.path.join(case, "config.json")))
    two = config["model_type"] == "mamba2"
    w = gguf.GGUFWriter(path, "mamba2" if two else "mamba")
    w.add_context_length(1 << 20)
    w.add_embedding_length(config["hidden_size"])
    w.add_feed_forward_length(0)
    w.add_head_count(0)
    w.add_block_count(config["num_hidden_layers"])
    w.add_layer_norm_rms_eps(config["layer_norm_epsilon"])
    w.add_ssm_conv_kernel(config["conv_kernel"])
    w.add_ssm_inner_size(config["num_heads"] * config["head_dim"] if two else config["intermediate_size"])
    w.add_ssm_state_size(config["state_size"])
    w.add_ssm_time_step_rank(config["num_heads"] if two else config["time_step_rank"])
    if two:
        w.add_ssm_group_count(config["n_groups"])
    if config["model_type"] == "falcon_mamba":
        w.add_ssm_dt_b_c_rms(True)
    # The smallest tokenizer that loads: nothing here reads text.
    count = config["vocab_size"]
    w.add_tokenizer_model("llama")
    w.add_token_list([f"t{i}" for i in range(count)])
    w.add_token_scores([float(-i) for i in range(count)])
    w.add_token_types([1] * count)
    for name, value in load_file(os.path.join(case, "model.safetensors")).items():
        if not (name == "lm_head.weight" and config["tie_word_embeddings"]):
            w.add_tensor(*tensor(name, np.ascontiguousarray(value.astype(np.float32)), config))
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


def with_one_epsilon(case, work):
    """A copy of the case as a GGUF can say it."""
    copy = shutil.copytree(case, os.path.join(work, "case"))
    config = json.load(open(os.path.join(case, "config.json")))
    if "mixer_rms_eps" in config:
        config["mixer_rms_eps"] = config["layer_norm_epsilon"]
    with open(os.path.join(copy, "config.json"), "w") as file:
        json.dump(config, file)
    return copy


def logits(llmc, model, out):
    run = subprocess.run([llmc, "eval", "logits", model, "--exact", "--tokens", ",".join(map(str, TOKENS)), "-o", out], capture_output=True, text=True)
    if run.returncode:
        raise RuntimeError(run.stderr.strip().splitlines()[-1])
    return np.load(out)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("cases")
    parser.add_argument("--llmc", required=True)
    args = parser.parse_args()
    passed = failed = 0
    for name in ("mamba", "falcon_mamba", "mamba2"):
        with tempfile.TemporaryDirectory() as work:
            case, path, out = with_one_epsilon(os.path.join(args.cases, name), work), os.path.join(work, "model.gguf"), os.path.join(work, "out.npy")
            write(case, path)
            try:
                want = logits(args.llmc, case, out)
                error = float(np.abs(logits(args.llmc, path, out) - want).max())
            except RuntimeError as failure:
                error, want = float("inf"), np.ones(1)
                print(failure)
        ok = error < 1e-4
        passed, failed = passed + ok, failed + (not ok)
        print(f"{'ok  ' if ok else 'FAIL'} {name}: max difference {error:.1e}, logits of deviation {want.std():.2f}")
    print(f"{passed} passed, {failed} failed")
    return failed != 0


if __name__ == "__main__":
    sys.exit(main())
