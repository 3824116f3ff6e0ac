#!/usr/bin/env bash
# Collects what built programs need at run time, so that an image holds no compiler, no headers and no Python.
#   scripts/collect_runtime.sh FOLDER PROGRAM...
# FOLDER/usr/local/bin gets the programs; FOLDER/usr/local/lib/hemafed gets the libraries that no system package owns
# (LibTorch); FOLDER/usr/local/share/hemafed/packages gets the names of the system packages that own the others.
set -euo pipefail
[ $# -ge 2 ] || { sed -n '2,5p' "$0"; exit 2; }
folder=$1; shift
mkdir -p "$folder"/usr/local/{bin,lib/hemafed,share/hemafed}
packages=$folder/usr/local/share/hemafed/packages
: > "$packages"

owner() {  # Debian's database knows a library by the path it was packaged under: with or without /usr.
  dpkg-query -S "$1" 2>/dev/null || dpkg-query -S "${1#/usr}" 2>/dev/null || true
}

for program in "$@"; do
  install -m 755 "$program" "$folder/usr/local/bin/"
  # A process substitution would hide a failing ldd.
  listing=$(ldd "$program")
  ! grep "not found" <<<"$listing" >&2
  awk '$2 == "=>" {print $3}' <<<"$listing" | while read -r library; do
    package=$(owner "$(readlink -f "$library")")
    if [ -n "$package" ]; then
      printf '%s\n' "${package%%:*}" >> "$packages"
    else
      cp -L "$library" "$folder/usr/local/lib/hemafed/$(basename "$library")"
    fi
  done
done
sort -u -o "$packages" "$packages"
