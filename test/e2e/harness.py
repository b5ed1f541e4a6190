"""What the end-to-end checks share: running llmc, and counting checks. Standard library and numpy."""
import json
import os
import shlex
import subprocess
import tempfile
import time

import numpy as np


class Failure(Exception):
    """A check's reason to fail: one line."""


def want(condition, message):
    if not condition:
        raise Failure(message)


class Checks:
    """Runs checks one by one, prints a line for each, and keeps count."""

    def __init__(self):
        self.passed = self.failed = self.skipped = 0

    def run(self, name, function, *args):
        start = time.time()
        try:
            note = function(*args) or ""
            self.passed += 1
            print(f"ok    {name} ({time.time() - start:.1f} s) {note}", flush=True)
        except (Failure, OSError, ValueError, subprocess.TimeoutExpired) as e:
            self.failed += 1
            print(f"FAIL  {name}: {type(e).__name__ + ': ' if not isinstance(e, Failure) else ''}{e}", flush=True)

    def finish(self):
        print(f"{self.passed} passed, {self.failed} failed" + (f", {self.skipped} skipped" if self.skipped else ""))
        return 1 if self.failed or not self.passed else 0


class Llmc:
    """The command line as DESIGN.md section 9 fixes it. `work` is a folder for files that pass between calls."""

    def __init__(self, command, work):
        self.command, self.work = shlex.split(command), work

    def call(self, *args, status=0, timeout=600, stdin=None, cwd=None, env=None):
        """stdout (bytes). Fails unless the exit status is `status`."""
        argv = [*self.command, *map(str, args)]
        r = subprocess.run(argv, capture_output=True, timeout=timeout, input=stdin, cwd=cwd, env=env)
        lines = r.stderr.decode(errors="replace").strip().splitlines()
        want(r.returncode == status, f"llmc {' '.join(map(str, args[:2]))}: exit {r.returncode}, want {status}: "
                                     f"{lines[-1][:200] if lines else '(nothing on stderr)'}")
        self.stderr = lines
        return r.stdout

    def put(self, name, value):
        path = os.path.join(self.work, name)
        with open(path, "wb") as f:
            f.write(value if isinstance(value, bytes) else json.dumps(value).encode())
        return path

    def logits(self, model, ids, *options):
        """float32 [tokens, vocab]: the logits after each token."""
        out = tempfile.mktemp(suffix=".npy", dir=self.work)
        self.call("eval", "logits", model, "--tokens-file", self.put("ids.json", ids), "-o", out, *options)
        try:
            return np.load(out)
        finally:
            os.remove(out)

    def greedy(self, model, ids, count, *options):
        """The ids generated greedily."""
        text = self.call("run", model, "--tokens-file", self.put("ids.json", ids), "-n", count, "--temp", "0", "--ids",
                         *options).decode().strip()
        return [int(t) for t in text.split(",") if t]

    def perplexity(self, model, path, *options):
        line = self.call("eval", "perplexity", model, "-f", path, *options, timeout=3600).decode().strip().splitlines()[-1]
        want(line.startswith("perplexity: "), f"eval perplexity: last line '{line}', want 'perplexity: X'")
        return float(line.split()[1])


def same_bits(a, b, what):
    want(a.shape == b.shape, f"{what}: shapes {a.shape} and {b.shape}")
    want(np.array_equal(a.view(np.uint32), b.view(np.uint32)),
         f"{what}: {np.count_nonzero(a != b)} of {a.size} values differ, by at most {np.abs(a - b).max():.2e}")
