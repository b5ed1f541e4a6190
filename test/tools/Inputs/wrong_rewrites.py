"""Runs llmc-equivalence with each pass of WrongRewrites.so: wrong_rewrites.py LLMC_EQUIVALENCE PLUGIN. Each must be caught, with a graph that shows it."""
import re
import subprocess
import sys

tool, plugin = sys.argv[1:]
names = re.findall(rb"wrong-[a-z]+-[a-z]+", open(plugin, "rb").read())
names = sorted({name.decode() for name in names} - {"wrong-rewrites"})
found = 0
for name in names:
    run = subprocess.run([tool, "--load-pass-plugin", plugin, "--pipeline", f"func.func({name})"], capture_output=True, text=True)
    caught = run.returncode == 2 and "the outputs differ by" in run.stdout and "// after" in run.stdout
    print(f"{name}: {'found' if caught else 'missed: ' + run.stdout[-200:] + run.stderr[-200:]}")
    found += caught
print(f"{found} of {len(names)} mistakes found")
