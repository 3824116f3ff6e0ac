#!/usr/bin/env bash
# scripts/gpu_bench.sh
# SPDX-License-Identifier: Apache-2.0
#
# Builds the networks and the engine with their benchmarks on a machine that has little more than a compiler, CMake and
# LibTorch (preset gpu-bench), and measures ResNeXt-50 training and inference on its GPU, then a training step of the
# autoencoder.
#
#   scripts/gpu_bench.sh pack DIR    here: copy what such a machine may lack (nlohmann-json, OpenSSL's headers and
#                                    libcrypto) into DIR, to be carried along
#   scripts/gpu_bench.sh run [DIR]   there: configure, build, measure; DIR is what was carried
#
# LIBTORCH_DIR names the LibTorch to use; otherwise the torch package of python3. DEVICE (cuda), SIDE (224), BATCH (128)
# and ROUNDS (20) can be set too, and CELLS (500), the autoencoder's batch.
set -euo pipefail
cd "$(dirname "$0")/.."

pack() {
  local into=$1 multiarch
  multiarch=$(gcc -print-multiarch)
  mkdir -p "$into/include/openssl" "$into/lib" "$into/share/cmake"
  cp -r /usr/include/nlohmann "$into/include/"
  cp -r /usr/share/cmake/nlohmann_json "$into/share/cmake/"
  cp /usr/include/openssl/*.h "$into/include/openssl/"
  cp /usr/include/"$multiarch"/openssl/*.h "$into/include/openssl/"
  cp -L /usr/lib/"$multiarch"/libcrypto.so.3 "$into/lib/libcrypto.so.3"
  cp "$into/lib/libcrypto.so.3" "$into/lib/libcrypto.so"
  du -sh "$into"
}

measure() {
  local carried=${1:-} libtorch generator=()
  libtorch=${LIBTORCH_DIR:-$(python3 -c 'import os, torch; print(os.path.dirname(torch.__file__))')}
  command -v ninja >/dev/null || generator=(-G "Unix Makefiles")
  cmake --preset gpu-bench "${generator[@]}" -DLIBTORCH_DIR="$libtorch" \
    ${carried:+-DCMAKE_PREFIX_PATH="$(realpath "$carried")"}
  cmake --build --preset gpu-bench --target networks_bench autoencoder_bench -j "$(nproc)"
  command -v nvidia-smi >/dev/null && nvidia-smi --query-gpu=name,driver_version,clocks.sm --format=csv
  build/gpu-bench/bin/networks_bench resnext50_32x4d "${SIDE:-224}" "${BATCH:-128}" "${ROUNDS:-20}" 1 batch \
    "${DEVICE:-cuda}"
  build/gpu-bench/bin/autoencoder_bench "${CELLS:-500}" "${ROUNDS:-20}" 1 "${DEVICE:-cuda}" "${CELLS:-500}"
}

case ${1:-} in
  pack) pack "${2:?name the folder to fill}" ;;
  run) measure "${2:-}" ;;
  *)
    sed -n '5,15s/^# \{0,1\}//p' "$0" >&2
    exit 2
    ;;
esac
