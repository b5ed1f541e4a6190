#!/usr/bin/env python3
"""Makes the small committed cases of test/e2e/golden/: one of hf_cases.py's a family, shrunk.

    make_golden.py --out ../e2e/golden [--seed 1] [--only a,b]
    make_golden.py --out ../e2e/golden_encoders --only bert,modernbert,t5,bart
    make_golden.py --out ../../docs/howto/models --only granite

The same directories as hf_cases.py writes, so hf_check.py checks them; only narrower (hidden size 32), with a small
vocabulary, and without the 80-token prompt. Run by hand when a family is added; needs hf_cases.py's environment.
"""
import argparse
import json
import os
import sys

import numpy as np

import hf_cases

# case -> what differs: pieces asked for, vocabulary of the model, stored type
GOLDEN = {"llama_gqa_llama3rope": (300, 320, "bfloat16"), "gemma3_text": (480, 512, "bfloat16"),
          "qwen3": (300, 320, None), "gpt2": (300, 320, "float16"), "jamba": (480, 512, None), "zamba2": (480, 512, None),
          "qwen3_next": (300, 320, None), "lfm2": (300, 320, "bfloat16"), "rwkv": (300, 320, None),
          "recurrent_gemma": (480, 512, None), "mixtral": (480, 512, None),
          "mamba2": (300, 320, None), "bloom": (300, 320, "float16"), "bert": (300, 320, "float16"), "modernbert": (300, 320, None),
          "t5": (300, 320, None), "bart": (300, 320, "bfloat16"), "granite": (300, 320, "bfloat16")}
NARROW = {"hidden_size": 32, "n_embd": 32, "intermediate_size": 64, "head_dim": 16, "num_hidden_layers": 2, "n_layer": 2,
          "attention_hidden_size": 32, "lru_width": 32, "num_heads": 4, "linear_key_head_dim": 8, "linear_value_head_dim": 8,
          "d_model": 32, "d_ff": 64, "d_kv": 8, "encoder_ffn_dim": 64, "decoder_ffn_dim": 64, "encoder_layers": 2, "num_layers": 2,
          "moe_intermediate_size": 24, "shared_expert_intermediate_size": 24}
ELSEWHERE = ("granite", "bert", "modernbert", "t5", "bart")  # see above
# Models whose layers are of several kinds, by number or by a list, need all of them.
KINDS = ("jamba", "modernbert", "zamba2", "qwen3_next", "lfm2", "recurrent_gemma")


def shrink(name):
    case = hf_cases.CASES[name]
    hf_cases.V, hf_cases.VM, dtype = GOLDEN[name]
    keep = ("num_hidden_layers",) if "local_global" in case or name in KINDS else ()  # a local/global pattern has six layers
    case["cfg"].update({k: v for k, v in NARROW.items() if k in case["cfg"] and k not in keep})
    if dtype:
        case["dtype"] = dtype


def trim(folder):
    """Drops the long prompt, and arrays that hf_check.py does not look at."""
    ref = json.load(open(f"{folder}/reference.json", encoding="utf-8"))
    ref["prompts"].pop("p80"), ref.get("greedy", {}).pop("p80", None)
    ref.pop("prompt_text"), ref.pop("max_abs")
    ref["spread"] = {tag: {k: v for k, v in d.items() if "p80" not in k} for tag, d in ref["spread"].items()}
    arrays = np.load(f"{folder}/reference.npz")
    np.savez_compressed(f"{folder}/reference.npz", **{k: arrays[k] for k in arrays if "p80" not in k})
    json.dump(ref, open(f"{folder}/reference.json", "w", encoding="utf-8"), indent=1, ensure_ascii=False, sort_keys=True)


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--out", required=True)
    ap.add_argument("--seed", default="1")
    ap.add_argument("--only", default=",".join(name for name in GOLDEN if name not in ELSEWHERE))
    a = ap.parse_args()
    for name in a.only.split(","):
        shrink(name)
        sys.argv = ["hf_cases.py", "--out", a.out, "--seed", a.seed, "--only", name]
        if hf_cases.main():
            return 1
        trim(os.path.join(a.out, name))
    return 0


if __name__ == "__main__":
    sys.exit(main())
