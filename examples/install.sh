#!/usr/bin/env bash
# Installs what is missing to build and test llmc on Debian 12. Safe to run again: with everything there, it does nothing and
# needs no network.
#
#   examples/install.sh [--no-python] [--no-halide] [--cuda]
#
# Debian packages need root (or sudo); without, the command to run is printed. Python packages and Halide go to the cache
# (${XDG_CACHE_HOME:-$HOME/.cache}/llmc). Halide is optional: without it the build leaves its kernels out. --cuda: ptxas too, NVIDIA's
# assembler, unless there is one; libraries with code for GPUs then open faster, and the tests of that code need it.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

packages=(
  git unzip cmake ninja-build ccache mold gcc                  # build tools
  clang-22 lld-22 libclang-rt-22-dev                          # compiler, sanitizers, libFuzzer
  llvm-22-dev llvm-22-tools libmlir-22-dev mlir-22-tools liblld-22-dev
  libpcre2-dev libutf8proc-dev nlohmann-json3-dev             # runtime core
  libcli11-dev libabsl-dev                                    # tools
  libgtest-dev libgmock-dev
  python3 python3-venv python3-pip                            # test drivers, downloads
)

missingPackages() {
  local p
  for p in "${packages[@]}"; do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$p" 2>/dev/null)" = installed ] || printf '%s\n' "$p"
  done
}

installPackages() {
  local missing root=()
  command -v dpkg-query >/dev/null || die "this is not a Debian system; install by hand: ${packages[*]}"
  mapfile -t missing < <(missingPackages)
  if [ ${#missing[@]} -eq 0 ]; then
    say "packages: all ${#packages[@]} are installed"
    return
  fi
  say "packages: installing ${missing[*]}"
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || die "not root and no sudo; run as root: apt-get update && apt-get install ${missing[*]}"
    root=(sudo)
  fi
  export DEBIAN_FRONTEND=noninteractive
  "${root[@]}" apt-get update -qq || warn "apt-get update failed; trying with the lists that are there"
  "${root[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}" >"$cacheDir/apt.log" 2>&1 ||
    { tail -n 5 "$cacheDir/apt.log" >&2; die "apt-get could not install: ${missing[*]} (whole log: $cacheDir/apt.log)"; }
}

installPython() {
  if "$venvDir/bin/python" -c 'import numpy' 2>/dev/null; then
    say "python: numpy is in $venvDir"
  else
    say "python: installing numpy into $venvDir"
    ourPip install 'numpy>=1.26' || warn "numpy could not be fetched; tests that compare logits will fail"
  fi
}

installHalide() {
  if [ -f "$halideRoot/include/Halide.h" ]; then
    say "halide: $halideVersion is in $halideRoot"
    return
  fi
  say "halide: fetching $halideVersion (70 MB)"
  local wheels
  wheels=$(mktemp -d "$cacheDir/halide.XXXXXX")
  if ourPip download --no-deps --only-binary=:all: --python-version 3.11 --platform manylinux_2_28_x86_64 \
    -d "$wheels" "halide==$halideVersion" && unzip -q "$wheels"/*.whl -d "$wheels/tree"; then
    rm -rf "${halideRoot%/*}"
    mv "$wheels/tree" "${halideRoot%/*}"
  else
    warn "halide could not be fetched: the build goes on without its kernels (--kernels=halide)"
  fi
  rm -rf "$wheels"
}

# Polynomials replace libdevice, so the assembler is all of CUDA that is needed.
installCuda() {
  local found wheels
  if found=$(PATH=$PATH:/usr/local/cuda/bin:$cudaRoot/bin command -v ptxas); then
    say "cuda: ptxas is $found"
    return
  fi
  say "cuda: fetching ptxas $cudaVersion (40 MB)"
  wheels=$(mktemp -d "$cacheDir/cuda.XXXXXX")
  if ourPip download --no-deps --only-binary=:all: --python-version 3.11 --platform manylinux2010_x86_64 --platform manylinux_2_12_x86_64 \
    -d "$wheels" "nvidia-cuda-nvcc-cu12==$cudaVersion" && unzip -q "$wheels"/*.whl 'nvidia/cuda_nvcc/bin/ptxas' -d "$wheels/tree"; then
    chmod +x "$wheels/tree/nvidia/cuda_nvcc/bin/ptxas"
    rm -rf "${cudaRoot%/*/*}"
    mv "$wheels/tree" "${cudaRoot%/*/*}"
  else
    warn "ptxas could not be fetched: libraries hold GPU code as PTX alone, and tests that assemble it will fail"
  fi
  rm -rf "$wheels"
}

python=yes halide=yes cuda=no
for arg in "$@"; do
  case $arg in
    --no-python) python=no ;;
    --no-halide) halide=no ;;
    --cuda) cuda=yes ;;
    -h | --help) sed -n '2,9s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; exit 0 ;;
    *) die "unknown option '$arg' (see --help)" ;;
  esac
done
mkdir -p "$cacheDir"
installPackages
[ $python = no ] || installPython
[ $halide = no ] || installHalide
[ $cuda = no ] || installCuda
