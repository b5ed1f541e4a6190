#!/usr/bin/env bash
# Compiled models on this machine's GPU: right, and how fast. Needs the folder that make-artifacts.sh wrote, Python 3 and the GPU's driver; no
# compiler, no CUDA toolkit, no network.
#
#   FOLDER/run.sh [--device cuda:N] [--report FILE.md]
#
# Writes FOLDER/report.md: each check, then tokens a second beside the card's memory bandwidth. Exit status 0: all checks passed.
set -euo pipefail
folder=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
device=cuda report=$folder/report.md
while [ $# -gt 0 ]; do
  case $1 in
    --device | --report)
      [ $# -ge 2 ] || { echo "error: $1 wants a value (see --help)" >&2; exit 1; }
      case $1 in --device) device=$2 ;; --report) report=$2 ;; esac
      shift ;;
    -h | --help) sed -n '2,7s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; exit 0 ;;
    *) echo "error: unknown option '$1' (see --help)" >&2; exit 1 ;;
  esac
  shift
done
[ -f "$folder/index.json" ] || { echo "error: $folder holds no index.json: run test/gpu/make-artifacts.sh FOLDER where the compiler is, then FOLDER/run.sh here" >&2; exit 1; }
chmod +x "$folder/llmc-run"
for header in "$folder"/*.header; do
  [ -e "$header" ] && [ ! -e "${header%.header}.weights" ] || continue
  echo "making $(basename "${header%.header}").weights" >&2
  python3 "$folder/synthetic.py" weights "$header"
done
exec python3 "$folder/check.py" "$folder" --device "$device" --report "$report"
