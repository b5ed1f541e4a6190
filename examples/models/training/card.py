#!/usr/bin/env python3
"""Measures a demonstration model with Hugging Face transformers and writes its model card and the test's data.

    card.py ../tiny-mamba2 --held-out ../../../test/e2e/models/tiny-mamba2.json

Everything is measured on the stored weights in float32, on stories of another seed and on held-out questions. The second file
holds 50 questions of each kind, what transformers answers, and 24 stories with their perplexity: llmc has to give the same.
Needs torch, transformers.
"""
import argparse
import json
import math
import os

import torch
import transformers
from transformers import AutoModelForCausalLM, AutoTokenizer

from corpus import END
from generate_text import stories  # of tiny-llama
from questions import HELD_OUT_ONE_IN, KINDS, TRAINING_SEED, questions

MEASURED, TESTED = 400, 50
STORIES, TESTED_STORIES = 500, 24
SEED = TRAINING_SEED + 1
PROMPTS = ["One windy evening, Rosa went to the harbour.", "Once there was a farmer named Leo.", "It was a rainy morning."]
WORDS = dict(sum="sums of two numbers up to 99", difference="differences of two numbers up to 99",
             copy="copying a list of 3 to 8 words", lookup="look-up of one fact among 2 to 6")


class Reference:
    def __init__(self, folder):
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        self.model, info = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager",
                                                                output_loading_info=True)
        wrong = {k: v for k, v in info.items() if v and "keys" in k}
        assert not wrong, f"{folder}: {wrong}"
        self.model.eval()

    def ids(self, text):
        return self.tokenizer(text).input_ids

    @torch.no_grad()
    def generate(self, ids, count, **options):
        """Greedy unless `options` say otherwise."""
        given = torch.tensor([ids])
        out = self.model.generate(given, attention_mask=torch.ones_like(given), max_new_tokens=count, pad_token_id=END,
                                  **{"do_sample": False, **options})
        return out[0, len(ids):].tolist()

    @torch.no_grad()
    def margin(self, ids, chosen):
        """The least lead, in logits, that a chosen id had over the next best."""
        best = self.model(torch.tensor([ids + chosen[:-1]])).logits[0, len(ids) - 1:].topk(2, -1).values
        return round((best[:, 0] - best[:, 1]).min().item(), 4)

    @torch.no_grad()
    def nll(self, ids):
        """Sum over all ids but the first."""
        logits = self.model(torch.tensor([ids])).logits[0, :-1]
        return torch.nn.functional.cross_entropy(logits, torch.tensor(ids[1:]), reduction="sum").item()

    def perplexity(self, rows):
        return math.exp(sum(map(self.nll, rows)) / sum(len(ids) - 1 for ids in rows))

    @torch.no_grad()
    def expert_load(self, rows):
        """[layers, experts]: the share of its tokens' choices that each expert gets. None for a model without experts."""
        if not hasattr(self.model.config, "num_local_experts"):
            return None
        chosen, counts = self.model.config.num_experts_per_tok, 0
        for ids in rows:
            routed = torch.stack(self.model(torch.tensor([ids]), output_router_logits=True).router_logits)
            counts = counts + torch.nn.functional.one_hot(routed.topk(chosen, -1).indices, routed.shape[-1]).sum((1, 2))
        return counts / counts.sum(-1, keepdim=True)

    def text(self, prompt, **options):
        return prompt + self.tokenizer.decode(self.generate(self.ids(prompt), 170, **options), skip_special_tokens=True)


def ask(reference, q):
    """One question as the test wants it: right when `greedy` is `answer`, both as ids."""
    prompt, both = reference.ids(q.prompt), reference.ids(q.prompt + q.answer)
    assert both[:len(prompt)] == prompt, q.prompt
    want = both[len(prompt):] + ([] if q.more else [END])
    greedy = reference.generate(prompt, len(want))
    return dict(prompt=q.prompt, answer=q.answer, ids=want, greedy=greedy, margin=reference.margin(prompt, greedy))


def share(asked):
    return sum(a["ids"] == a["greedy"] for a in asked) / len(asked)


