"""From stories and questions to rows of token ids: what the demonstration models are trained on."""
import random

import numpy as np
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

from questions import KINDS, TRAINING_SEED, training_questions
from generate_text import stories  # of tiny-llama, whose folder questions.py adds to the path

BEGIN, END = 0, 1
SPECIALS = ["<|begin|>", "<|end|>"]
VOCABULARY = 768
# Shares of a row's tokens.
MIX = dict(story=0.46, sum=0.14, difference=0.15, copy=0.09, lookup=0.16)


def train_tokenizer(texts):
    """Byte-level BPE in which every digit is a piece of its own."""
    t = Tokenizer(models.BPE())
    t.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True),
                                               pre_tokenizers.ByteLevel(add_prefix_space=False, trim_offsets=False)])
    t.decoder = decoders.ByteLevel()
    t.train_from_iterator(texts, trainers.BpeTrainer(vocab_size=VOCABULARY, special_tokens=SPECIALS,
                                                     initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
                                                     show_progress=False))
    t.post_processor = processors.TemplateProcessing(single="<|begin|> $A", special_tokens=[("<|begin|>", BEGIN)])
    return t


def encode_question(tokenizer, question):
    """ids, and for each whether it is scored: the question itself can't be foretold and would only be noise."""
    ids = tokenizer.encode(question.text()).ids + [END]
    asked = len(tokenizer.encode(question.prompt).ids)
    return np.array(ids), np.arange(len(ids)) >= asked


def encode_stories(tokenizer, texts):
    return [(np.array(e.ids + [END]), np.array([False] + [True] * len(e.ids))) for e in tokenizer.encode_batch(texts)]


class Corpus:
    """Endless training rows: documents of all kinds, one after the other, until a row is full."""

    def __init__(self, story_count=20000):
        texts = stories(story_count, TRAINING_SEED)
        asked = {kind: training_questions(kind) for kind in KINDS}
        sample = texts[:4000] + [q.text() for kind in ("copy", "lookup") for q in asked[kind][:2000]]
        self.tokenizer = train_tokenizer(sample)
        self.documents = {kind: [encode_question(self.tokenizer, q) for q in asked[kind]] for kind in KINDS}
        self.documents["story"] = encode_stories(self.tokenizer, texts)
        self.random = random.Random(TRAINING_SEED)
        self.kinds = list(MIX)
        mean = {kind: np.mean([len(ids) for ids, _ in self.documents[kind][:1000]]) for kind in self.kinds}
        self.weights = [MIX[kind] / mean[kind] for kind in self.kinds]

    def row(self, length):
        """`length + 1` ids, and which of the last `length` of them are scored."""
        ids, scored = [], []
        total = 0
        while total <= length:
            kind = self.random.choices(self.kinds, self.weights)[0]
            i, s = self.random.choice(self.documents[kind])
            ids.append(i)
            scored.append(s)
            total += len(i)
        return np.concatenate(ids)[:length + 1], np.concatenate(scored)[1:length + 1]

    def batch(self, rows, length):
        """Inputs and targets [rows, length]; targets that are not scored are -100."""
        pairs = [self.row(length) for _ in range(rows)]
        ids = torch.from_numpy(np.stack([i for i, _ in pairs]))
        scored = torch.from_numpy(np.stack([s for _, s in pairs]))
        return ids[:, :-1], ids[:, 1:].masked_fill(~scored, -100)
