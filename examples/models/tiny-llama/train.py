#!/usr/bin/env python3
"""Trains tiny-llama on the stories of generate_text.py and writes it as a Hugging Face directory.

    train.py --out . --minutes 15

A llama: RMS norm, rotary positions, grouped-query attention, SwiGLU, tied embedding, in plain PyTorch on one CPU thread. The
tokenizer is a byte-level BPE trained on the same text. Weights are stored as bfloat16, and the model card's perplexity is
that of the stored weights on stories of another seed. Needs torch, tokenizers, safetensors, numpy.
"""
import argparse
import json
import math
import os
import time

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from torch import nn
from torch.nn import functional as F

from generate_text import stories

CONFIG = dict(architectures=["LlamaForCausalLM"], model_type="llama", vocab_size=1024, hidden_size=128,
              intermediate_size=384, num_hidden_layers=6, num_attention_heads=4, num_key_value_heads=2, head_dim=32,
              max_position_embeddings=512, rms_norm_eps=1e-5, rope_theta=10000.0, hidden_act="silu",
              attention_bias=False, mlp_bias=False, tie_word_embeddings=True, bos_token_id=0, eos_token_id=1,
              torch_dtype="bfloat16")
SPECIALS = ["<|begin|>", "<|end|>"]
BLOCK = 192  # tokens a training row holds: more than most stories


def train_tokenizer(texts):
    t = Tokenizer(models.BPE())
    t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    t.decoder = decoders.ByteLevel()
    t.train_from_iterator(texts, trainers.BpeTrainer(vocab_size=CONFIG["vocab_size"], special_tokens=SPECIALS,
                                                     initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
                                                     show_progress=False))
    t.post_processor = processors.TemplateProcessing(single="<|begin|> $A", special_tokens=[("<|begin|>", 0)])
    return t


class RMSNorm(nn.Module):
    def __init__(self, n):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(n))

    def forward(self, x):
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + CONFIG["rms_norm_eps"]) * self.weight


def rotate(x, cos, sin):
    # x: [B, heads, T, head_dim]; the two halves of a head are the real and imaginary parts.
    a, b = x.chunk(2, -1)
    return torch.cat([a * cos - b * sin, b * cos + a * sin], -1)


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        h, d = CONFIG["hidden_size"], CONFIG["head_dim"]
        self.heads, self.kv = CONFIG["num_attention_heads"], CONFIG["num_key_value_heads"]
        self.q_proj = nn.Linear(h, self.heads * d, bias=False)
        self.k_proj = nn.Linear(h, self.kv * d, bias=False)
        self.v_proj = nn.Linear(h, self.kv * d, bias=False)
        self.o_proj = nn.Linear(self.heads * d, h, bias=False)

    def forward(self, x, cos, sin):
        b, t, _ = x.shape
        split = lambda y, n: y.view(b, t, n, -1).transpose(1, 2)
        q, k = rotate(split(self.q_proj(x), self.heads), cos, sin), rotate(split(self.k_proj(x), self.kv), cos, sin)
        k, v = (y.repeat_interleave(self.heads // self.kv, 1) for y in (k, split(self.v_proj(x), self.kv)))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.o_proj(y.transpose(1, 2).reshape(b, t, -1))


class Mlp(nn.Module):
    def __init__(self):
        super().__init__()
        h, i = CONFIG["hidden_size"], CONFIG["intermediate_size"]
        self.gate_proj, self.up_proj = nn.Linear(h, i, bias=False), nn.Linear(h, i, bias=False)
        self.down_proj = nn.Linear(i, h, bias=False)

    def forward(self, x):
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class Layer(nn.Module):
    def __init__(self):
        super().__init__()
        self.input_layernorm, self.self_attn = RMSNorm(CONFIG["hidden_size"]), Attention()
        self.post_attention_layernorm, self.mlp = RMSNorm(CONFIG["hidden_size"]), Mlp()

    def forward(self, x, cos, sin):
        x = x + self.self_attn(self.input_layernorm(x), cos, sin)
        return x + self.mlp(self.post_attention_layernorm(x))


class Llama(nn.Module):
    """Parameter names are those of a published checkpoint, less the leading `model.`."""

    def __init__(self):
        super().__init__()
        self.embed_tokens = nn.Embedding(CONFIG["vocab_size"], CONFIG["hidden_size"])
        self.layers = nn.ModuleList(Layer() for _ in range(CONFIG["num_hidden_layers"]))
        self.norm = RMSNorm(CONFIG["hidden_size"])
        for name, p in self.named_parameters():
            if p.dim() == 2:
                residual = name.endswith(("o_proj.weight", "down_proj.weight"))
                nn.init.normal_(p, std=0.02 if "embed" in name else 0.06 / (3.0 if residual else 1.0))

    def forward(self, ids):
        x = self.embed_tokens(ids)
        d = CONFIG["head_dim"]
        angle = torch.outer(torch.arange(ids.shape[1]).float(),
                            CONFIG["rope_theta"] ** (-torch.arange(0, d, 2).float() / d))
        cos, sin = angle.cos(), angle.sin()
        for layer in self.layers:
            x = layer(x, cos, sin)
        return self.norm(x) @ self.embed_tokens.weight.T


def rows_of(tokenizer, texts):
    """One story a row: <|begin|> story <|end|>, padded with -100 targets."""
    out = torch.full((len(texts), BLOCK + 1), -1)
    for row, e in zip(out, tokenizer.encode_batch(texts)):
        ids = (e.ids + [CONFIG["eos_token_id"]])[:BLOCK + 1]
        row[:len(ids)] = torch.tensor(ids)
    return out


def loss_of(model, rows, reduction="mean"):
    length = int((rows >= 0).sum(1).max())
    rows = rows[:, :length]
    targets = rows[:, 1:].masked_fill(rows[:, 1:] < 0, -100)
    logits = model(rows[:, :-1].clamp(min=0))
    return F.cross_entropy(logits.reshape(-1, logits.shape[-1]), targets.reshape(-1), reduction=reduction)


def train(model, rows, minutes, batch=16):
    decay = [p for p in model.parameters() if p.dim() == 2]
    rest = [p for p in model.parameters() if p.dim() != 2]
    opt = torch.optim.AdamW([dict(params=decay, weight_decay=0.1), dict(params=rest, weight_decay=0.0)],
                            betas=(0.9, 0.95))
    start, step = time.process_time(), 0
    while (done := (time.process_time() - start) / (60 * minutes)) < 1:
        rate = 3e-3 * min(1.0, (step + 1) / 100) * (0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * done)))
        for group in opt.param_groups:
            group["lr"] = rate
        loss = loss_of(model, rows[torch.randint(len(rows), (batch,))])
        opt.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        opt.step()
        if step % 100 == 0:
            print(f"step {step:5d}  {100 * done:3.0f} %  loss {loss.item():.3f}", flush=True)
        step += 1
    return step