CARD = """# {name}

{purpose} It belongs to this repository (Apache-2.0).
`../tiny-llama/generate_text.py` wrote its stories and `../training/questions.py` its questions; `train.py` trained it in
{minutes:g} CPU minutes on one core: {steps:,} steps of 16 rows of 192 tokens, seed {seed}, final training loss {loss:.3f} over stories and
answers.

| | |
| --- | --- |
| family | `{family}` |
| shape | {parameters:,} parameters: {shape} |
| tokenizer | byte-level BPE, {vocabulary} pieces, a digit is a piece; begin token 0, end token 1 |
| weights | float16, {bytes:,} bytes |
| held-out perplexity per token | **{perplexity:.3f}** ({stories} stories of another seed) |

Held-out questions answered, greedily and exactly. A checksum of a question's text decides that one in {one_in} is held out, so
none of these occurs in the training text (a sum's numbers may occur in the other order):

| question | example | right of {measured} | right of the test's {tested} |
| --- | --- | --- | --- |
{rows}
{load}
Measured on the stored weights with transformers {version} in float32; `test/e2e/models_check.py` measures llmc.

Greedy continuations:

{greedy}

Sampled at temperature 0.8:

{sampled}

Make it again: `python3 train.py` (torch, tokenizers, safetensors, numpy), then `python3 ../training/card.py .`
(transformers). Bits of the weights may differ on another processor or version of torch.
"""
PURPOSES = {
    "mamba2": "A Mamba-2, state-space layers and nothing else, that tells short stories and answers small questions.",
    "mixtral": "A mixture of experts that tells short stories and answers small questions.",
    "bamba": "A hybrid of Mamba-2 layers and attention that tells short stories and answers small questions."}


def load_of(reference, rows):
    load = reference.expert_load(rows)
    if load is None:
        return ""
    spans = ", ".join(f"{100 * layer.min():.0f} to {100 * layer.max():.0f} %" for layer in load)
    return f"\nEvery expert works: on held-out stories an expert gets, layer by layer, {spans} of the choices (even: " \
           f"{100 / load.shape[-1]:.1f} %).\n"


def card(folder, reference, asked, stories_read):
    with open(os.path.join(folder, "training.json")) as f:
        facts = json.load(f)
    rows = []
    for kind, results in asked.items():
        best = next((a for a in results[3:] if a["ids"] == a["greedy"]), results[0])
        rows.append(f"| {WORDS[kind]} | `{best['prompt']}` →`{best['answer']}` | **{100 * share(results):.1f} %** | "
                    f"{100 * share(results[:TESTED]):.0f} % |")
    torch.manual_seed(SEED)
    quote = lambda texts: "\n\n".join("> " + t for t in texts)
    return CARD.format(
        **facts, family=reference.model.config.model_type, vocabulary=reference.model.config.vocab_size,
        purpose=PURPOSES[reference.model.config.model_type], one_in=HELD_OUT_ONE_IN, measured=MEASURED, tested=TESTED,
        bytes=os.path.getsize(os.path.join(folder, "model.safetensors")), stories=STORIES,
        perplexity=reference.perplexity(stories_read), load=load_of(reference, stories_read[:TESTED_STORIES]), rows="\n".join(rows),
        version=transformers.__version__, greedy=quote(map(reference.text, PROMPTS)),
        sampled=quote(reference.text(p, do_sample=True, temperature=0.8, top_k=0) for p in PROMPTS[:2]))


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("folder")
    ap.add_argument("--held-out", help="file for the test")
    a = ap.parse_args()
    torch.set_num_threads(1)
    reference = Reference(a.folder)
    asked = {kind: [ask(reference, q) for q in questions(kind, MEASURED, SEED, held_out=True)] for kind in KINDS}
    rows = [reference.ids(story) + [END] for story in stories(STORIES, SEED)]
    text = card(a.folder, reference, asked, rows)
    with open(os.path.join(a.folder, "README.md"), "w") as f:
        f.write(text)
    print(text)
    if a.held_out:
        tested = {kind: results[:TESTED] for kind, results in asked.items()}
        data = dict(reference=f"transformers {transformers.__version__}, float32",
                    accuracy={kind: share(results) for kind, results in tested.items()}, questions=tested,
                    perplexity=reference.perplexity(rows[:TESTED_STORIES]), stories=rows[:TESTED_STORIES],
                    story=dict(prompt=PROMPTS[0], greedy=reference.generate(reference.ids(PROMPTS[0]), 120)))
        with open(a.held_out, "w") as f:
            f.write(json.dumps(data).replace('{"prompt"', '\n{"prompt"').replace("[[", "[\n[").replace("], [", "],\n[") + "\n")


if __name__ == "__main__":
    main()
