"""Runs a command and checks its exit status: exits.py STATUS COMMAND... (`not` accepts any failure)."""
import subprocess
import sys

status = subprocess.run(sys.argv[2:], stdin=subprocess.DEVNULL).returncode
if status != int(sys.argv[1]):
    sys.exit(f"exit status {status}, want {sys.argv[1]}")
