#!/usr/bin/env bash
# clang-format and unique names of types on all our files, clang-tidy on those that differ from a base commit (default: the parent of HEAD, or the
# remote's main when there is one). Uses the compile commands of build/release.
#   scripts/lint.sh [BASE]
set -euo pipefail
cd "$(dirname "$0")/.."

git ls-files '*.cc' '*.h' | xargs clang-format-14 --dry-run --Werror
echo "format: ok"
python3 scripts/check_type_names.py
echo "names of types: ok"

base=${1:-}
if [ -z "$base" ]; then
  base=$(git merge-base HEAD origin/main 2>/dev/null || true)
  if [ -z "$base" ] || [ "$base" = "$(git rev-parse HEAD)" ]; then base=$(git rev-parse -q --verify HEAD~1 || true); fi
fi
# Without any base every file counts as changed.
if [ -n "$base" ]; then changed=$(git diff --name-only --diff-filter=AMR "$base" -- '*.cc'); else changed=$(git ls-files '*.cc'); fi
[ -n "$changed" ] || { echo "tidy: no file changed since $base"; exit 0; }
# A file that this machine's build leaves out (a fuzz target under gcc, say) has no compile command.
known=$(python3 -c "import json,os; print('\n'.join(os.path.relpath(e['file']) for e in json.load(open('build/release/compile_commands.json'))))")
files=$(comm -12 <(sort <<<"$changed") <(sort <<<"$known"))
[ -n "$files" ] || { echo "tidy: nothing to check"; exit 0; }
# The precompiled header is gcc's, which clang cannot read; clang-tidy gets commands that read the plain header instead.
mkdir -p build/tidy
python3 - <<'EOF'
import json, re
commands = json.load(open("build/release/compile_commands.json"))
for entry in commands:
    # "-include .../cmake_pch.hxx" would find the .gch beside it.
    entry["command"] = re.sub(r"-Winvalid-pch |-fpch-preprocess |-include \S+/cmake_pch\.hxx ", "", entry["command"])
json.dump(commands, open("build/tidy/compile_commands.json", "w"))
EOF
xargs -P "$(nproc)" -n 4 clang-tidy-14 -p build/tidy --quiet --extra-arg=-Wno-unknown-warning-option <<<"$files"
echo "tidy: ok"
