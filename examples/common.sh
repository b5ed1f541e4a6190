# Sourced by the scripts of examples/ and test/: where things are kept, and how they speak.
#   cacheDir     what is downloaded or built once, outside the repository
#   venvDir      Python packages of ours (numpy), never the system's
#   halideRoot   the unpacked Halide wheel
#   cudaRoot     ptxas, where no toolkit is installed
repoDir=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cacheDir=${XDG_CACHE_HOME:-$HOME/.cache}/llmc
venvDir=$cacheDir/venv
halideVersion=21.0.0
halideRoot=$cacheDir/halide-$halideVersion/halide
cudaVersion=12.9.86
cudaRoot=$cacheDir/cuda/nvidia/cuda_nvcc

# Files that use the precompiled header are cached only if ccache may take the header's definitions on trust; clones at other paths
# share what does not use it.
export CCACHE_SLOPPINESS=${CCACHE_SLOPPINESS:-pch_defines,time_macros} CCACHE_BASEDIR=${CCACHE_BASEDIR:-$repoDir}

say() { printf '== %s\n' "$*"; }
warn() { printf '%s\n' "$*" >&2; }
die() {
  warn "error: $*"
  exit 1
}

# pip of our own environment; made on first use.
ourPip() {
  [ -x "$venvDir/bin/python" ] || python3 -m venv "$venvDir" || die "python3 -m venv $venvDir: no environment made; install python3-venv"
  "$venvDir/bin/python" -m pip --disable-pip-version-check --quiet --retries 2 --timeout 60 "$@"
}

# configureArgs: what every configuration of ours passes to cmake beside its preset.
configureArgs() {
  if [ -f "$halideRoot/include/Halide.h" ]; then
    printf '%s\n' "-DHALIDE_ROOT=$halideRoot"
  fi
}
