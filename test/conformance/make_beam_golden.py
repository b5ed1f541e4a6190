#!/usr/bin/env python3
"""Records what transformers' beam search finds in a model that is a table: the next token's logits depend on the last token alone.

    make_beam_golden.py > runtime/sampler/testdata/BeamGolden.inc

Needs torch and transformers (the environment that run.sh makes). The table is written down as a formula, which BeamSearchTest.cpp repeats:
logit(last, next) = hash(last, next) % levels / scale, so few levels make ties.
"""
import itertools
import torch
import transformers
from transformers import GenerationConfig, GenerationMixin, PretrainedConfig, PreTrainedModel
from transformers.modeling_outputs import CausalLMOutput

transformers.logging.set_verbosity_error()
VOCAB = 24


def hashed(last, token):
    return ((last * 2654435761 + token * 40503 + 12345) & 0xFFFFFFFF) >> 7


def table(levels, scale):
    return torch.tensor([[hashed(a, b) % levels / scale for b in range(VOCAB)] for a in range(VOCAB)], dtype=torch.float32)


class Table(PreTrainedModel, GenerationMixin):
    config_class = PretrainedConfig
    main_input_name = "input_ids"

    def __init__(self, logits):
        super().__init__(PretrainedConfig(vocab_size=VOCAB))
        self.logits = torch.nn.Parameter(logits)
        self.post_init()

    def forward(self, input_ids, attention_mask=None, **unused):
        return CausalLMOutput(logits=self.logits[input_ids])

    def prepare_inputs_for_generation(self, input_ids, attention_mask=None, **unused):
        return {"input_ids": input_ids}


def record(levels, scale, beams, length_penalty, early_stopping, stops, tokens, ngram=0, penalty=1.0):
    model = Table(table(levels, scale))
    config = GenerationConfig(num_beams=beams, num_return_sequences=beams, do_sample=False, max_new_tokens=tokens, length_penalty=length_penalty,
                              early_stopping=early_stopping, eos_token_id=stops or None, pad_token_id=0, use_cache=False, no_repeat_ngram_size=ngram,
                              repetition_penalty=penalty,
                              return_dict_in_generate=True, output_scores=True)
    with torch.no_grad():
        found = model.generate(torch.tensor([[3]]), attention_mask=torch.ones(1, 1, dtype=torch.long), generation_config=config)
    sequences = []
    for ids in found.sequences.tolist():
        ids = ids[1:]
        ends = [i for i, token in enumerate(ids) if token in stops]
        sequences.append(ids[:ends[0] + 1] if ends else ids)
    names = {False: "Heuristic", True: "Always", "never": "Never"}
    braces = lambda values: "{" + ", ".join(map(str, values)) + "}"
    rows = ", ".join(braces([braces(ids), f"{score:.6g}f"]) for ids, score in zip(sequences, found.sequences_scores.tolist()))
    return f"{{{levels}, {scale}, {{{beams}, {length_penalty}f, EarlyStopping::{names[early_stopping]}, {tokens}, {braces(stops)}, {ngram}, {penalty}f, {braces([3])}}}, {{{rows}}}}},"


def main():
    print(f"// Written by test/conformance/make_beam_golden.py with transformers {transformers.__version__}.")
    for early_stopping, length_penalty in itertools.product([False, True, "never"], [1.0, 0.0, 2.5, -1.5]):
        print(record(1009, 200, 4, length_penalty, early_stopping, [5, 11], 14))
    for beams, stops in itertools.product([2, 7], [[], [8]]):
        print(record(1009, 400, beams, 1.0, False, stops, 9))
    for ngram, penalty in [(2, 1.0), (1, 1.0), (0, 1.3), (3, 1.2)]:
        print(record(1009, 200, 4, 1.0, False, [5], 14, ngram, penalty))


if __name__ == "__main__":
    main()
