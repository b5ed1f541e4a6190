#!/usr/bin/env python3
"""Trains tiny-mamba2, a Mamba-2 that tells stories and answers small questions, and writes it as a Hugging Face directory.

    train.py

Nothing but state-space layers: a short convolution and a recurrence, no attention, no feed-forward. Needs torch, tokenizers,
safetensors, numpy; with transformers too, the written files are checked against it.
"""
import os
import sys

from torch import nn

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "training"))

from build import main  # noqa: E402
from corpus import BEGIN  # noqa: E402
from layers import Mamba2Mixer, RMSNorm, embedding, remembering_start  # noqa: E402

CONFIG = dict(architectures=["Mamba2ForCausalLM"], model_type="mamba2", vocab_size=768, hidden_size=128, state_size=64,
              num_hidden_layers=6, num_heads=8, head_dim=32, expand=2, n_groups=1, conv_kernel=4, chunk_size=32,
              layer_norm_epsilon=1e-5, use_bias=False, use_conv_bias=True, hidden_act="silu", residual_in_fp32=True,
              tie_word_embeddings=True, bos_token_id=0, eos_token_id=1, pad_token_id=1,
              torch_dtype="float16")
SHAPE = "6 layers, hidden 128, 8 heads of 32 with a state of 32 x 64 each, convolution over 4 tokens, tied embedding"


class Layer(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.norm = RMSNorm(c["hidden_size"], c["layer_norm_epsilon"])
        self.mixer = Mamba2Mixer(c["hidden_size"], c["num_heads"], c["head_dim"], c["state_size"], c["conv_kernel"],
                                 c["layer_norm_epsilon"], c["chunk_size"], remembering_start)

    def forward(self, x, starts):
        return x + self.mixer(self.norm(x), starts)


class Mamba2(nn.Module):
    prefix = "backbone."

    def __init__(self, c=CONFIG):
        super().__init__()
        self.embeddings = embedding(c["vocab_size"], c["hidden_size"])
        self.layers = nn.ModuleList(Layer(c) for _ in range(c["num_hidden_layers"]))
        self.norm_f = RMSNorm(c["hidden_size"], c["layer_norm_epsilon"])

    def forward(self, ids):
        x = self.embeddings(ids)
        for layer in self.layers:
            x = layer(x, ids == BEGIN)
        return self.norm_f(x) @ self.embeddings.weight.T

    def extra_loss(self):
        return 0.0


if __name__ == "__main__":
    main("tiny-mamba2", Mamba2, CONFIG, SHAPE, steps=1200)
