"""What a token costs, from a GGUF file's header: bytes read per step and operations per token of a prompt."""
import dataclasses
import math
import os
import struct

SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
STRING, ARRAY = 8, 9


@dataclasses.dataclass(frozen=True)
class Cost:
    step_bytes: int          # of weights, read by a step of one token
    prompt_operations: int   # of products, per token of a long prompt (its output row is not counted: only the last needs one)
    cache_bytes: int         # per token of context, 2 bytes an element; 0 without attention
    window_bytes: int = 0    # the part of it that is in layers which see the last `window` tokens only
    window: int = 0
    state_bytes: int = 0     # of recurrences, for each sequence, float32: a step reads and writes them

    def cache_bytes_at(self, context):
        return (self.cache_bytes - self.window_bytes) * context + self.window_bytes * min(context, self.window)

    def step_bytes_of(self, sequences, context):
        """Of memory that a step of one token for each sequence must move."""
        return self.step_bytes + sequences * (self.cache_bytes_at(context) + 2 * self.state_bytes)


class Header:
    def __init__(self, path):
        self.values, self.tensors = {}, []   # tensors: name, shape, offset
        with open(path, "rb") as self.file:
            magic, version, tensors, values = struct.unpack("<4sIQQ", self.file.read(24))
            if magic != b"GGUF" or version not in (2, 3):
                raise SystemExit(f"{path}: want a GGUF file of version 2 or 3, got {magic!r} version {version}")
            for _ in range(values):
                name = self.string()
                self.values[name] = self.value(self.one("I"))
            for _ in range(tensors):
                name = self.string()
                shape = [self.one("Q") for _ in range(self.one("I"))]
                self.one("I")
                self.tensors.append((name, shape, self.one("Q")))
            begin = -(-self.file.tell() // self.values.get("general.alignment", 32)) * self.values.get("general.alignment", 32)
        self.data_bytes = os.path.getsize(path) - begin

    def one(self, code):
        return struct.unpack("<" + code, self.file.read(struct.calcsize("<" + code)))[0]

    def string(self):
        return self.file.read(self.one("Q")).decode("utf-8", "replace")

    def value(self, kind):
        if kind == STRING:
            return self.string()
        if kind == ARRAY:
            kind, count = self.one("I"), self.one("Q")
            return [self.value(kind) for _ in range(count)]
        return self.one(SCALARS[kind])

    def get(self, key, otherwise=0):
        return self.values.get(f"{self.values.get('general.architecture', '')}.{key}", otherwise)

    def tensor_bytes(self):
        """Name -> bytes: up to the next tensor's offset, so no table of formats is needed."""
        order = sorted(self.tensors, key=lambda t: t[2])
        ends = [t[2] for t in order[1:]] + [self.data_bytes]
        return {name: end - offset for (name, _, offset), end in zip(order, ends)}


def cost(path):
    header = Header(path)
    used = header.get("expert_used_count") / max(header.get("expert_count"), 1)
    tied = not any(name == "output.weight" for name, _, _ in header.tensors)
    sizes = header.tensor_bytes()
    step_bytes = operations = 0
    for name, shape, _ in header.tensors:
        share = used if "_exps." in name else 1
        looked_up = name == "token_embd.weight" and not tied
        step_bytes += 0 if looked_up else sizes[name] * share
        if name not in ("token_embd.weight", "output.weight") and len(shape) > 1:
            operations += 2 * math.prod(shape) * share
    layers = cache_bytes_by_layer(header)
    window, period = header.get("attention.sliding_window"), PERIODS.get(header.values.get("general.architecture"))
    windowed = sum(size for i, size in enumerate(layers) if window and period and (i + 1) % period)
    return Cost(int(step_bytes), int(operations), sum(layers), windowed, window, state_bytes(header))


# Every so many layers one sees the whole context: files don't say it.
PERIODS = {"gemma2": 2, "gemma3": 6}


def state_bytes(header):
    layers = sum(name.endswith(".ssm_a") for name, _, _ in header.tensors)
    return 4 * layers * header.get("ssm.inner_size") * header.get("ssm.state_size")


def cache_bytes_by_layer(header):
    heads = header.get("attention.head_count_kv")
    per_layer = heads if isinstance(heads, list) else [heads] * header.get("block_count")
    width = header.get("embedding_length") // max(header.get("attention.head_count", 1), 1)
    keys, values = header.get("attention.key_length", width), header.get("attention.value_length", width)
    return [count * (keys + values) * 2 for count in per_layer]
