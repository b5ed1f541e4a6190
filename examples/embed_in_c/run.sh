#!/usr/bin/env bash
# Builds the program as a customer would and streams text: examples/embed_in_c/run.sh BUILD_DIR_OR_MODEL.so [PROMPT]
# With a build folder it compiles the small model of this repository first.
set -euo pipefail
[ $# -ge 1 ] || { echo "usage: run.sh BUILD_DIR_OR_MODEL.so [PROMPT]" >&2; exit 1; }
source=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
model=$(realpath "$1")
if [ -d "$model" ]; then
  "$model/bin/llmc" compile "$source/../models/tiny-llama" -o "$work/model.so" --embed-weights
  model=$work/model.so
fi
make -s -C "$work" -f "$source/Makefile" VPATH="$source" LLMC="$source/../.." story
text=$(cd "$work" && ./story "$model" "${2:-One windy evening}" | tee /dev/stderr)
[ -n "$text" ] || { echo "error: no text came" >&2; exit 1; }
