"""Where the metadata of a good file ends, and where its length, count, type and offset fields lie. For mutate.py."""
import os
import struct
from dataclasses import dataclass, field

GGUF_SIZES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
STRING, ARRAY = 8, 9


@dataclass
class Layout:
    metadata_bytes: int
    fields: list = field(default_factory=list)  # (offset, width in bytes)


class GgufWalker:
    """Notes every integer that steers a reader. Of long arrays of strings, only the first lengths and the last."""

    def __init__(self, file):
        self.file, self.fields = file, []

    def number(self, width, note=True):
        if note:
            self.fields.append((self.file.tell(), width))
        return int.from_bytes(self.file.read(width), "little")

    def string(self, note=True):
        self.file.seek(self.number(8, note), os.SEEK_CUR)

    def value(self, kind):
        if kind == STRING:
            self.string()
        elif kind == ARRAY:
            kind, count = self.number(4), self.number(8)
            if kind == STRING:
                for i in range(count):
                    self.string(note=i < 4 or i == count - 1)
            else:
                self.file.seek(GGUF_SIZES[kind] * count, os.SEEK_CUR)
        else:
            self.fields.append((self.file.tell(), GGUF_SIZES[kind]))
            self.file.seek(GGUF_SIZES[kind], os.SEEK_CUR)

    def walk(self):
        magic = self.file.read(4)
        if magic != b"GGUF":
            raise SystemExit("the undamaged file is no GGUF file")
        self.number(4)
        tensors, entries = self.number(8), self.number(8)
        for _ in range(entries):
            self.string()
            self.value(self.number(4))
        for _ in range(tensors):
            self.string()
            for _ in range(self.number(4)):
                self.number(8)
            self.number(4)
            self.number(8)
        return Layout(self.file.tell(), self.fields)


def read(kind, path):
    """The layout of a file of this kind: gguf, safetensors, or text (tokenizer, mlir), which is metadata throughout."""
    with open(path, "rb") as file:
        if kind == "gguf":
            return GgufWalker(file).walk()
        if kind == "safetensors":
            return Layout(8 + struct.unpack("<Q", file.read(8))[0], [(0, 8)])
    return Layout(os.path.getsize(path))
