#!/usr/bin/env python3
"""Trains tiny-bamba, a hybrid that tells stories and answers small questions, and writes it as a Hugging Face directory.

    train.py

Mamba-2 layers, one attention layer among them, a SwiGLU after each. Needs torch, tokenizers, safetensors, numpy; with
transformers too, the written files are checked against it.
"""
import os
import sys

from torch import nn

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "training"))

from build import main  # noqa: E402
from corpus import BEGIN  # noqa: E402
from layers import Attention, Mamba2Mixer, Mlp, RMSNorm, embedding, published_start  # noqa: E402

CONFIG = dict(architectures=["BambaForCausalLM"], model_type="bamba", vocab_size=768, hidden_size=128, intermediate_size=256,
              num_hidden_layers=5, num_attention_heads=4, num_key_value_heads=2, attn_layer_indices=[2], mamba_n_heads=8,
              mamba_d_head=32, mamba_n_groups=1, mamba_d_state=32, mamba_d_conv=4, mamba_expand=2, mamba_chunk_size=32,
              mamba_conv_bias=True, mamba_proj_bias=False, max_position_embeddings=256, rms_norm_eps=1e-5,
              rope_theta=10000.0, partial_rotary_factor=0.5, hidden_act="silu", attention_bias=False, mlp_bias=False,
              tie_word_embeddings=True, bos_token_id=0, eos_token_id=1, pad_token_id=1, torch_dtype="float16")
SHAPE = ("5 layers, hidden 128: the third is attention (4 heads of 32, 2 for keys and values, half of each rotated), the "
         "others Mamba-2 (8 heads of 32, a state of 32 x 32 each), a SwiGLU 256 in each; tied embedding, context 256")


class Layer(nn.Module):
    def __init__(self, c, index):
        super().__init__()
        hidden, eps = c["hidden_size"], c["rms_norm_eps"]
        self.input_layernorm, self.pre_ff_layernorm = RMSNorm(hidden, eps), RMSNorm(hidden, eps)
        self.feed_forward = Mlp(hidden, c["intermediate_size"])
        self.attends = index in c["attn_layer_indices"]
        if self.attends:
            self.self_attn = Attention(hidden, c["num_attention_heads"], c["num_key_value_heads"], c["rope_theta"],
                                       c["partial_rotary_factor"])
        else:
            self.mamba = Mamba2Mixer(hidden, c["mamba_n_heads"], c["mamba_d_head"], c["mamba_d_state"], c["mamba_d_conv"], eps,
                                     c["mamba_chunk_size"], published_start)

    def forward(self, x, starts):
        x = x + (self.self_attn if self.attends else self.mamba)(self.input_layernorm(x), starts)
        return x + self.feed_forward(self.pre_ff_layernorm(x))


class Bamba(nn.Module):
    prefix = "model."

    def __init__(self, c=CONFIG):
        super().__init__()
        self.embed_tokens = embedding(c["vocab_size"], c["hidden_size"])
        self.layers = nn.ModuleList(Layer(c, i) for i in range(c["num_hidden_layers"]))
        self.final_layernorm = RMSNorm(c["hidden_size"], c["rms_norm_eps"])

    def forward(self, ids):
        x = self.embed_tokens(ids)
        for layer in self.layers:
            x = layer(x, ids == BEGIN)
        return self.final_layernorm(x) @ self.embed_tokens.weight.T

    def extra_loss(self):
        return 0.0


if __name__ == "__main__":
    main("tiny-bamba", Bamba, CONFIG, SHAPE, steps=1400)
