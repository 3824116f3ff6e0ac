#!/usr/bin/env bash
# Runs the benchmarks of tests/bench/ one after the other; docs/performance.md keeps what was measured.
#   scripts/bench.sh [FOLDER WITH PROGRAMS]
set -euo pipefail
cd "$(dirname "$0")/.."
programs=${1:-build/release/bin}
for bench in "$programs"/*_bench; do
  printf '\n== %s\n' "$(basename "$bench")"
  "$bench"
done
