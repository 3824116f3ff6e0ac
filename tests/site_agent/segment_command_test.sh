#!/bin/sh
# tests/site_agent/segment_command_test.sh
# SPDX-License-Identifier: Apache-2.0
#
# segment_command_test.sh HEMAFED_TRAIN FOLDER: the program around segment: exit statuses, what it prints, going on.
set -eu
train=$1
folder=$2
rm -rf "$folder"
mkdir -p "$folder"

fail() {
  echo "segment_command_test: $1" >&2
  exit 1
}
expect() {  # status, words on either output, command line
  want=$1
  words=$2
  shift 2
  status=0
  "$train" "$@" >"$folder/said" 2>&1 || status=$?
  [ $status -eq "$want" ] || fail "'$*' ended with status $status, not $want: $(cat "$folder/said")"
  grep -q -- "$words" "$folder/said" || fail "'$*' did not say '$words': $(cat "$folder/said")"
}

"$train" smears "$folder/smears" --hospital matek-19 --pictures 4 >/dev/null
expect 0 "pictures, classical segmenter" segment "$folder/smears" "$folder/out"
for name in cells.csv report.txt report.json found.jsonl sheets; do
  [ -e "$folder/out/$name" ] || fail "$name is missing"
done
expect 0 "found by an earlier run" segment "$folder/smears" "$folder/out"
expect 0 "found by an earlier run" segment "$folder/smears" "$folder/out" --take-best
expect 13 "other settings: side was 128, is 64" segment "$folder/smears" "$folder/out" --side 64
expect 11 "within the folder of pictures" segment "$folder/smears" "$folder/smears/out"
mkdir "$folder/empty"
expect 11 "no file named like a picture" segment "$folder/empty" "$folder/out2"
echo text >"$folder/empty/a.png"
expect 11 "none of 1 pictures goes on" segment "$folder/empty" "$folder/out2"
grep -q "a.png: not a picture" "$folder/out2/report.txt" || fail "the report does not name the file that is no picture"
expect 12 "neither masks/ nor boxes.csv" score-finder "$folder/smears"
first=$(sed -n '2s/,.*//p' "$folder/smears/manifest.csv")
printf 'file,label,x0,y0,x1,y1\n%s,WBC,0,0,9999,10\n' "$first" >"$folder/smears/boxes.csv"
expect 11 "boxes.csv line 2" score-finder "$folder/smears"
printf 'file,label,x0,y0,x1,y1\n%s,WBC,1,1,60,60\n' "$first" >"$folder/smears/boxes.csv"
expect 0 "| smears | 1 | 1 |" score-finder --train "$folder/smears"
expect 0 "--take-best" segment --help
rm -rf "$folder"
