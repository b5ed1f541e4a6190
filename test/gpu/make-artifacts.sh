#!/usr/bin/env bash
# Compiles what test/gpu/run.sh needs on a machine with a GPU, into one folder of less than 64 MB. Runs where the compiler is.
#
#   test/gpu/make-artifacts.sh FOLDER [--build DIR] [--target cuda:sm_80] [--only NAME,...] [--modes exact,default] [--big]
#
# The demonstration models, exact and in the default mode, with code for CPUs and GPUs in one library each; llmc-run; and the scripts.
# --big: also models of 1B (bf16) and 8B (4 bits) shape, whose weights run.sh makes there; takes 25 GB of disk while it works.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../../examples/common.sh"
build=$repoDir/build target=cuda only=tiny-llama,tiny-mixtral,tiny-mamba2,tiny-bamba modes=exact,default big=no folder=
while [ $# -gt 0 ]; do
  case $1 in
    --big) big=yes ;;
    --build | --target | --only | --modes)
      [ $# -ge 2 ] || die "$1 wants a value (see --help)"
      case $1 in --build) build=$2 ;; --target) target=$2 ;; --only) only=$2 ;; --modes) modes=$2 ;; esac
      shift ;;
    -h | --help) sed -n '2,8s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; exit 0 ;;
    -*) die "unknown option '$1' (see --help)" ;;
    *) folder=$1 ;;
  esac
  shift
done
[ -n "$folder" ] || die "want a folder to write (see --help)"
here=$repoDir/test/gpu
build=$(realpath "$build")
mkdir -p "$folder"
cp "$build/bin/llmc-run" "$here/run.sh" "$here/check.py" "$here/synthetic.py" "$folder"
models=() bigs=()

# entry LIBRARY EXACT IDS: a line of index.json.
entry() {
  local name=${1%.so} bytes
  bytes=$("$build/bin/llmc" inspect "$folder/$1" --json | python3 -c 'import json, sys; print(json.load(sys.stdin)["weight_bytes"])')
  printf '{"name": "%s", "library": "%s", "exact": %s, "weight_bytes": %d, "ids": [%s]}' "$name" "$1" "$2" "$bytes" "$3"
}

for model in ${only//,/ }; do
  source=$repoDir/examples/models/$model
  ids=$("$build/bin/llmc" tokenize "$source" "Once upon a time there was a little girl who lived in a house near the forest. One windy evening she went out to look for her cat, and the cat was not there. She asked the owl, she asked the fox, and then she asked the moon. The moon said: look up into the tree." --ids | tr -d '[] \n')
  for mode in ${modes//,/ }; do
    options=(--target cpu --target "$target" --embed-weights --profile)
    [ $mode = default ] || options+=(--exact)
    say "$model, $mode"
    "$build/bin/llmc" compile "$source" -o "$folder/$model-$mode.so" "${options[@]}"
    models+=("$(entry "$model-$mode.so" "$([ $mode = exact ] && echo true || echo false)" "$ids")")
  done
done

# bigModel NAME SHAPE OPTIONS...
bigModel() {
  local name=$1 shape=$2 work
  shift 2
  work=$(mktemp -d "$folder/big.XXXXXX")
  say "$name"
  python3 "$here/synthetic.py" source "$shape" "$work"
  "$build/bin/llmc" compile "$work" -o "$folder/$name.so" --target cpu:generic --target "$target" --profile "$@"
  bigs+=("$(entry "$name.so" false 1 | sed 's/}$/, "prompt": 2048, "count": 128}/')")
  python3 "$here/synthetic.py" header "$folder/$name.weights"
  rm -r "$work"
}
if [ $big = yes ]; then
  bigModel llama-1b-bf16 llama-1b
  bigModel llama-8b-q4_0 llama-8b --quantize q4_0
fi

commit=$(git -C "$repoDir" describe --always --dirty 2>/dev/null || echo unknown)
join() { local IFS=,; echo "$*"; }
printf '{"commit": "%s", "models": [%s], "big": [%s]}\n' "$commit" "$(join "${models[@]}")" "$(join "${bigs[@]}")" >"$folder/index.json"
du -sh "$folder"
