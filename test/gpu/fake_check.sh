#!/usr/bin/env bash
# run.sh's checks where there is no GPU: the runtime on a driver that is a fake (runtime/cuda/tests/FakeCuda.cpp), kernels on the emulator.
#
#   test/gpu/fake_check.sh [--build DIR] [--only MODEL,...]
#
# Also: what is said where there is no driver. Ends with `N passed, N failed[, N skipped]`.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../../examples/common.sh"
build=$repoDir/build only=tiny-llama
while [ $# -gt 0 ]; do
  [ $# -ge 2 ] || die "want an option and its value, got $1"
  case $1 in --build) build=$2 ;; --only) only=$2 ;; *) die "unknown option '$1'" ;; esac
  shift 2
done
build=$(realpath "$build")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# The emulator takes stacks for every launch: from memory that the process keeps.
export MALLOC_MMAP_THRESHOLD_=1000000000 MALLOC_TRIM_THRESHOLD_=1000000000
passed=0 failed=0 skipped=0

result() { # ok|FAIL NAME
  printf '%-5s %s\n' "$1" "$2"
  if [ "$1" = ok ]; then passed=$((passed + 1)); else failed=$((failed + 1)); fi
}

onFake() { # MODEL SETTINGS: the checks of check.py on a fake GPU
  local log=$work/$1.log line
  LD_LIBRARY_PATH=$build/test/gpu/fake LLMC_FAKE_CUDA_CODE=$work/$1/code.so LLMC_FAKE_CUDA=$2 \
    python3 "$work/$1/check.py" "$work/$1" --quick >"$log" 2>&1 || true
  sed "s/^- /  /; s/\$/ ($2)/" "$log" | grep -E '^  (ok|\*\*FAIL)' || tail -n 5 "$log"
  line=$(tail -n 1 "$log")
  if [[ $line =~ ^([0-9]+)\ passed,\ ([0-9]+)\ failed$ ]]; then
    passed=$((passed + BASH_REMATCH[1])) failed=$((failed + BASH_REMATCH[2]))
  else
    result FAIL "$1 on the fake GPU ($2)"
  fi
}

# refusal NAME STATUS WANTED COMMAND...: the command's exit status, and a line on its stderr
refusal() {
  local name=$1 status=$2 wanted=$3 got=0
  shift 3
  "$@" >"$work/out" 2>"$work/err" || got=$?
  if [ $got -eq "$status" ] && grep -qxF "$wanted" "$work/err"; then result ok "$name"; else
    sed 's/^/      /' "$work/err"
    result FAIL "$name (exit $got)"
  fi
}

for model in ${only//,/ }; do
  "$repoDir/test/gpu/make-artifacts.sh" "$work/$model" --build "$build" --only "$model" --modes exact --target cuda:sm_90 >/dev/null
  "$build/bin/llmc" compile "$repoDir/examples/models/$model" -o "$work/code.ll" --emit llvm --target cuda:sm_90 --exact
  "$build/test/gpu/gpu-emulate" "$work/code.ll" -o "$work/$model/code.so"
  onFake "$model" compute=9.0,sms=3,backwards=0
  onFake "$model" compute=12.0,sms=2,backwards=1,cooperative=1 # from PTX: the assembled code is another GPU's
done

library=$work/${only%%,*}/${only%%,*}-exact.so
run=("$build/bin/llmc-run" "$library" --tokens 1,2,3 -n 2 --temp 0)
onFakeGpu=(env "LD_LIBRARY_PATH=$build/test/gpu/fake")
if ldconfig -p 2>/dev/null | grep -q 'libcuda\.so\.1'; then
  echo "skip  what is said without a driver: this machine has one"
  skipped=$((skipped + 3))
else
  refusal "no driver: the CPU, and why" 0 "no GPU: libcuda.so.1 (the GPU's driver) is not installed; running on the CPU" "${run[@]}"
  refusal "no driver, but a GPU is wanted" 1 "error: device cuda: libcuda.so.1 (the GPU's driver) is not installed" "${run[@]}" --device cuda
  refusal "the same by LLMC_DEVICE" 1 "error: device cuda:1: libcuda.so.1 (the GPU's driver) is not installed" env LLMC_DEVICE=cuda:1 "${run[@]}"
fi
refusal "an old GPU" 3 "error: device cuda: GPU 0 (Fake 0) has compute capability 7.5: the model holds code for 9.0 and later" \
  "${onFakeGpu[@]}" LLMC_FAKE_CUDA=compute=7.5 "${run[@]}" --device cuda
refusal "a GPU that fails: the CPU, and why" 0 \
  "no GPU: cuDevicePrimaryCtxRetain: CUDA_ERROR_OUT_OF_MEMORY (out of memory): a smaller context (-c) or fewer slots take less; running on the CPU" \
  "${onFakeGpu[@]}" LLMC_FAKE_CUDA=fail=cuDevicePrimaryCtxRetain "${run[@]}"
refusal "a device that is none" 1 "error: device: want auto, cpu, cuda or cuda:N, the last two also with /graph or /persistent, got 'tpu'" "${run[@]}" --device tpu

if [ $skipped -gt 0 ]; then echo "$passed passed, $failed failed, $skipped skipped"; else echo "$passed passed, $failed failed"; fi
[ $failed -eq 0 ] && [ $passed -gt 0 ]
