"""Training of the demonstration models: the optimiser, the loop, and what is measured on held-out text."""
import math
import time

import torch
from torch import nn
from torch.nn import functional as F


def orthogonal(g, rounds=5):
    """The nearest matrix with all singular values about 1, by a Newton-Schulz iteration. g: [..., rows, columns]."""
    tall = g.shape[-2] > g.shape[-1]
    x = g.mT if tall else g
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(rounds):
        a = x @ x.mT
        x = 3.4445 * x + (-4.7750 * a + 2.0315 * a @ a) @ x
    return x.mT if tall else x


class Muon(torch.optim.Optimizer):
    """Momentum whose update of a matrix is made orthogonal: fewer steps than Adam on small models.

    Source: Jordan et al., Muon: an optimizer for hidden layers in neural networks, 2024.
    """

    def __init__(self, matrices, lr):
        super().__init__(matrices, dict(lr=lr, momentum=0.95, decay=0.05))

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                m = self.state[p].setdefault("momentum", torch.zeros_like(p)).lerp_(p.grad, 1 - group["momentum"])
                update = orthogonal(p.grad.lerp(m, group["momentum"]))
                p.mul_(1 - group["lr"] * group["decay"])
                p.add_(update, alpha=-group["lr"] * max(1.0, p.shape[-2] / p.shape[-1]) ** 0.5)


def optimisers(model):
    matrix = lambda name, p: p.dim() >= 2 and "embed" not in name and "conv1d" not in name
    matrices = [p for name, p in model.named_parameters() if matrix(name, p)]
    rest = [p for name, p in model.named_parameters() if not matrix(name, p)]
    return [Muon(matrices, lr=0.02), torch.optim.AdamW(rest, lr=4e-3, betas=(0.9, 0.95), weight_decay=0.0)]


def rate_at(done, step):
    """A short warm-up, a plateau, then a straight line to zero over the last 60 % of the steps."""
    return min(1.0, (step + 1) / 50, (1 - done) / 0.6)


@torch.no_grad()
def answered(model, tokenizer, asked):
    """Which share of questions is answered: greedily the answer's tokens follow when each is the likeliest after those before."""
    right = 0
    for q in asked:
        first, ids = len(tokenizer.encode(q.prompt).ids), tokenizer.encode(q.prompt + q.answer).ids
        padded = ids + [0] * (-len(ids) % 64)  # the scan wants whole chunks; what comes later changes nothing
        choices = model(torch.tensor([padded]))[0, first - 1:len(ids) - 1].argmax(-1)
        right += choices.tolist() == ids[first:]
    return right / len(asked)


def train(model, corpus, steps, rows=16, length=192, log=print, asked=()):
    """Returns (CPU minutes, the mean loss of the last 100 steps). `asked`: held-out questions by kind, for the log."""
    opts = optimisers(model)
    base = [[g["lr"] for g in o.param_groups] for o in opts]
    start, recent = time.process_time(), []
    for step in range(steps):
        rate = rate_at(step / steps, step)
        for o, rates in zip(opts, base):
            for group, lr in zip(o.param_groups, rates):
                group["lr"] = lr * rate
        ids, targets = corpus.batch(rows, length)
        logits = model(ids)
        loss = F.cross_entropy(logits.flatten(0, 1), targets.flatten())
        (loss + model.extra_loss()).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for o in opts:
            o.step()
        model.zero_grad()
        recent = recent[-99:] + [loss.item()]
        if step % 50 == 0:
            minutes = (time.process_time() - start) / 60
            log(f"step {step:5d}  {minutes:5.1f} min  loss {sum(recent[-50:]) / len(recent[-50:]):.4f}", flush=True)
        if step % 200 == 199:
            shares = {kind: answered(model, corpus.tokenizer, qs) for kind, qs in asked.items()}
            log("held out: " + ", ".join(f"{kind} {100 * share:.0f} %" for kind, share in shares.items()), flush=True)
    return (time.process_time() - start) / 60, sum(recent) / len(recent)
