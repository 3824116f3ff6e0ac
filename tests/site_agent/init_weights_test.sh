#!/bin/sh
# tests/site_agent/init_weights_test.sh
# SPDX-License-Identifier: Apache-2.0
#
# init_weights_test.sh HEMAFED_TRAIN FOLDER: what `hemafed-train init-weights` writes for each normalisation, and refuses.
set -eu
train=$1
folder=$2
rm -rf "$folder"
mkdir -p "$folder"

fail() {
  echo "init_weights_test: $1" >&2
  exit 1
}

# ResNet files name their normalisation; all hold the same convolutions, so the digests differ by what the norm adds.
for normalisation in batch batch_local group group_ws; do
  file=$folder/$normalisation.safetensors
  printed=$("$train" init-weights "$file" --architecture resnet18 --seed 3 --normalisation $normalisation)
  [ "$printed" = "$(sha256sum "$file" | cut -d' ' -f1)" ] || fail "$normalisation: the digest is not that of the file"
  head -c 20000 "$file" | grep -aq "\"hemafed.normalisation\":\"$normalisation\"" || fail "$normalisation is not named"
  statistics=$(head -c 20000 "$file" | grep -ao 'bn1.running_mean' | head -n 1 || true)
  case $normalisation in
    batch*) [ -n "$statistics" ] || fail "$normalisation lacks running statistics" ;;
    *) [ -z "$statistics" ] || fail "$normalisation has running statistics" ;;
  esac
done
[ "$(cat "$folder"/*.safetensors | wc -c)" -gt 170000000 ] || fail "a ResNet-18 has 11 million float32 parameters"

# Without the option: what the architecture had before there was a choice.
small=$("$train" init-weights "$folder/small.safetensors" --architecture small_cnn --seed 3)
same=$("$train" init-weights "$folder/same.safetensors" --architecture small_cnn --seed 3 --normalisation group_ws)
[ "$small" = "$same" ] || fail "small_cnn is not group_ws unless told otherwise"

# Frozen statistics of random weights would never be those of any picture; 11 is invalid input (docs/codes/README.md).
for bad in batch_frozen layer; do
  status=0
  "$train" init-weights "$folder/bad.safetensors" --architecture resnet18 --normalisation $bad 2>"$folder/said" || status=$?
  [ $status -eq 11 ] || fail "$bad ended with status $status"
  grep -q "batch_frozen\|group_ws" "$folder/said" || fail "$bad: the message names no way out"
  [ ! -e "$folder/bad.safetensors" ] || fail "$bad left a file"
done
"$train" init-weights --help | grep -q -- --normalisation || fail "--help does not name the option"
rm -rf "$folder"
