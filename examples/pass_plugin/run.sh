#!/usr/bin/env bash
# Builds passes outside llmc's tree and loads them into llmc-opt: against the build tree, then against an installation.
#
#   examples/pass_plugin/run.sh [BUILD_DIR]
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
build=$(realpath "${1:-$here/../../build}")
[ -f "$build/llmcConfig.cmake" ] || { echo "$build: holds no llmcConfig.cmake; build llmc there first" >&2; exit 1; }
export PATH=/usr/lib/llvm-22/bin:$PATH CXX=${CXX:-clang++} CC=${CC:-clang}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# tryPlugin NAME PACKAGE BIN: configures against PACKAGE and runs BIN/llmc-opt, before and after fusion.
tryPlugin() {
  cmake -S "$here" -B "$work/$1" -G Ninja "-Dllmc_DIR=$2" >"$work/$1.log" || { cat "$work/$1.log"; return 1; }
  cmake --build "$work/$1" >"$work/$1.log" || { cat "$work/$1.log"; return 1; }
  local phases
  for phases in "" "llm-simplify-pipeline,llm-fuse-pipeline,"; do
    "$3/llmc-opt" "--load-pass-plugin=$work/$1/CountWeightBytes.so" --mlir-pass-statistics "$here/block.mlir" \
      "--pass-pipeline=builtin.module(${phases}count-weight-bytes)" >"$work/out.mlir" 2>"$work/counts" || { cat "$work/counts"; return 1; }
    cat "$work/counts" "$work/out.mlir" | FileCheck "$here/block.mlir"
  done
  "$3/llmc-opt" "--load-pass-plugin=$work/$1/NeighbouringTiles.so" --mlir-pass-statistics "$here/phase.mlir" \
    "--pass-pipeline=builtin.module(func.func(neighbouring-tiles))" >"$work/out.mlir" 2>"$work/counts" || { cat "$work/counts"; return 1; }
  cat "$work/counts" "$work/out.mlir" | FileCheck "$here/phase.mlir"
  echo "count-weight-bytes and neighbouring-tiles work with $1"
}

tryPlugin build-tree "$build" "$build/bin"
cmake --install "$build" --prefix "$work/prefix" >"$work/install.log" || { cat "$work/install.log"; exit 1; }
tryPlugin installation "$(dirname "$(find "$work/prefix" -name llmcConfig.cmake)")" "$work/prefix/bin"
