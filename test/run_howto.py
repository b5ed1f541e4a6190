#!/usr/bin/env python3
"""Runs a how-to page as its reader would, so that it can't go stale.

    run_howto.py PAGE.md --build BUILD_DIR

Fenced blocks, in order, in an empty folder:
  ```cpp file=Foo.cpp   is written to that file (any language)
  ```bash               is run (`set -eu`); $LLMC_SOURCE and $LLMC_BUILD are set, and $LLMC_BUILD/bin is on PATH
  ```cpp from=PATH      is an excerpt of the repository's PATH (a line `...` is a gap; white space does not count)
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
    """Every part of `body` between gaps stands in the file, one after the other; white space does not count."""
    bare = lambda text: "".join(text.split())
    text, begin = bare(open(path, encoding="utf-8").read()), 0
    for part in re.split(r"^[ \t]*\.\.\.[ \t]*$", body, flags=re.MULTILINE):
        found = text.find(bare(part), begin)
        if found < 0:
            return False
        begin = found + len(bare(part))
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
