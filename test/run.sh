#!/usr/bin/env bash
# Every test of llmc, from a fresh clone: installs what is missing, builds, runs, and ends with `N passed, N failed`.
#
#   test/run.sh [--full] [--only SUITE,...] [--jobs N] [--no-install] [--build-root DIR]
#
# Suites, in order:
#   build        compiler and runtime, Release, into build/
#   runtime      the runtime alone into build-runtime/, with no LLVM in any include path
#   unit         GoogleTests
#   lit          IR in, IR out
#   golden       one small model a family against Hugging Face transformers
#   lowerings    interpreter, portable and vector code against the same logits; every GGUF format
#   road         import, compile, just in time, library, llmc-run and errors on tiny-llama
#   tiles        the same on matrix tiles, emulated where the CPU has none
#   gpu          code for NVIDIA GPUs: assembled, and run by an emulator; the runtime on a stand-in for the driver
#   scale        code does not grow with depth, nor memory with weights (--full: a 1B model's file)
#   state        sequences roll back, fork, and are kept, for attention, recurrences and hybrids, through the C ABI
#   models       the demonstration models: answers, perplexity and stories as their cards say
#   quantize     the demonstration models quantised: divergence from their source, threads, refusals
#   caches       8-bit attention caches: divergence, sequences that go back, fork and are kept, sessions, refusals
#   gemma        Gemma 3 270M against llama.cpp's numbers, and prompt lookup's speed (skipped where PyPI can't be reached)
#   hostile      damaged model files (40 of each kind; --full: 400)
#   sanitizers   the core under ASan and UBSan, its tests and fuzzers (5 s each; --full: 60 s)
#   benchmark    test/benchmark/compare without peers, and test/benchmark/ledger, quick
#   examples     each example as a user runs it
#   docs         the how-tos, run; generated pages, checked for freshness
#   conformance  with --full only: three seeds of every supported family, every lowering
set -uo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../examples/common.sh"

allSuites=(build runtime unit lit golden lowerings road tiles gpu scale state models quantize caches gemma hostile sanitizers benchmark examples docs conformance)
full=no only= jobs=$(nproc) install=yes root=$repoDir
while [ $# -gt 0 ]; do
  case $1 in
    --full) full=yes ;;
    --no-install) install=no ;;
    --only | --jobs | --build-root)
      [ $# -ge 2 ] || die "$1 wants a value (see --help)"
      case $1 in --only) only=$2 ;; --jobs) jobs=$2 ;; --build-root) root=$(realpath -m "$2") ;; esac
      shift ;;
    -h | --help) sed -n '2,27s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; exit 0 ;;
    *) die "unknown option '$1' (see --help)" ;;
  esac
  shift
