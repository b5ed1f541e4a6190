#!/usr/bin/env python3
"""Runs a command on many damaged copies of a good file, and checks that it bears them.

    mutate.py --count 400 --seed 1 --kind gguf --file model.gguf -- llmc inspect {}
    mutate.py --count 400 --seed 1 --kind tokenizer --file DIR/tokenizer.json --dir-template DIR -- llmc tokenize {} hello

`{}` stands for the damaged file, or, with --dir-template, for a copy of that directory in which the file is damaged (its
other files are hard links). Each run must

  - end by itself within 10 s, with exit status 0, 1 or 3 and, unless 0, a message on standard error;
  - take at most 16 x the metadata's bytes + 64 MB of resident memory beyond the tensors' bytes and beyond what a run on
    an empty file takes.

The same seed gives the same damage. Failing files are kept (--keep). The last line is `N passed, N failed`; the exit
status is 1 if any failed. Only the standard library is used.
"""
import argparse
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile

import layouts

ALLOWED_STATUS = (0, 1, 3)
EXTREMES = [0, 1, 2, 3, 7, 8, 9, 13, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 1 << 20, (1 << 31) - 1, 1 << 31, (1 << 32) - 1, 1 << 32,
            (1 << 62) - 1, (1 << 63) - 1, 1 << 63, (1 << 64) - 8, (1 << 64) - 1]
TEXT_NUMBERS = ["-1", "0", "1", "3.5", "1e999", "-0", "65536", "2147483648", "4294967295", "9223372036854775807",
                "18446744073709551615", "99999999999999999999999", "1e-400", "NaN"]
TEXT_VALUES = ["null", "true", "[]", "{}", '""', "-7", '"\\u0000"', '"\\ud800"', '"' + "x" * 300 + '"', "[" * 300, '{"a":' * 300]
TEXT_PIECES = {
    "mlir": ["(" * 2000, "tensor<" * 500, "{" * 300, "-1", "index", "?x" * 400, "f32", "@", "%0", "\"", "}", "^bb0",
             "tensor<9223372036854775807x9223372036854775807xf32>", "#loc", "module {", "llm.", "\0", "\xff"],
    "json": ["[" * 3000, "{\"a\":" * 3000, "\"", ",", "}", "]", "\\", "\0", "\xff", "\\u12", "/*", "(" * 500, "|" * 100],
}

# Starts the command from a small process: the peak memory of a child counts its parent's at the time of the fork.
RUNNER = r"""
import json, os, resource, signal, sys
limit, data, log, command = float(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4:]
child = os.fork()
if child == 0:
    os.setsid()
    null, out = os.open(os.devnull, os.O_RDWR), os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(null, 0); os.dup2(null, 1); os.dup2(out, 2)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if data:
        resource.setrlimit(resource.RLIMIT_DATA, (data, data))
    try:
        os.execvp(command[0], command)
    except OSError as error:
        os.write(2, str(error).encode())
        os._exit(127)
timed_out = []
def stop(*_):
    timed_out.append(True)
    os.killpg(child, signal.SIGKILL)
signal.signal(signal.SIGALRM, stop)
signal.setitimer(signal.ITIMER_REAL, limit)
_, status, usage = os.wait4(child, 0)
signal.setitimer(signal.ITIMER_REAL, 0)
print(json.dumps({"code": os.waitstatus_to_exitcode(status), "peak": usage.ru_maxrss * 1024, "slow": bool(timed_out)}))
"""


