#!/usr/bin/env python3
"""Runs a how-to page as its reader would, so that it can't go stale.

    run_howto.py PAGE.md --build BUILD_DIR

Fenced blocks, in order, in an empty folder:
  ```cpp file=Foo.cpp   is written to that file (any language)
  ```bash               is run (`set -eu`); $LLMC_SOURCE and $LLMC_BUILD are set, and $LLMC_BUILD/bin is on PATH
  ```cpp from=PATH      is an excerpt: its lines stand in the repository's PATH, in this order (a line `...` is a gap)
  ```text output        each of its lines must be in the output of the bash block before it, in this order
Other blocks are for reading only. A page must have at least one bash block. Standard library only.
"""
import argparse
import os
import re
import subprocess
import sys
import tempfile

BLOCK = re.compile(r"^```(\w+)[ \t]*([^\n]*)\n(.*?)^```[ \t]*$", re.MULTILINE | re.DOTALL)


def run(script, folder, env):
    r = subprocess.run(["bash", "-euo", "pipefail", "-c", script], cwd=folder, env=env, stdout=subprocess.PIPE,
                       stderr=subprocess.STDOUT, timeout=1200)
    return r.returncode, r.stdout.decode(errors="replace")


def missing_line(wanted, output):
    """The first line of `wanted` that `output` lacks after the lines before it, or None."""
    rest = iter(line.strip() for line in output.splitlines())
    return next((w for w in (x.strip() for x in wanted.splitlines()) if w and not any(w in line for line in rest)), None)


def is_excerpt(body, path):
    """Every part of `body` between gaps stands in the file, one after the other, indentation aside."""
    lines = [line.strip() for line in open(path, encoding="utf-8")]
    begin = 0
    for part in re.split(r"^[ \t/]*\.\.\.[ \t]*$", body, flags=re.MULTILINE):
        wanted = [line.strip() for line in part.strip().splitlines()]
        found = next((i for i in range(begin, len(lines)) if lines[i:i + len(wanted)] == wanted), None)
        if found is None:
            return False
        begin = found + len(wanted)
    return True


def follow(page, folder, env):
    ran, output = 0, ""
    for language, info, body in BLOCK.findall(open(page, encoding="utf-8").read()):
        if info.startswith("file="):
            path = os.path.join(folder, info[5:].strip())
            os.makedirs(os.path.dirname(path), exist_ok=True)
            open(path, "w", encoding="utf-8").write(body)
        elif info.startswith("from="):
            path = info[5:].strip()
            if not is_excerpt(body, os.path.join(env["LLMC_SOURCE"], path)):
                return f"this is not (any more) in {path}: {body.strip().splitlines()[0]}"
        elif language == "bash":
            status, output = run(body, folder, env)
            ran += 1
            print(f"$ {body.strip()}\n{output}")
            if status:
                return f"exit status {status} of: {body.strip().splitlines()[-1]}"
        elif language == "text" and info.strip() == "output":
            line = missing_line(body, output)
            if line is not None:
                return f"the output lacks the line: {line}"
    return None if ran else "no bash block: nothing was run"


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("page")
    ap.add_argument("--build", required=True)
    a = ap.parse_args()
    source = os.path.abspath(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
    build = os.path.abspath(a.build)
    env = dict(os.environ, LLMC_SOURCE=source, LLMC_BUILD=build,
               PATH=f"{build}/bin:/usr/lib/llvm-22/bin:{os.environ.get('PATH', '/usr/bin:/bin')}")
    with tempfile.TemporaryDirectory(prefix="howto-") as folder:
        trouble = follow(a.page, folder, env)
    if trouble:
        print(f"{a.page}: {trouble}", file=sys.stderr)
    return 1 if trouble else 0


if __name__ == "__main__":
    sys.exit(main())
