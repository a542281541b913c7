#!/usr/bin/env bash
# The tests with the mark `docker`, on a machine that need not have Docker: installs what is missing
# (Debian's packages, as root), builds the local images, starts a daemon unless one answers, runs
# pytest with the arguments given, and stops the daemon it started. Fails where Docker cannot run.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
work=$(mktemp -d)
daemon=

finish() {
  if [ -n "$daemon" ]; then
    kill "$daemon" 2>/dev/null || true
    wait "$daemon" 2>/dev/null || true
  fi
  rm -rf "$work"
}
trap finish EXIT

install() { # PACKAGES
  local sudo=
  [ "$(id -u)" = 0 ] || sudo=sudo
  $sudo apt-get update -qq
  DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

needed() { # the packages that are missing here
  [ -x /usr/bin/docker ] && [ -x /usr/sbin/dockerd ] || echo docker.io iptables ca-certificates
  command -v docker-compose >/dev/null || docker compose version >/dev/null 2>&1 || echo docker-compose
  [ -x /bin/busybox ] && ! ldd /bin/busybox >/dev/null 2>&1 || echo busybox-static
  command -v java >/dev/null && command -v mvn >/dev/null || echo openjdk-17-jre-headless maven
  /usr/bin/python3 -c 'import ensurepip, pip, venv' 2>/dev/null || echo python3-pip python3-venv
}

start() { # a daemon of our own, on the loopback, beside whatever else runs here
  export DOCKER_HOST="unix://$work/docker.sock"
  dockerd --host "$DOCKER_HOST" --ip 127.0.0.1 --pidfile "$work/pid" --exec-root "$work/exec" \
    >"$work/log" 2>&1 &
  daemon=$!
  local left=60
  until docker info >/dev/null 2>&1; do
    left=$((left - 1))
    if [ "$left" = 0 ] || ! kill -0 "$daemon" 2>/dev/null; then
      echo "docker: the daemon does not run here:" >&2
      tail -n 20 "$work/log" >&2
      exit 1
    fi
    sleep 1
  done
}

missing=$(needed)
# shellcheck disable=SC2086  # a list of packages
[ -z "$missing" ] || install $missing
docker info >/dev/null 2>&1 || start

bash ops/docker/local/build.sh
export KAFKA_IMAGE=headwater-local/kafka REGISTRY_IMAGE=headwater-local/registry
export HEADWATER_IMAGE=headwater-local/headwater
# Where the daemon is on this machine, containers are reached by mapped ports, without a helper's help.
export TESTCONTAINERS_RYUK_DISABLED=true TESTCONTAINERS_CONNECTION_MODE=docker_host
export TESTCONTAINERS_HOST_OVERRIDE=127.0.0.1
export HEADWATER_REQUIRE_DOCKER=1
.venv/bin/python -m pytest -q -m docker "$@"
