#!/usr/bin/env bash
# Makes docker-compose.yml runnable on a Debian 12 machine without a Docker engine: podman with runc, and a base image made
# from Debian's packages, so that no image registry is needed. As root; installs packages and writes
# /etc/containers/containers.conf unless it is there. Idempotent.
#
#   tests/containers/prepare_podman.sh [MIRROR]     MIRROR: a Debian package mirror (default: the machine's own)
set -euo pipefail
BASE=docker.io/library/debian:bookworm-slim
[ "$(id -u)" -eq 0 ] || { echo "prepare_podman: run as root" >&2; exit 1; }

# Debian 12's own podman-compose joins a service without network to the default one as well, which podman refuses.
COMPOSE=podman-compose==1.5.0
VENV=build/containers/venv

cd "$(dirname "$0")/../.."
apt-get update -q
apt-get install --no-install-recommends -q -y podman buildah runc netavark aardvark-dns debootstrap \
  uidmap fuse-overlayfs iptables python3-venv

[ -x "$VENV/bin/podman-compose" ] || { python3 -m venv "$VENV" && "$VENV/bin/pip" install -q "$COMPOSE"; }

# runc, because crun does not start on hybrid cgroups; limits that a process without CAP_SYS_RESOURCE may set.
conf=/etc/containers/containers.conf
if [ ! -e "$conf" ]; then
  mkdir -p "$(dirname "$conf")"
  cat > "$conf" <<EOF
[containers]
default_ulimits = ["nofile=20000:20000", "nproc=10000:10000"]
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "$(command -v runc)"
EOF
fi

if ! podman image exists "$BASE"; then
  mirror=${1:-$(apt-cache policy | grep -o 'http[^ ]*debian ' | grep -v security | head -1 | tr -d ' ')}
  root=$(mktemp -d)
  trap 'rm -rf "$root"' EXIT
  debootstrap --variant=minbase bookworm "$root" "$mirror"
  # As the machine gets its packages, so do the images, and only so.
  rm -f "$root/etc/apt/sources.list"
  for source in /etc/apt/sources.list /etc/apt/sources.list.d /etc/apt/apt.conf.d; do
    [ ! -e "$source" ] || cp -rL "$source" "$root/etc/apt/"
  done
  rm -rf "$root"/var/cache/apt/archives/*.deb
  tar -C "$root" -c . | podman import - "$BASE"
fi
podman image exists "$BASE" && echo "prepare_podman: ready"