@torch.no_grad()
def perplexity(model, rows):
    total = sum(loss_of(model, part, "sum").item() for part in rows.split(16))
    return math.exp(total / int((rows[:, 1:] >= 0).sum()))


@torch.no_grad()
def sample(model, tokenizer, prompt, count):
    ids = tokenizer.encode(prompt).ids
    for _ in range(count):
        ids.append(int(model(torch.tensor([ids]))[0, -1].argmax()))
        if ids[-1] == CONFIG["eos_token_id"]:
            break
    return tokenizer.decode(ids, skip_special_tokens=True)


def write(out, model, tokenizer):
    put = lambda name, value: open(os.path.join(out, name), "w").write(json.dumps(value, indent=2) + "\n")
    put("config.json", CONFIG)
    put("generation_config.json", dict(bos_token_id=0, eos_token_id=1))
    put("tokenizer_config.json", dict(tokenizer_class="PreTrainedTokenizerFast", bos_token=SPECIALS[0],
                                      eos_token=SPECIALS[1], clean_up_tokenization_spaces=False,
                                      model_max_length=CONFIG["max_position_embeddings"]))
    tokenizer.save(os.path.join(out, "tokenizer.json"))
    save_file({f"model.{k}": v.to(torch.bfloat16).contiguous() for k, v in model.state_dict().items()},
              os.path.join(out, "model.safetensors"), metadata=dict(format="pt"))


CARD = """# tiny-llama

A llama of {parameters:,} parameters that tells short stories. It belongs to this repository (Apache-2.0): `generate_text.py`
writes its text from a grammar, `train.py` trained it on {count:,} such stories for {minutes:g} minutes on one CPU core
({steps} steps). It stands in where no published model can be fetched, and serves as a small test.

| | |
| --- | --- |
| shape | {layers} layers, hidden 128, 4 heads of 32 (2 for keys and values), SwiGLU 384, tied embedding, context 512 |
| tokenizer | byte-level BPE, 1,024 pieces; begin token 0, end token 1 |
| weights | bfloat16, {bytes:,} bytes |
| held-out perplexity per token | **{ppl:.3f}** (1,000 stories of another seed, stored weights) |

It keeps the names of a story and mostly what happens in it; colours and places it mixes up now and then. Greedy text from the
stored weights, after "{prompt}":

> {sample}

Make it again: `python3 train.py --out .` (torch, tokenizers, safetensors, numpy).
"""


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--out", default=os.path.dirname(os.path.abspath(__file__)))
    ap.add_argument("--minutes", type=float, default=15, help="CPU minutes to train for")
    ap.add_argument("--stories", type=int, default=40000)
    a = ap.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(1)
    texts = stories(a.stories, seed=1)
    tokenizer = train_tokenizer(texts[:10000])
    model = Llama()
    steps = train(model, rows_of(tokenizer, texts), a.minutes)
    write(a.out, model, tokenizer)
    for p in model.parameters():  # from here on: the weights as stored
        p.data = p.data.to(torch.bfloat16).float()
    prompt = "One windy evening, Rosa went to the harbour."
    held_out = rows_of(tokenizer, stories(1000, seed=2))
    card = CARD.format(parameters=sum(p.numel() for p in model.parameters()), count=a.stories, minutes=a.minutes,
                       steps=steps, layers=CONFIG["num_hidden_layers"], ppl=perplexity(model, held_out), prompt=prompt,
                       bytes=os.path.getsize(os.path.join(a.out, "model.safetensors")),
                       sample=sample(model, tokenizer, prompt, 160))
    open(os.path.join(a.out, "README.md"), "w").write(card)
    print(card)


if __name__ == "__main__":
    main()
