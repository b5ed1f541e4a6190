"""The layers of the demonstration models in plain PyTorch, in the shapes and with the names of published checkpoints."""
import math

import torch
from torch import nn
from torch.nn import functional as F


class RMSNorm(nn.Module):
    def __init__(self, n, eps):
        super().__init__()
        self.weight, self.eps = nn.Parameter(torch.ones(n)), eps

    def forward(self, x):
        return F.rms_norm(x, x.shape[-1:], self.weight, self.eps)


def linear(inputs, outputs, scale=1.0):
    layer = nn.Linear(inputs, outputs, bias=False)
    nn.init.normal_(layer.weight, std=scale / math.sqrt(inputs))
    return layer


def embedding(vocabulary, hidden):
    """All rows share a part: without a bias, attention can then look at positions alone (the token before) from the first step.

    Measured on tiny-mixtral: without it, look-up was still at chance after 450 steps of questions; with it, right after 200.
    """
    layer = nn.Embedding(vocabulary, hidden)
    layer.weight.data = 0.02 * torch.randn(vocabulary, hidden) + 0.04 * torch.randn(hidden)
    return layer


def rotate(x, theta, rotary):
    """x: [B, heads, T, head_dim]. The first `rotary` channels turn; their halves are real and imaginary parts."""
    angle = torch.outer(torch.arange(x.shape[2]).float(), theta ** (-torch.arange(0, rotary, 2).float() / rotary))
    cos, sin = angle.cos(), angle.sin()
    a, b, rest = x.split([rotary // 2, rotary // 2, x.shape[-1] - rotary], -1)
    return torch.cat([a * cos - b * sin, b * cos + a * sin, rest], -1)


def within_documents(starts):
    """starts: [B, T], true where a document begins. -> [B, 1, T, T]: which earlier tokens of its document a token may see."""
    document = starts.cumsum(1)
    return ((document[:, :, None] == document[:, None]) & torch.ones(starts.shape[1], starts.shape[1]).bool().tril())[:, None]


class Attention(nn.Module):
    """Documents of a row do not see each other."""

    def __init__(self, hidden, heads, kv_heads, theta, rotary_part=1.0):
        super().__init__()
        self.heads, self.kv_heads, self.theta = heads, kv_heads, theta
        d = hidden // heads
        self.rotary = int(d * rotary_part)
        self.q_proj, self.k_proj = linear(hidden, heads * d), linear(hidden, kv_heads * d)
        self.v_proj, self.o_proj = linear(hidden, kv_heads * d), linear(heads * d, hidden, 0.3)

    def forward(self, x, starts):
        b, t, _ = x.shape
        split = lambda y, n: y.view(b, t, n, -1).transpose(1, 2)
        q, k = (rotate(split(p(x), n), self.theta, self.rotary)
                for p, n in ((self.q_proj, self.heads), (self.k_proj, self.kv_heads)))
        k, v = (y.repeat_interleave(self.heads // self.kv_heads, 1) for y in (k, split(self.v_proj(x), self.kv_heads)))
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=within_documents(starts))
        return self.o_proj(y.transpose(1, 2).reshape(b, t, -1))


class Mlp(nn.Module):
    def __init__(self, hidden, intermediate):
        super().__init__()
        self.gate_proj, self.up_proj = linear(hidden, intermediate), linear(hidden, intermediate)
        self.down_proj = linear(intermediate, hidden, 0.3)

    def forward(self, x):
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class Conv(nn.Module):
    """Causal depthwise convolution over time. x: [B, T, C]; weight: [C, 1, taps], the last tap is the present."""

    def __init__(self, channels, taps):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(channels, 1, taps).uniform_(-1, 1) / math.sqrt(taps))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x):
        taps = self.weight.shape[-1]
        padded = F.pad(x, (0, 0, taps - 1, 0))
        return self.bias + sum(padded[:, k:k + x.shape[1]] * self.weight[:, 0, k] for k in range(taps))


def decays(steps):
    """steps: [..., Q], log decay of each position. -> [..., Q, Q]: decay from position j to i >= j, else 0."""
    total = steps.cumsum(-1)
    past = torch.ones(steps.shape[-1], steps.shape[-1], dtype=torch.bool).tril()
    return (total[..., :, None] - total[..., None, :]).masked_fill(~past, -math.inf).exp()


def chunked_scan(x, log_decay, b, c, chunk):
    """Mamba-2's recurrence in matrix products: state = decay * state + x b^T; y = state c.

    x: [B, T, H, P]; log_decay: [B, T, H]; b, c: [B, T, N]. Inside a chunk y = (c b^T * decays) x; between chunks the state
    [B, H, P, N] is carried. T is a multiple of `chunk`. Source: arXiv:2405.21060, section 6.
    """
    rows, length, heads, width = x.shape
    cut = lambda y: y.view(rows, length // chunk, chunk, *y.shape[2:])
    x, b, c = cut(x).transpose(2, 3), cut(b)[:, :, None], cut(c)[:, :, None]  # [B, chunks, H, Q, P], [B, chunks, 1, Q, N]
    steps = cut(log_decay).transpose(2, 3)                                    # [B, chunks, H, Q]
    total = steps.cumsum(-1)
    inside = ((c @ b.transpose(-1, -2)) * decays(steps)) @ x
    adds = (x * (total[..., -1:] - total).exp()[..., None]).transpose(-1, -2) @ b  # [B, chunks, H, P, N]
    state, before = torch.zeros_like(adds[:, 0]), []
    for k in range(adds.shape[1]):
        before.append(state)
        state = state * total[:, k, :, -1].exp()[..., None, None] + adds[:, k]
    across = (c @ torch.stack(before, 1).transpose(-1, -2)) * total.exp()[..., None]
    return (inside + across).transpose(2, 3).reshape(rows, length, heads, width)


def published_start(heads):
    """dt_bias and A_log as Mamba-2 was published, steps from 0.001 to 0.1: what forgets slowly writes little."""
    step = torch.exp(torch.linspace(math.log(0.001), math.log(0.1), heads))
    return step + torch.log(-torch.expm1(-step)), torch.log(torch.linspace(1, 16, heads))


def remembering_start(heads):
    """dt_bias and A_log with which every head writes from the first step on; they remember for 2 to 400 tokens.

    Measured on tiny-mamba2: copying was at 0 % after 1300 steps from published_start, at 100 % after 1200 from here.
    """
    step, forgets = torch.full((heads,), 0.3), torch.logspace(math.log10(1 / 400), math.log10(1 / 2), heads)
    return torch.log(torch.expm1(step)), torch.log(forgets / step)


FORGET = -30.0  # log decay that leaves nothing of a state


class Mamba2Mixer(nn.Module):
    """The state is forgotten where a document begins: there it is that of a fresh sequence."""

    def __init__(self, hidden, heads, head_dim, state, taps, eps, chunk, start):
        super().__init__()
        self.heads, self.head_dim, self.state, self.chunk = heads, head_dim, state, chunk
        self.inner = heads * head_dim
        self.in_proj = linear(hidden, 2 * self.inner + 2 * state + heads)
        self.conv1d = Conv(self.inner + 2 * state, taps)
        self.dt_bias, self.A_log = map(nn.Parameter, start(heads))  # softplus(dt_bias) is the step, exp(A_log) the decay
        self.D = nn.Parameter(torch.ones(heads))
        self.norm = RMSNorm(self.inner, eps)
        self.out_proj = linear(self.inner, hidden, 0.3)

    def forward(self, x, starts):
        rows, length, _ = x.shape
        gate, xbc, dt = self.in_proj(x).split([self.inner, self.inner + 2 * self.state, self.heads], -1)
        u, b, c = F.silu(self.conv1d(xbc)).split([self.inner, self.state, self.state], -1)
        u, dt = u.view(rows, length, self.heads, -1), F.softplus(dt + self.dt_bias)
        log_decay = (-dt * self.A_log.exp()).masked_fill(starts[..., None], FORGET)
        y = chunked_scan(u * dt[..., None], log_decay, b, c, self.chunk) + self.D[:, None] * u
        return self.out_proj(self.norm(y.reshape(rows, length, -1) * F.silu(gate)))


class Experts(nn.Module):
    """Routed SwiGLU: softmax over the chosen experts' scores. `balance` is the load-balancing loss of the last call."""

    def __init__(self, hidden, intermediate, experts, chosen):
        super().__init__()
        self.chosen = chosen
        self.gate = linear(hidden, experts, 0.5)
        stack = lambda n, k, s: nn.Parameter(torch.randn(experts, n, k) * s / math.sqrt(k))
        self.w1, self.w3 = stack(intermediate, hidden, 1.0), stack(intermediate, hidden, 1.0)
        self.w2 = stack(hidden, intermediate, 0.3)

    def forward(self, x):
        flat = x.reshape(-1, x.shape[-1])
        scores = self.gate(flat).softmax(-1)
        weights, picks = scores.topk(self.chosen, -1)
        weights = (weights / weights.sum(-1, keepdim=True)).flatten()
        order = picks.flatten().argsort(stable=True)   # by expert
        token, counts = order // self.chosen, picks.flatten().bincount(minlength=scores.shape[-1])
        self.load = counts / counts.sum()
        self.balance = len(counts) * (self.load * scores.mean(0)).sum()
        parts = [F.linear(F.silu(F.linear(p, a)) * F.linear(p, c), b)
                 for p, a, b, c in zip(flat[token].split(counts.tolist()), self.w1, self.w2, self.w3)]
        mixed = torch.cat(parts) * weights[order, None]
        return torch.zeros_like(flat).index_add(0, token, mixed).view_as(x)