done
for suite in ${only//,/ }; do
  [[ " ${allSuites[*]} " == *" $suite "* ]] || die "no suite '$suite'; there are: ${allSuites[*]}"
done

cd "$repoDir" || exit 1
build=$root/build runtimeBuild=$root/build-runtime asanBuild=$root/build-asan
results=$build/test-results
rm -rf "$results"
mkdir -p "$results"
python=$venvDir/bin/python
passed=0 failed=0 skipped=0 summary=()

# count SUITE PASSED FAILED SKIPPED: adds to the totals.
count() {
  passed=$((passed + $2)) failed=$((failed + $3)) skipped=$((skipped + $4))
  summary+=("$(printf '%-12s %5d passed %3d failed %3d skipped   (%d s)' "$1" "$2" "$3" "$4" $((SECONDS - suiteStart)))")
  printf '%s\n' "${summary[-1]}"
}

# check NAME COMMAND...: one test that is a command; its output is shown when it fails. Adds to $ok and $bad.
check() {
  local name=$1 log
  shift
  log=$results/$(printf '%s' "$suite-$name" | tr -c 'A-Za-z0-9-' _).log
  if "$@" >"$log" 2>&1; then
    ok=$((ok + 1))
    printf 'ok    %s\n' "$name"
  else
    bad=$((bad + 1))
    printf 'FAIL  %s\n' "$name"
    tail -n 25 "$log" | sed 's/^/      /'
  fi
}

# lastLine COMMAND...: a suite that ends with `N passed, N failed[, N skipped]` itself.
lastLine() {
  local log=$results/$suite.log line
  "$@" 2>&1 | tee "$log"
  line=$(tail -n 1 "$log")
  if [[ $line =~ ^([0-9]+)\ passed,\ ([0-9]+)\ failed(,\ ([0-9]+)\ skipped)?$ ]]; then
    ok=$((ok + BASH_REMATCH[1])) bad=$((bad + BASH_REMATCH[2])) missed=$((missed + ${BASH_REMATCH[4]:-0}))
  else
    printf 'FAIL  %s ended with: %s\n' "$suite" "$line"
    bad=$((bad + 1))
  fi
}

configureAndBuild() { # PRESET DIR
  local extra=()
  [ "$1" != release ] || mapfile -t extra < <(configureArgs)
  cmake -S "$repoDir" -B "$2" --preset "$1" "${extra[@]}" && cmake --build "$2" -j "$jobs"
}

# ctestOf NAME DIR: the GoogleTests of one build, counted by their cases.
ctestOf() {
  local xml=$results/$1-gtest junit=$results/$1-ctest.xml counts
  mkdir -p "$xml"
  GTEST_OUTPUT="xml:$xml/" ctest --test-dir "$2" -j "$jobs" --timeout 600 --output-on-failure --no-tests=error \
    --output-junit "$junit" >"$results/$1-ctest.log" 2>&1 || grep -vE '^ *(Start|[0-9]+/[0-9]+ Test.*Passed)' "$results/$1-ctest.log" | tail -n 60
  counts=$("$python" test/tally.py ctest "$junit" "$xml") || counts="0 1 0"
  addCounts $counts
}

addCounts() { ok=$((ok + $1)) bad=$((bad + $2)) missed=$((missed + $3)); }

noLlvmIn() { # DIR: neither its compile commands nor any header that was read
  if grep -oE '[^ "]*/llvm-[0-9]+/include' "$1/compile_commands.json" | sort -u | grep .; then return 1; fi
  if ninja -C "$1" -t deps | grep -E '/include/(llvm|mlir|llvm-c|mlir-c|lld)/' | sort -u | head -n 5 | grep .; then return 1; fi
  local folder
  for folder in dialects passes compiler frontends; do
    if ninja -C "$1" -t deps | grep -F "$repoDir/$folder/" | sort -u | head -n 5 | grep .; then return 1; fi
  done
  local needs
  needs=$(ldd "$1/bin/llmc-run") || return 1
  if grep -iE 'llvm|mlir' <<<"$needs"; then return 1; fi
}

suite_build() {
  check "configure and build (Release)" configureAndBuild release "$build"
  if [ $bad -ne 0 ]; then
    count build $ok $bad 0
    finish
  fi
}

suite_runtime() {
  check "configure and build (runtime alone)" configureAndBuild runtime "$runtimeBuild"
  check "no LLVM on the include path, in a header read, or linked" noLlvmIn "$runtimeBuild"
}

suite_unit() {
  ctestOf unit "$build"
  check "each decoding strategy has tests that pass (docs/status.md)" "$python" test/conformance/decoding_check.py --build "$build"
}

suite_lit() {
  local counts
  timeout 1800 /usr/lib/llvm-22/bin/lit -sv -j "$jobs" --xunit-xml-output "$results/lit.xml" "$build/test"
  counts=$("$python" test/tally.py lit "$results/lit.xml") || counts="0 1 0"
  addCounts $counts
}

suite_golden() {
  lastLine "$python" test/conformance/hf_check.py test/e2e/golden --llmc "$build/bin/llmc" --ops logits,greedy,ppl,beam,chat
  lastLine "$python" test/conformance/hf_check.py test/e2e/golden_encoders --llmc "$build/bin/llmc"
}

suite_lowerings() { lastLine "$python" test/e2e/lowering_check.py --bin "$build/bin"; }

suite_road() { lastLine "$python" test/e2e/road_check.py --bin "$build/bin"; }

suite_tiles() { lastLine "$python" test/e2e/tiles_check.py --bin "$build/bin"; }

suite_gpu() {
  local models=tiny-llama
  [ $full = no ] || models=tiny-llama,tiny-bamba,tiny-mixtral,tiny-mamba2
  lastLine "$python" test/gpu/code_check.py --bin "$build/bin"
  lastLine bash test/gpu/fake_check.sh --build "$build" --only $models
}

suite_scale() {
  local options=()
  if [ $full = yes ]; then
    "$python" -c 'import gguf' 2>/dev/null || ourPip install gguf || warn "gguf could not be fetched; the 1B file is not made"
    options=(--full)
  fi
  lastLine "$python" test/e2e/scale_check.py --bin "$build/bin" "${options[@]}"
}

suite_state() { lastLine "$python" test/e2e/state_check.py --bin "$build/bin"; }

suite_models() { lastLine "$python" test/e2e/models_check.py --bin "$build/bin"; }

suite_quantize() { lastLine "$python" test/e2e/quantize_check.py --bin "$build/bin"; }

suite_caches() { lastLine "$python" test/e2e/caches_check.py --bin "$build/bin"; }

suite_gemma() {
  local model
  if model=$(examples/get-gemma.sh); then
    local options=()
    [ $full = no ] || options=(--full)
    lastLine "$python" test/e2e/gemma_check.py --llmc "$build/bin/llmc" --model "$model" "${options[@]}"
    lastLine "$python" test/e2e/lookup_check.py --llmc "$build/bin/llmc" --model "$model"
  else
    printf 'skipped: Gemma could not be fetched\n'
    missed=1
  fi
}

# damaged KIND FILE TEMPLATE COMMAND...: TEMPLATE is the folder that holds FILE, or empty
damaged() {
  local kind=$1 file=$2 template=() count=40
  [ -z "$3" ] || template=(--dir-template "$3")
  shift 3
  [ $full = no ] || count=400
  printf '%s:\n' "$kind"
  lastLine "$python" test/hostile/mutate.py --count $count --seed 1 --kind "$kind" --file "$file" "${template[@]}" -- "$@"
}

suite_hostile() {
  local golden=test/e2e/golden work=$results/hostile
  lastLine "$python" test/hostile/mutate_test.py
  damaged gguf test/e2e/golden_gguf/llama.gguf "" "$build/bin/llmc" inspect {}
  damaged safetensors $golden/qwen3/model.safetensors $golden/qwen3 "$build/bin/llmc" inspect {}
  damaged tokenizer $golden/gemma3_text/tokenizer.json $golden/gemma3_text "$build/bin/llmc" tokenize {} hello
  damaged tokenizer $golden/gpt2/tokenizer.json $golden/gpt2 "$build/bin/llmc" tokenize {} hello
  cp -r $golden/qwen3 "$work"
  if "$build/bin/llmc" import "$work" -o "$work/model.mlir"; then
    damaged mlir "$work/model.mlir" "$work" "$build/bin/llmc" compile {}/model.mlir -o "$results/damaged.so"
  else
    bad=$((bad + 1))
  fi
}

suite_sanitizers() {
  check "configure and build (ASan, UBSan, fuzzers)" configureAndBuild asan "$asanBuild"
  ctestOf sanitizers "$asanBuild"
  local fuzzer seconds=5
  [ $full = no ] || seconds=60
  for fuzzer in "$asanBuild"/fuzz/* "$build"/fuzz/*; do
    [ -x "$fuzzer" ] || continue
    check "fuzz $(basename "$fuzzer") for $seconds s" fuzz "$fuzzer" $seconds
  done
}

fuzz() { # FUZZER SECONDS: starts from the seeds beside it in the tree, if there are any
  local name seeds=() corpus=$results/corpus-$(basename "$1")
  name=$(basename "$1")
  mkdir -p "$corpus"
  [ ! -d "test/hostile/seeds/$name" ] || seeds=("test/hostile/seeds/$name")
  [ "$name" != TemplateFuzz ] || seeds=(test/conformance/chat/templates test/conformance/chat/conversations)
  "$1" -max_total_time="$2" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 -artifact_prefix="$results/$name-" "$corpus" "${seeds[@]}"
}

suite_benchmark() {
  lastLine "$python" test/benchmark/compare_test.py --bin "$build/bin"
  lastLine "$python" test/benchmark/ledger_test.py --bin "$build/bin"
}

suite_examples() {
  check "quickstart on tiny-llama" examples/quickstart.sh --offline --build-dir "$build" --tokens 16
  local example
  for example in examples/*/run.sh; do
    [ ! -f "$example" ] || check "$(dirname "$example")" bash "$example" "$build"
  done
}

suite_docs() {
  local page
  for page in docs/howto/*.md; do
    check "$page" "$python" test/run_howto.py "$page" --build "$build"
  done
}

suite_conformance() {
  [ $full = yes ] || return 0
  lastLine bash -c 'test/conformance/run.sh --llmc "$1" --lowerings --results "$2" | tee "$2.log"
    grep -E "^[0-9]+ passed, " "$2.log" | awk "{p += \$1; f += \$3} END {print p \" passed, \" f \" failed\"}"' _ "$build/bin/llmc" "$results/conformance"
  check "chat templates' goldens are what transformers makes" "$cacheDir/venv-hf/bin/python" test/conformance/chat/make_goldens.py --check
  lastLine "$cacheDir/venv-hf/bin/python" test/conformance/chat/mutate.py --render "$build/unittests/RenderBatchMain"
}

finish() {
  printf '\n'
  printf '%s\n' "${summary[@]}"
  if [ $skipped -gt 0 ]; then
    printf '%d passed, %d failed, %d skipped\n' $passed $failed $skipped
  else
    printf '%d passed, %d failed\n' $passed $failed
  fi
  [ $failed -eq 0 ] && [ $passed -gt 0 ]
  exit
}

if [ $install = yes ]; then
  examples/install.sh --cuda || { printf '0 passed, 1 failed\n'; exit 1; }
fi
for suite in "${allSuites[@]}"; do
  if [ -n "$only" ] && [[ ",$only," != *",$suite,"* ]]; then continue; fi
  printf '\n== %s\n' "$suite"
  ok=0 bad=0 missed=0 suiteStart=$SECONDS
  "suite_$suite"
  if [ $((ok + bad + missed)) -gt 0 ]; then count "$suite" $ok $bad $missed; fi
done
finish
