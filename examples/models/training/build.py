"""What the train.py of every demonstration model does: train, store, check the files, leave the facts for card.py."""
import argparse
import json
import os
import sys

import torch
from safetensors.torch import load_file, save_file

from corpus import SPECIALS, Corpus
from questions import KINDS, TRAINING_SEED, questions
from trainer import train

TOLERANCE = 1e-3  # between our logits and those of transformers, both float32


def tensors(model):
    """Stored names and float16 values. A stack of experts is stored as one tensor each, as in published checkpoints."""
    for name, value in model.state_dict().items():
        if ".block_sparse_moe.w" in name:
            stem, which = name.rsplit(".", 1)
            for i, expert in enumerate(value):
                yield f"{model.prefix}{stem}.experts.{i}.{which}.weight", expert.half().contiguous()
        else:
            yield model.prefix + name, value.half().contiguous()


def write(out, model, tokenizer, config, facts):
    os.makedirs(out, exist_ok=True)

    def put(name, value):
        with open(os.path.join(out, name), "w") as f:
            f.write(json.dumps(value, indent=2) + "\n")
    put("config.json", config)
    put("generation_config.json", dict(bos_token_id=config["bos_token_id"], eos_token_id=config["eos_token_id"]))
    put("tokenizer_config.json", dict(tokenizer_class="PreTrainedTokenizerFast", bos_token=SPECIALS[0], eos_token=SPECIALS[1],
                                      clean_up_tokenization_spaces=False, model_max_length=256))
    put("training.json", facts)
    tokenizer.save(os.path.join(out, "tokenizer.json"))
    save_file(dict(tensors(model)), os.path.join(out, "model.safetensors"), metadata=dict(format="pt"))


def largest_difference(out, model, tokenizer):
    """Between the logits of this code and of transformers, both from the stored weights. None where there is no transformers."""
    try:
        from transformers import AutoModelForCausalLM
    except ImportError:
        return None
    for p in model.parameters():
        p.data = p.data.half().float()
    theirs = AutoModelForCausalLM.from_pretrained(out, dtype=torch.float32, attn_implementation="eager").eval()
    worst = 0.0
    with torch.no_grad():
        for kind in KINDS:
            text = " ".join(q.prompt + q.answer for q in questions(kind, 40, TRAINING_SEED + 1, held_out=True))
            ids = torch.tensor([tokenizer.encode(text).ids[:192]])
            worst = max(worst, (model(ids) - theirs(ids).logits).abs().max().item())
    return worst


def main(name, make, config, shape, steps):
    ap = argparse.ArgumentParser(description=sys.modules["__main__"].__doc__,
                                 formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--out", default=os.path.dirname(os.path.abspath(sys.modules["__main__"].__file__)))
    ap.add_argument("--steps", type=int, default=steps)
    a = ap.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(TRAINING_SEED)
    corpus, model = Corpus(), make()
    asked = {kind: questions(kind, 40, TRAINING_SEED + 2, held_out=True) for kind in KINDS}
    minutes, loss = train(model, corpus, a.steps, asked=asked)
    facts = dict(name=name, shape=shape, parameters=sum(p.numel() for p in model.parameters()), seed=TRAINING_SEED, steps=a.steps,
                 minutes=round(minutes, 1), loss=round(loss, 4))
    write(a.out, model, corpus.tokenizer, config, facts)
    print(json.dumps(facts))
    worst = largest_difference(a.out, model, corpus.tokenizer)
    if worst is None:
        print("transformers is not installed: the files were not checked against it")
    else:
        print(f"largest difference of a logit from transformers: {worst:.2e}")
        if not worst <= TOLERANCE:
            sys.exit(f"want at most {TOLERANCE}")
