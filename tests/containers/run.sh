#!/usr/bin/env bash
# Builds the images, runs the synthetic plan to its end in containers, audits it, and tries the walls between them.
# Takes half an hour or more, most of it for building; not part of CI (label: slow).
#
#   tests/containers/run.sh
#
#   BUILD_FLAGS="..."   more options for building the images (mirrors, isolation)
#   SKIP_BUILD=1        use the images that are there
#   KEEP=1              leave containers and volumes as they are at the end
#   LIMIT_S=3600        give up when the plan is not finished after this time
#
# Docker with its compose plugin is used where an engine runs, otherwise podman with podman-compose as
# tests/containers/prepare_podman.sh installs them.
set -euo pipefail
cd "$(dirname "$0")/../.."
LABS=(matek-19 int-20 acevedo-20)
WORK=build/containers
LIMIT_S=${LIMIT_S:-3600}
mkdir -p "$WORK/trust"
export HEMAFED_TRUST=$PWD/$WORK/trust

if docker info >/dev/null 2>&1; then
  ENGINE=docker COMPOSE=(docker compose)
elif command -v podman >/dev/null && [ -x "$WORK/venv/bin/podman-compose" ]; then
  ENGINE=podman COMPOSE=("$WORK/venv/bin/podman-compose")
else
  echo "containers: neither a Docker engine nor what tests/containers/prepare_podman.sh installs" >&2
  exit 77  # ctest: skipped
fi

say() { printf 'containers: %s\n' "$*"; }
die() { say "FAILED: $*" >&2; exit 1; }
# One command in a container of its own, without a terminal; only its own output.
run() { "${COMPOSE[@]}" --profile by-hand run --no-deps --rm -T "$@" 2>>"$WORK/compose.log" </dev/null; }
inside() { "${COMPOSE[@]}" exec -T "$@" 2>>"$WORK/compose.log" </dev/null; }
wait_for() {  # wait_for SECONDS WHAT COMMAND...
  local limit=$1 what=$2 begin=$SECONDS; shift 2
  until "$@"; do
    [ $((SECONDS - begin)) -lt "$limit" ] || die "gave up waiting for $what"
    sleep 1
  done
}
clean_up() {
  [ -n "${KEEP:-}" ] || "${COMPOSE[@]}" --profile by-hand down -v >>"$WORK/compose.log" 2>&1 || true
}
trap clean_up EXIT
: > "$WORK/compose.log"

if [ -z "${SKIP_BUILD:-}" ]; then
  for target in network trainer; do
    say "building hemafed/$target"
    # shellcheck disable=SC2086  # several options
    "$ENGINE" build ${BUILD_FLAGS:-} --target "$target" -t "hemafed/$target" . > "$WORK/build-$target.log" 2>&1 ||
      { tail -20 "$WORK/build-$target.log" >&2; die "building hemafed/$target; see $WORK/build-$target.log"; }
  done
fi
"${COMPOSE[@]}" --profile by-hand down -v >>"$WORK/compose.log" 2>&1 || true

say "drawing pictures and initial weights"
for lab in "${LABS[@]}"; do run "$lab-smears" > /dev/null; done
run weights > /dev/null

say "founding the consortium"
KEY=(--operator-key /srv/operator/operator.pem)
run operator init /srv/consortium --name demo --host coordinator --bind '*' "${KEY[@]}" > /dev/null
"${COMPOSE[@]}" up -d --no-build coordinator >>"$WORK/compose.log" 2>&1

fingerprint() { sed -n 's/.*fingerprint: \([^ ]*\).*/\1/p' "$WORK/$1-join.log" | tail -1 | tr -d '\r'; }
shown() { [ -n "$(fingerprint "$1")" ]; }
asked() { run operator pending /srv/consortium | tr -d '\r' | grep -q "^$1 $(fingerprint "$1")$"; }
for lab in "${LABS[@]}"; do
  token=$(run operator invite /srv/consortium "$lab" | tr -d '\r' | tail -1)
  run "$lab-agent" hemafed-site join /srv/lab --token "$token" --pictures /srv/pictures \
    --labels /usr/local/share/hemafed/labels/five_wbc.toml > "$WORK/$lab-join.log" &
  joining=$!
  wait_for 60 "$lab to show its fingerprint (see $WORK/$lab-join.log)" shown "$lab"
  wait_for 60 "$lab to present its invitation" asked "$lab"
  run operator approve /srv/consortium "$lab" --fingerprint "$(fingerprint "$lab")" "${KEY[@]}"
  wait "$joining" || die "$lab could not join; see $WORK/$lab-join.log"
  say "$lab joined, fingerprint $(fingerprint "$lab")"
done

run operator add-weights /srv/consortium /srv/weights/small_cnn.safetensors > /dev/null
run operator submit-plan /srv/consortium /usr/local/share/hemafed/plans/demo_synthetic.toml "${KEY[@]}"
say "running the plan"
# By name: not the services that are for running by hand, whatever the engine makes of profiles.
SERVICES=()
for lab in "${LABS[@]}"; do SERVICES+=("$lab-agent" "$lab-trainer"); done
"${COMPOSE[@]}" up -d --no-build "${SERVICES[@]}" >>"$WORK/compose.log" 2>&1

# --- the walls, while everything runs ---
refused() {  # refused WHAT SERVICE COMMAND...
  local what=$1; shift
  if inside "$@" >/dev/null; then die "$what"; fi
  say "refused, as it should be: $what"
}
for lab in "${LABS[@]}"; do
  inside "$lab-trainer" test -e /srv/pictures/manifest.csv || die "$lab's trainer does not see its pictures"
  refused "$lab's agent sees a picture" "$lab-agent" sh -c 'ls /srv/pictures | grep .'
  refused "$lab's agent sees the vault" "$lab-agent" sh -c 'ls /srv/lab/trainer | grep .'
  refused "$lab's trainer sees the agent's keys" "$lab-trainer" sh -c 'ls /srv/lab/agent | grep .'
  refused "$lab's trainer writes to its pictures" "$lab-trainer" touch /srv/pictures/mark
  refused "$lab's trainer has a network interface" "$lab-trainer" sh -c 'tail -n +3 /proc/net/dev | grep -v " lo:"'
  refused "$lab's trainer connects to the coordinator" "$lab-trainer" bash -c 'exec 3<>/dev/tcp/coordinator/7301'
done
inside matek-19-agent bash -c 'exec 3<>/dev/tcp/coordinator/7301' || die "an agent does not reach the coordinator"

phase() { inside coordinator hemafed-coordinator status /srv/consortium | grep -o '"phase": *"[a-z_]*"' | head -1; }
finished() { phase | grep -q '"finished"'; }
wait_for "$LIMIT_S" "the plan's end" finished
say "the plan is finished"

run operator trust /srv/consortium > "$WORK/trust/trust.json"
run auditor replay /srv/consortium --trust /srv/trust/trust.json | tee "$WORK/audit.txt"
grep -q '^ok: ' "$WORK/audit.txt" || die "the auditor does not say ok"
if run --entrypoint cat auditor /srv/consortium/keys/log.pem >/dev/null; then die "the auditor reads the coordinator's keys"; fi
if run --entrypoint touch auditor /srv/consortium/mark >/dev/null; then die "the auditor writes to the consortium's folder"; fi
say "ok"
