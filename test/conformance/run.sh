#!/usr/bin/env bash
# Checks llmc against Hugging Face transformers on tiny random models: makes the cases (once a seed), then compares.
#
#   test/conformance/run.sh [--seeds 1,2,3] [--only CASES] [--ops OPS] [--llmc COMMAND] [--results DIR] [--all] [--lowerings]
#
# --only      names of hf_cases.py --list; by default the cases of the families in supported.txt; --all takes every case
# --ops       as hf_check.py's, by default logits,greedy,ppl,eos,beam,chat,encoder
# --lowerings also holds interpreter, portable and vector code to the same logits (test/e2e/lowering_check.py)
# --results   writes seed-N.json there, which status.py turns into docs/status.md
#
# The Python environment (torch, transformers: 1.2 GB) and the cases (30 s a seed) are made on first use, in the cache.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../../examples/common.sh"
here=$repoDir/test/conformance
environment=$cacheDir/venv-hf
packages=(transformers safetensors tokenizers sentencepiece gguf numpy filelock typing-extensions sympy networkx jinja2
  fsspec protobuf einops)

seeds=1,2,3 only=$(grep -v '^#' "$here/supported.txt" | paste -sd,) ops=logits,greedy,ppl,eos,beam,chat,encoder
llmc=$repoDir/build/bin/llmc results= lowerings=no
while [ $# -gt 0 ]; do
  case $1 in
    --all) only=; shift; continue ;;
    --lowerings) lowerings=yes; shift; continue ;;
    -h | --help) sed -n '2,12s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; exit 0 ;;
    --seeds | --only | --ops | --llmc | --results) [ $# -ge 2 ] || die "$1 wants a value (see --help)" ;;
    *) die "unknown option '$1' (see --help)" ;;
  esac
  case $1 in
    --seeds) seeds=$2 ;; --only) only=$2 ;; --ops) ops=$2 ;; --llmc) llmc=$2 ;; --results) results=$2 ;;
  esac
  shift 2
done

makeEnvironment() {
  [ ! -f "$environment/made" ] || return 0
  say "conformance: making $environment (torch, transformers)"
  rm -rf "$environment"
  python3 -m venv "$environment"
  local pip=("$environment/bin/python" -m pip --quiet --disable-pip-version-check install)
  "${pip[@]}" --no-deps torch
  "${pip[@]}" "${packages[@]}"
  bash "$here/torch_stubs.sh" "$environment" >/dev/null
  touch "$environment/made"
}

# Cases depend on their generators alone, so the folder's name holds the generators' hash.
casesDir=$cacheDir/cases/$(cat "$here"/hf_cases.py "$here"/hf_tok.py "$here"/hf_text.py | sha256sum | cut -c1-12)
makeCases() {
  local seed=$1 missing
  missing=$(for name in ${only//,/ }; do [ -f "$casesDir/seed-$seed/$name/reference.json" ] || echo "$name"; done | paste -sd,)
  if [ -n "$only" ] && [ -z "$missing" ]; then return 0; fi
  if [ -z "$only" ] && [ -f "$casesDir/seed-$seed/all" ]; then return 0; fi
  makeEnvironment
  say "conformance: making cases of seed $seed"
  "$environment/bin/python" "$here/hf_cases.py" --out "$casesDir/seed-$seed" --seed "$seed" --only "$missing" >"$casesDir-$seed.log" ||
    { grep FAIL "$casesDir-$seed.log" >&2; die "some cases could not be made (whole log: $casesDir-$seed.log)"; }
  [ -n "$only" ] || touch "$casesDir/seed-$seed/all"
}

# ggufCheck SCRIPT CASES ARGUMENT...: GGUF files written from this seed's cases, where all of them were asked for. Counts as one test.
ggufCheck() {
  local script=$1 name
  for name in ${2//,/ }; do
    [ -z "$only" ] || [[ ",$only," == *",$name,"* ]] || return 0
  done
  shift 2
  makeEnvironment # it has the package that writes GGUF
  say "conformance: seed $seed, $script"
  if "$environment/bin/python" "$here/$script" "$casesDir/seed-$seed" --llmc "$llmc" "$@"; then
    printf '1 passed, 0 failed\n'
  else
    printf '0 passed, 1 failed\n'
    status=1
  fi
}

mkdir -p "$casesDir" ${results:+"$results"}
status=0
for seed in ${seeds//,/ }; do
  makeCases "$seed"
  say "conformance: seed $seed"
  "$venvDir/bin/python" "$here/hf_check.py" "$casesDir/seed-$seed" --llmc "$llmc" --only "$only" --ops "$ops" \
    ${results:+--json "$results/seed-$seed.json"} || status=1
  ggufCheck ssm_gguf_check.py mamba,falcon_mamba,mamba2
  ggufCheck dense_gguf_check.py gpt_neox,gpt_neox_sequential,bloom,falcon_7b_like,falcon_40b_like,mpt,qwen2,gemma,gemma2,phi,phi3,phi3_longrope,stablelm,olmo,olmo2,cohere,starcoder2,granite,smollm3
  ggufCheck gguf_experts_check.py mixtral,qwen2_moe,olmoe,deepseek_v3,gpt_oss --only mixtral,qwen2_moe,olmoe,deepseek_v3,gpt_oss
  ggufCheck hybrid_gguf_check.py lfm2,granitemoehybrid,jamba,qwen3_next,nemotron_h \
    --only lfm2,granitemoehybrid,jamba,qwen3_next,nemotron_h
  [ $lowerings = no ] || "$venvDir/bin/python" "$here/../e2e/lowering_check.py" --bin "$(dirname "$llmc")" \
    --cases "$casesDir/seed-$seed" --only "$only" || status=1
done
exit $status
