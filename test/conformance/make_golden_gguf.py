#!/usr/bin/env python3
"""Makes test/e2e/golden_gguf/: a two-layer llama in GGUF with every format that llmc reads, and its logits.

    make_golden_gguf.py --out ../e2e/golden_gguf

The weights are random blocks of each format. The reference is transformers' Llama in float32 on the weights that gguf-py decodes
from the file, so formats, mixed formats between layers, GGUF's order of rotary channels and its rope factors are held
against code of others. Run by hand; needs hf_cases.py's environment.
"""
import argparse
import json
import os

os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
import gguf
import numpy as np
import torch
from gguf import GGMLQuantizationType as Q
from transformers import LlamaConfig, LlamaForCausalLM

import make_synthetic_gguf as synthetic

HIDDEN, FFN, HEADS, KV, VOCAB, LAYERS = 256, 256, 4, 1, 320, 2
HEAD = HIDDEN // HEADS
MATRICES = {"attn_q": (HIDDEN, HIDDEN, Q.Q4_K, Q.Q5_K), "attn_k": (KV * HEAD, HIDDEN, Q.F16, Q.BF16),
            "attn_v": (KV * HEAD, HIDDEN, Q.F32, Q.Q8_0), "attn_output": (HIDDEN, HIDDEN, Q.Q5_0, Q.Q4_1),
            "ffn_gate": (FFN, HIDDEN, Q.Q4_0, Q.Q2_K), "ffn_up": (FFN, HIDDEN, Q.MXFP4, Q.Q3_K),
            "ffn_down": (HIDDEN, FFN, Q.Q6_K, Q.IQ4_NL)}
# Gains make attention sharp and logits wide, so that a wrong order of channels shows.
GAINS = {"attn_norm": 5.0, "ffn_norm": 4.0}
NAMES = {"attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj",
         "attn_output": "self_attn.o_proj", "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj",
         "ffn_down": "mlp.down_proj", "attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm"}


class AllPools(synthetic.Pools):
    """Random blocks of make_synthetic_gguf.py, and of Q5_K: its Q4_K with a fifth bit (d, dmin, scales, high bits, low bits)."""

    def get(self, q):
        if q != Q.Q5_K:
            return super().get(q)
        four = super().get(Q.Q4_K)
        high = np.random.Generator(np.random.PCG64([self.seed, int(q)])).integers(0, 256, (len(four), 32), dtype=np.uint8)
        half = four[:, :4].copy().view(np.float16) / np.float16(2)
        return np.hstack([half.view(np.uint8), four[:, 4:16], high, four[:, 16:]])


def tensors():
    """[(name, shape, format)], gains first."""
    for i in range(LAYERS):
        yield from ((f"blk.{i}.{name}.weight", (HIDDEN,), Q.F32) for name in GAINS)
        yield from ((f"blk.{i}.{name}.weight", m[:2], m[2 + i]) for name, m in MATRICES.items())
    yield "output_norm.weight", (HIDDEN,), Q.F32
    yield "token_embd.weight", (VOCAB, HIDDEN), Q.Q5_1
    yield "output.weight", (VOCAB, HIDDEN), Q.Q6_K


def write(path, rope_factors):
    synthetic.BLOCK.setdefault(Q.Q5_K, (256, 176))
    w = gguf.GGUFWriter(path, "llama")
    w.add_name("golden llama (random weights)")
    w.add_vocab_size(VOCAB), w.add_context_length(256), w.add_embedding_length(HIDDEN), w.add_block_count(LAYERS)
    w.add_feed_forward_length(FFN), w.add_head_count(HEADS), w.add_head_count_kv(KV), w.add_layer_norm_rms_eps(1e-3)
    w.add_rope_freq_base(10000.0), w.add_rope_dimension_count(HEAD)
    synthetic.add_tokenizer(w, VOCAB)
    w.add_tensor("rope_freqs.weight", rope_factors)
    pools, rng, decoded = AllPools(1), np.random.default_rng(1), {}
    for name, shape, q in tensors():
        if len(shape) == 1:
            gain = 9.0 if name.startswith("output") else GAINS[name.split(".")[2]]
            decoded[name] = (gain * rng.uniform(0.8, 1.2, shape)).astype(np.float32)
            w.add_tensor(name, decoded[name])
            continue
        data = pools.tensor(name, shape, q)
        decoded[name] = gguf.quants.dequantize(data, q).reshape(shape)
        w.add_tensor(name, data, raw_dtype=q)
    w.write_header_to_file(), w.write_kv_data_to_file(), w.write_tensors_to_file(), w.close()
    return decoded


def unrotated(weight, heads):
    """GGUF interleaves the two halves of each head; Hugging Face keeps them apart."""
    return weight.reshape(heads, HEAD // 2, 2, HIDDEN).swapaxes(1, 2).reshape(weight.shape)


def fill(model, decoded):
    state = {"model.embed_tokens.weight": decoded["token_embd.weight"], "lm_head.weight": decoded["output.weight"],
             "model.norm.weight": decoded["output_norm.weight"]}
    for i in range(LAYERS):
        for ours, theirs in NAMES.items():
            value = decoded[f"blk.{i}.{ours}.weight"]
            if ours in ("attn_q", "attn_k"):
                value = unrotated(value, HEADS if ours == "attn_q" else KV)
            state[f"model.layers.{i}.{theirs}.weight"] = value
    model.load_state_dict({k: torch.from_numpy(np.ascontiguousarray(v)) for k, v in state.items()})


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--out", required=True)
    a = ap.parse_args()
    os.makedirs(a.out, exist_ok=True)
    torch.set_num_threads(1)
    rope = dict(rope_type="llama3", rope_theta=10000.0, factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
                original_max_position_embeddings=64)
    config = LlamaConfig(vocab_size=VOCAB, hidden_size=HIDDEN, intermediate_size=FFN, num_hidden_layers=LAYERS,
                         num_attention_heads=HEADS, num_key_value_heads=KV, rms_norm_eps=1e-3, rope_parameters=rope,
                         max_position_embeddings=256, tie_word_embeddings=False, attn_implementation="eager")
    model = LlamaForCausalLM(config).float().eval()
    plain = 10000.0 ** (-torch.arange(0, HEAD, 2).float() / HEAD)
    decoded = write(f"{a.out}/llama.gguf", (plain / model.model.rotary_emb.inv_freq).float().numpy())
    fill(model, decoded)
    ids = np.random.default_rng(2).integers(0, 263, 33).tolist()
    with torch.no_grad():
        logits = model(torch.tensor([ids])).logits[0].numpy()
        new = model.generate(torch.tensor([ids]), attention_mask=torch.ones(1, 33, dtype=torch.long), max_new_tokens=16,
                             do_sample=False, eos_token_id=None, pad_token_id=0)[0, 33:].tolist()
    np.save(f"{a.out}/logits.npy", logits)
    with open(f"{a.out}/reference.json", "w", encoding="utf-8") as f:
        json.dump(dict(ids=ids, greedy=new, tolerance=3e-4), f, indent=1)
    print(f"{os.path.getsize(f'{a.out}/llama.gguf')} bytes, logits of standard deviation {logits.std():.2f}, {len(set(new))} different ids")


if __name__ == "__main__":
    main()
