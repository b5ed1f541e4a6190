#!/usr/bin/env bash
# Runs palm.mlir on random weights and compares its logits with those of the numpy reference.
#
#   examples/palm/run.sh [BUILD_DIR]
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$here/../common.sh"
build=${1:-$repoDir/build} tokens=3,1,4,1,5,9,2,6,5,3,5,8
python=$venvDir/bin/python
[ -x "$python" ] || die "no $python; examples/install.sh makes it"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$python" "$here/palm.py" write "$work"
"$build/bin/llmc" eval logits "$work/model.mlir" --exact --tokens $tokens -o "$work/logits.npy"
"$python" "$here/palm.py" compare "$work/logits.npy" $tokens
if "$python" "$here/palm.py" compare "$work/logits.npy" ${tokens%8}7 >/dev/null; then
  die "the logits of another text are taken for these"
fi
