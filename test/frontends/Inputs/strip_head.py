"""Makes a base model's checkpoint of one with a head: strip_head.py FOLDER PREFIX HEAD. Names lose PREFIX; those that begin with HEAD go."""
import json
import struct
import sys

folder, prefix, head = sys.argv[1:]
path = folder + "/model.safetensors"
data = open(path, "rb").read()
size = struct.unpack("<Q", data[:8])[0]
header, body = json.loads(data[8 : 8 + size]), data[8 + size :]
kept, out = {}, b""
for name, tensor in header.items():
    if name == "__metadata__" or name.startswith(head):
        continue
    begin, end = tensor["data_offsets"]
    kept[name.removeprefix(prefix)] = {**tensor, "data_offsets": [len(out), len(out) + end - begin]}
    out += body[begin:end]
text = json.dumps(kept).encode()
text += b" " * (-len(text) % 8)
open(path, "wb").write(struct.pack("<Q", len(text)) + text + out)
