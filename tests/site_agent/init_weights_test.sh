#!/bin/sh
# tests/site_agent/init_weights_test.sh
# SPDX-License-Identifier: Apache-2.0
#
# init_weights_test.sh HEMAFED_TRAIN FOLDER MOMENTS: what `hemafed-train init-weights` writes for each normalisation, and
# refuses; and `scale-latents` with moments of latents of five numbers.
set -eu
train=$1
folder=$2
moments=$3
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
# An autoencoder of cells has a latent instead of a normalisation.
printed=$("$train" init-weights "$folder/cells.safetensors" --architecture cell_autoencoder --seed 1 --latent 20)
[ "$printed" = "$(sha256sum "$folder/cells.safetensors" | cut -d' ' -f1)" ] || fail "the autoencoder's digest is another"
head -c 2000 "$folder/cells.safetensors" | grep -aq '"hemafed.feature_width":"20"' || fail "the latent is not named"
# Computed with NumPy from the formulas in cell_autoencoder.h and uniform_weights.h; what sample_autoencoder.toml starts from.
published=8e35b555ca0947c98fbac0ec82bfbbde51e160215d6f30701d6ab514ee03fdf1
[ "$("$train" init-weights "$folder/cells.safetensors" --architecture cell_autoencoder --seed 1)" = "$published" ] ||
  fail "the autoencoder of seed 1 is another"
for bad in "--architecture cell_autoencoder --normalisation group" "--architecture small_cnn --latent 20"; do
  status=0
  # shellcheck disable=SC2086  # Two options and their values.
  "$train" init-weights "$folder/bad.safetensors" $bad 2>"$folder/said" || status=$?
  [ $status -eq 11 ] || fail "$bad ended with status $status"
done
# What an autoencoder's latents are spread by comes from moments of five numbers each; once is enough.
"$train" init-weights "$folder/five.safetensors" --architecture cell_autoencoder --seed 1 --latent 5 >/dev/null
printed=$("$train" scale-latents "$folder/five.safetensors" "$folder/scaled.safetensors" --moments "$moments" "$moments")
[ "$printed" = "$(sha256sum "$folder/scaled.safetensors" | cut -d' ' -f1)" ] || fail "the scaled digest is another"
head -c 4000 "$folder/scaled.safetensors" | grep -aq '"latent.deviation"' || fail "no scale was written"
for from in scaled cells; do  # Scaled already; a latent of another size.
  status=0
  "$train" scale-latents "$folder/$from.safetensors" "$folder/bad.safetensors" --moments "$moments" 2>"$folder/said" || status=$?
  [ $status -eq 13 ] || [ $status -eq 11 ] || fail "scaling $from ended with status $status"
  [ ! -e "$folder/bad.safetensors" ] || fail "scaling $from left a file"
done
"$train" init-weights --help | grep -q -- --normalisation || fail "--help does not name the option"
rm -rf "$folder"
