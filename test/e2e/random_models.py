"""Tiny checkpoints of random weights, in Hugging Face's layout: for checks that compare a model with itself. Standard library and numpy."""
import json
import os
import struct

import numpy as np

VOCAB, HIDDEN, HEADS, HEAD_DIM, STATE, GROUPS, TAPS = 128, 32, 4, 16, 8, 1, 4
INNER = HEADS * HEAD_DIM
CONV = INNER + 2 * GROUPS * STATE


def write(folder, config, shapes, seed=1):
    """config.json and model.safetensors; `shapes`: name -> shape."""
    random, header, blobs, at = np.random.default_rng(seed), {}, [], 0
    for name, shape in shapes.items():
        values = random.normal(0, 0.3, shape)
        if name.endswith("norm.weight") or name.endswith("layernorm.weight") or name.endswith("norm_f.weight"):
            values += 1
        if name.endswith("A_log"):
            values = np.log(np.arange(1, shape[0] + 1))
        if name.endswith("dt_bias"):
            values -= 2  # slow decay: old tokens matter
        blob = values.astype(np.float32).tobytes()
        header[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": [at, at + len(blob)]}
        blobs.append(blob)
        at += len(blob)
    text = json.dumps(header).encode()
    os.makedirs(folder)
    with open(os.path.join(folder, "model.safetensors"), "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + b"".join(blobs))
    with open(os.path.join(folder, "config.json"), "w") as f:
        json.dump(config, f)
    return folder


def mixer(prefix):
    """The tensors of one Mamba-2 mixer."""
    return {prefix + "A_log": (HEADS,), prefix + "D": (HEADS,), prefix + "dt_bias": (HEADS,), prefix + "conv1d.bias": (CONV,),
            prefix + "conv1d.weight": (CONV, 1, TAPS), prefix + "in_proj.weight": (INNER + CONV + HEADS, HIDDEN),
            prefix + "norm.weight": (INNER,), prefix + "out_proj.weight": (HIDDEN, INNER)}


def mamba2(folder):
    shapes = {"backbone.embeddings.weight": (VOCAB, HIDDEN), "backbone.norm_f.weight": (HIDDEN,)}
    for i in range(2):
        shapes |= {f"backbone.layers.{i}.norm.weight": (HIDDEN,)} | mixer(f"backbone.layers.{i}.mixer.")
    config = {"architectures": ["Mamba2ForCausalLM"], "model_type": "mamba2", "bos_token_id": 0, "eos_token_id": 0, "chunk_size": 16,
              "conv_kernel": TAPS, "expand": INNER // HIDDEN, "head_dim": HEAD_DIM, "hidden_act": "silu", "hidden_size": HIDDEN,
              "layer_norm_epsilon": 1e-3, "n_groups": GROUPS, "num_heads": HEADS, "num_hidden_layers": 2, "rms_norm": True,
              "state_size": STATE, "tie_word_embeddings": True, "use_bias": False, "use_conv_bias": True, "vocab_size": VOCAB}
    return write(folder, config, shapes)


def bamba(folder):
    """A hybrid: Mamba-2, attention, Mamba-2."""
    shapes = {"model.embed_tokens.weight": (VOCAB, HIDDEN), "model.final_layernorm.weight": (HIDDEN,), "lm_head.weight": (VOCAB, HIDDEN)}
    for i in range(3):
        layer = f"model.layers.{i}."
        shapes |= {layer + "input_layernorm.weight": (HIDDEN,), layer + "pre_ff_layernorm.weight": (HIDDEN,),
                   layer + "feed_forward.gate_proj.weight": (64, HIDDEN), layer + "feed_forward.up_proj.weight": (64, HIDDEN),
                   layer + "feed_forward.down_proj.weight": (HIDDEN, 64)}
        if i == 1:
            shapes |= {layer + f"self_attn.{name}_proj.weight": shape for name, shape in
                       (("q", (32, HIDDEN)), ("k", (16, HIDDEN)), ("v", (16, HIDDEN)), ("o", (HIDDEN, 32)))}
        else:
            shapes |= mixer(layer + "mamba.")
    config = {"architectures": ["BambaForCausalLM"], "model_type": "bamba", "attn_layer_indices": [1], "bos_token_id": 0, "eos_token_id": 0,
              "attention_bias": False, "hidden_act": "silu", "hidden_size": HIDDEN, "intermediate_size": 64, "mamba_chunk_size": 16,
              "mamba_conv_bias": True, "mamba_d_conv": TAPS, "mamba_d_head": HEAD_DIM, "mamba_d_state": STATE,
              "mamba_expand": INNER // HIDDEN, "mamba_n_groups": GROUPS, "mamba_n_heads": HEADS, "mamba_proj_bias": False,
              "max_position_embeddings": 1024, "mlp_bias": False, "num_attention_heads": 2, "num_hidden_layers": 3,
              "num_key_value_heads": 1, "rms_norm_eps": 1e-3, "tie_word_embeddings": False, "vocab_size": VOCAB,
              "rope_parameters": {"partial_rotary_factor": 0.5, "rope_theta": 10000.0, "rope_type": "default"}}
    return write(folder, config, shapes)