class Mutator:
    """Makes one damaged version of `head`, the part of the file that holds the metadata."""

    def __init__(self, kind, layout, rng, resizable):
        self.kind, self.layout, self.rng, self.resizable = kind, layout, rng, resizable

    def mutate(self, head):
        """Returns (what was done, the damaged head, the length to cut the file to or None)."""
        text = self.kind in ("tokenizer", "mlir", "safetensors")
        ways = [self.flip, self.flip, self.extreme, self.splice, self.truncate]
        ways += [self.field] * 5 if self.layout.fields else []
        ways += [self.number, self.number, self.value, self.piece, self.twin, self.drop] if text else []
        way = self.rng.choice(ways)
        data, cut = bytearray(head), None
        if way == self.truncate:
            cut = self.truncate(data)
        else:
            for _ in range(self.rng.choice([1, 1, 1, 2, 4])):
                way(data)
        if not self.resizable:
            data = (data + head[len(data):])[:len(head)]
        if self.kind == "safetensors" and len(data) != len(head) and self.rng.random() < 0.8:
            length = self.layout.metadata_bytes - 8 + len(data) - len(head)
            data[:8] = max(0, length).to_bytes(8, "little")  # so that the damage is reached
        return way.__name__, bytes(data), cut

    def place(self, data):
        end = min(len(data), self.layout.metadata_bytes) if self.rng.random() < 0.9 else len(data)
        return self.rng.randrange(max(1, end))

    def flip(self, data):
        for _ in range(self.rng.choice([1, 2, 8, 32])):
            if data:
                data[self.place(data)] ^= 1 << self.rng.randrange(8) if self.rng.random() < 0.5 else self.rng.randrange(256)

    def extreme(self, data):
        width, at = self.rng.choice([1, 2, 4, 8]), self.place(data)
        value = self.rng.choice(EXTREMES) % (1 << 8 * width)
        data[at:at + width] = value.to_bytes(width, "little")[:max(0, len(data) - at)]

    def field(self, data):
        """Writes a length, count, type, dimension or offset of the format."""
        at, width = self.rng.choice(self.layout.fields)
        old = int.from_bytes(data[at:at + width], "little")
        value = self.rng.choice(EXTREMES + [old + 1, old - 1, old * 2, old // 2, len(data), len(data) - at, old ^ 0xFF])
        data[at:at + width] = (value % (1 << 8 * width)).to_bytes(width, "little")

    def splice(self, data):
        """Copies a stretch over, into, or out of another place."""
        source, length = self.place(data), self.rng.choice([1, 4, 8, 24, 100, 1000])
        target, stretch = self.place(data), data[source:source + length]
        how = self.rng.choice(["over", "into", "out"])
        if how == "over":
            data[target:target + len(stretch)] = stretch[:max(0, len(data) - target)]
        elif how == "into":
            data[target:target] = stretch * self.rng.choice([1, 1, 10])
        else:
            del data[target:target + length]

    def truncate(self, data):
        return self.rng.randrange(len(data) + 1) if self.rng.random() < 0.3 else self.place(data)

    def span(self, data):
        """The text of a safetensors file is its header alone."""
        return (8, min(len(data), self.layout.metadata_bytes)) if self.kind == "safetensors" else (0, len(data))

    def replace_match(self, data, pattern, texts):
        start, end = self.span(data)
        window = self.rng.randrange(start, max(start + 1, end))
        window = max(start, window - 200)
        match = re.compile(pattern).search(data, window, end) or re.compile(pattern).search(data, start, end)
        if match:
            data[match.start():match.end()] = self.rng.choice(texts).encode("latin-1")

    def number(self, data):
        self.replace_match(data, rb"-?\d+(\.\d+)?", TEXT_NUMBERS)

    def value(self, data):
        pattern = self.rng.choice([rb'"[^"]*"', rb"\[[^\[\]]*\]", rb"\{[^{}]*\}", rb"\b(true|false|null)\b", rb"[A-Za-z_]+"])
        self.replace_match(data, pattern, TEXT_VALUES)

    def piece(self, data):
        start, end = self.span(data)
        at = self.rng.randrange(start, max(start + 1, end))
        data[at:at] = self.rng.choice(TEXT_PIECES["mlir" if self.kind == "mlir" else "json"]).encode("latin-1")

    def twin(self, data):
        """Repeats an entry: a duplicate key, or a line of IR."""
        start, end = self.span(data)
        pattern = rb"[^\n]*\n" if self.kind == "mlir" else rb'"[^"]*"\s*:\s*("[^"]*"|[0-9.]+|\{[^{}]*\}|\[[^\[\]]*\])\s*,'
        match = re.compile(pattern).search(data, self.rng.randrange(start, max(start + 1, end)), end)
        if match:
            data[match.start():match.start()] = match.group(0)

    def drop(self, data):
        pattern = self.rng.choice([rb"[^\n]*\n", rb'"[^"]*"\s*:\s*("[^"]*"|[0-9.]+)\s*,?', rb"[{}\[\]<>(),:%@\"]"])
        start, end = self.span(data)
        match = re.compile(pattern).search(data, self.rng.randrange(start, max(start + 1, end)), end)
        if match:
            del data[match.start():match.end()]


class Victim:
    """The copy that is damaged and mended again; large files are not copied anew for each run."""

    WHOLE = 16 << 20  # files up to this size may change their length anywhere

    def __init__(self, args, layout, folder):
        self.original, self.size = args.file, os.path.getsize(args.file)
        self.resizable = self.size <= self.WHOLE
        self.head_bytes = self.size if self.resizable else layout.metadata_bytes
        with open(args.file, "rb") as file:
            self.head = file.read(self.head_bytes)
        if args.dir_template:
            self.argument = os.path.join(folder, "model")
            shutil.copytree(args.dir_template, self.argument, copy_function=link_or_copy)
            self.path = os.path.join(self.argument, os.path.relpath(args.file, args.dir_template))
        else:
            self.argument = self.path = os.path.join(folder, os.path.basename(args.file))
        self.mend()

    def mend(self):
        if os.path.exists(self.path):
            os.unlink(self.path)  # it may be a link to the original
        shutil.copyfile(self.original, self.path)

    def empty(self):
        os.unlink(self.path)
        open(self.path, "wb").close()

    def damage(self, head, cut):
        with open(self.path, "r+b") as file:
            file.write(head)
            if self.resizable:
                file.truncate(len(head))
            if cut is not None:
                file.truncate(min(cut, self.size))

    def undo(self):
        if os.path.getsize(self.path) != self.size and not self.resizable:
            self.mend()
        else:
            self.damage(self.head, None)


def link_or_copy(source, target):
    try:
        os.link(os.path.realpath(source), target)
    except OSError:
        shutil.copyfile(source, target)


def run(command, argument, args, log):
    words = [word.replace("{}", argument) for word in command]
    done = subprocess.run([sys.executable, "-I", "-S", "-c", RUNNER, str(args.timeout), str(args.data_limit << 20), log] + words,
                          stdout=subprocess.PIPE, check=True)
    result = json.loads(done.stdout)
    with open(log, "rb") as file:
        result["stderr"] = file.read(4000).decode("utf-8", "replace").strip()
    return result


def complaint(result, limit):
    """Why a run is not to be borne, or None."""
    if result["slow"]:
        return "ran too long"
    if result["code"] < 0:
        return f"killed by signal {-result['code']}"
    if result["code"] not in ALLOWED_STATUS:
        return f"exit status {result['code']}"
    if result["code"] != 0 and not result["stderr"]:
        return f"exit status {result['code']} without a message"
    if result["peak"] > limit:
        return f"peak memory {result['peak'] >> 20} MB, limit {limit >> 20} MB"
    return None


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=400)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kind", choices=["gguf", "safetensors", "tokenizer", "mlir"], required=True)
    parser.add_argument("--file", required=True)
    parser.add_argument("--dir-template", help="copy this directory, which holds FILE, and pass the copy")
    parser.add_argument("--only", type=int, help="run this one mutation, and print what the command said")
    parser.add_argument("--keep", help="folder for files that failed (default: a new one beside the temporary files)")
    parser.add_argument("--timeout", type=float, default=10.0, help="seconds per run")
    parser.add_argument("--data-limit", type=int, default=8192,
                        help="MB of private memory after which a run is stopped; 0 for none, as sanitizers need")
    parser.add_argument("--tensor-bytes", type=int, help="bytes of the tensors (default: the file's, without metadata)")
    parser.add_argument("command", nargs="+", metavar="CMD")
    args = parser.parse_args()
    if not any("{}" in word for word in args.command):
        parser.error("CMD needs {} where the file goes")
    return args


def keep(victim, args, number, what):
    args.keep = args.keep or tempfile.mkdtemp(prefix="llmc-hostile-failed-")
    os.makedirs(args.keep, exist_ok=True)
    name = os.path.join(args.keep, f"{args.kind}-{args.seed}-{number}-{what}")
    if os.path.getsize(victim.path) <= Victim.WHOLE:
        shutil.copyfile(victim.path, name)
        return name
    return f"--seed {args.seed} --only {number}"


def main():
    args = parse_arguments()
    layout = layouts.read(args.kind, args.file)
    tensor_bytes = args.tensor_bytes
    if tensor_bytes is None:
        tensor_bytes = os.path.getsize(args.file) - layout.metadata_bytes
    passed = failed = 0
    statuses = {}
    with tempfile.TemporaryDirectory(prefix="llmc-hostile-") as folder:
        victim, log = Victim(args, layout, folder), os.path.join(folder, "stderr")
        good = run(args.command, victim.argument, args, log)
        if good["code"] != 0:
            print(f"the undamaged file fails: exit status {good['code']}: {good['stderr']}")
            print("0 passed, 1 failed")
            return 1
        victim.empty()
        baseline = run(args.command, victim.argument, args, log)["peak"]
        victim.mend()
        for number in range(args.count) if args.only is None else [args.only]:
            mutator = Mutator(args.kind, layout, random.Random(f"{args.seed}/{number}"), victim.resizable)
            what, head, cut = mutator.mutate(victim.head)
            victim.damage(head, cut)
            result = run(args.command, victim.argument, args, log)
            metadata = max(layout.metadata_bytes, layout.metadata_bytes + len(head) - len(victim.head))
            why = complaint(result, baseline + 16 * metadata + (64 << 20) + tensor_bytes)
            statuses[result["code"]] = statuses.get(result["code"], 0) + 1
            if why:
                failed += 1
                print(f"FAIL {number} ({what}): {why}; kept: {keep(victim, args, number, what)}")
                print("     " + result["stderr"][:300].replace("\n", "\n     "))
            else:
                passed += 1
            if args.only is not None:
                print(f"{what}: exit status {result['code']}, peak {result['peak'] >> 20} MB\n{result['stderr']}")
            victim.undo()
    shown = ", ".join(f"{count} x {code}" for code, count in sorted(statuses.items()))
    print(f"{args.kind}: exit statuses {shown}; baseline {baseline >> 20} MB, metadata {layout.metadata_bytes} bytes")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
