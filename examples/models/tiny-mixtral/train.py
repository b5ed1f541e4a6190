#!/usr/bin/env python3
"""Trains tiny-mixtral, a mixture of experts that tells stories and answers small questions, and writes it as a Hugging Face
directory.

    train.py

Attention with rotary positions, and in place of one feed-forward eight experts of which each token uses two. Needs torch,
tokenizers, safetensors, numpy; with transformers too, the written files are checked against it.
"""
import os
import sys

from torch import nn

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "training"))

from build import main  # noqa: E402
from corpus import BEGIN  # noqa: E402
from layers import Attention, Experts, RMSNorm, embedding  # noqa: E402

CONFIG = dict(architectures=["MixtralForCausalLM"], model_type="mixtral", vocab_size=768, hidden_size=128,
              intermediate_size=128, num_hidden_layers=4, num_attention_heads=4, num_key_value_heads=2, num_local_experts=8,
              num_experts_per_tok=2, max_position_embeddings=256, rms_norm_eps=1e-5, rope_theta=10000.0, hidden_act="silu",
              sliding_window=None, router_aux_loss_coef=0.01, tie_word_embeddings=True, bos_token_id=0, eos_token_id=1,
              torch_dtype="float16")
SHAPE = ("4 layers, hidden 128, 4 heads of 32 (2 for keys and values), 8 experts of SwiGLU 128 of which a token uses 2, tied "
         "embedding, context 256")


class Layer(nn.Module):
    def __init__(self, c):
        super().__init__()
        hidden, eps = c["hidden_size"], c["rms_norm_eps"]
        self.input_layernorm, self.post_attention_layernorm = RMSNorm(hidden, eps), RMSNorm(hidden, eps)
        self.self_attn = Attention(hidden, c["num_attention_heads"], c["num_key_value_heads"], c["rope_theta"])
        self.block_sparse_moe = Experts(hidden, c["intermediate_size"], c["num_local_experts"], c["num_experts_per_tok"])

    def forward(self, x, starts):
        x = x + self.self_attn(self.input_layernorm(x), starts)
        return x + self.block_sparse_moe(self.post_attention_layernorm(x))


class Mixtral(nn.Module):
    prefix = "model."

    def __init__(self, c=CONFIG):
        super().__init__()
        self.balance = c["router_aux_loss_coef"]
        self.embed_tokens = embedding(c["vocab_size"], c["hidden_size"])
        self.layers = nn.ModuleList(Layer(c) for _ in range(c["num_hidden_layers"]))
        self.norm = RMSNorm(c["hidden_size"], c["rms_norm_eps"])

    def forward(self, ids):
        x = self.embed_tokens(ids)
        for layer in self.layers:
            x = layer(x, ids == BEGIN)
        return self.norm(x) @ self.embed_tokens.weight.T

    def extra_loss(self):
        return self.balance * sum(layer.block_sparse_moe.balance for layer in self.layers)


if __name__ == "__main__":
    main("tiny-mixtral", Mixtral, CONFIG, SHAPE, steps=1700)
