# Two images: `network` for coordinator, agent and auditor (a few MB of programs, no LibTorch), `trainer` for the side that
# sees pictures. Packages and versions are named by scripts/setup.sh alone; the images get what the programs link to.
#
#   docker build --target network -t hemafed/network .
#   docker build --target trainer -t hemafed/trainer .
ARG BASE=docker.io/library/debian:bookworm-slim

FROM ${BASE} AS build
# Set these where the package index is not the public one.
ARG PIP_FIND_LINKS
ARG PIP_INDEX_URL
ARG PIP_CERT
RUN apt-get update -q && apt-get install --no-install-recommends -q -y ca-certificates
WORKDIR /opt/hemafed
# First what set-up reads, so that a change of the code does not fetch everything again.
COPY scripts/setup.sh scripts/import_weights.py scripts/
RUN scripts/setup.sh
COPY . .
RUN cmake --preset release -DHEMAFED_BUILD_TESTS=OFF && cmake --build --preset release
RUN cd build/release/bin \
 && ../../../scripts/collect_runtime.sh /runtime/network hemafed-coordinator hemafed-site hemafed-audit \
 && ../../../scripts/collect_runtime.sh /runtime/trainer hemafed-train \
 && cp -r ../../../configs/labels ../../../configs/plans /runtime/network/usr/local/share/hemafed/ \
 && strip --strip-debug /runtime/*/usr/local/bin/*

FROM ${BASE} AS network
COPY --from=build /runtime/network/ /
# An ordinary user. The folders exist so that new volumes mounted there belong to it.
RUN apt-get update -q \
 && xargs apt-get install --no-install-recommends -q -y < /usr/local/share/hemafed/packages \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --uid 10001 --user-group --no-create-home --home-dir /srv/lab --shell /usr/sbin/nologin hemafed \
 && install -d -o hemafed -g hemafed -m 700 /srv/consortium /srv/operator /srv/weights /srv/lab /srv/lab/agent /srv/lab/jobs \
            /srv/lab/trainer /srv/pictures \
 && chmod 755 /srv/consortium
USER hemafed
CMD ["hemafed-site", "--help"]

FROM network AS trainer
USER root
COPY --from=build /runtime/trainer/ /
RUN apt-get update -q \
 && xargs apt-get install --no-install-recommends -q -y < /usr/local/share/hemafed/packages \
 && rm -rf /var/lib/apt/lists/* \
 && echo /usr/local/lib/hemafed > /etc/ld.so.conf.d/hemafed.conf && ldconfig
USER hemafed
CMD ["hemafed-train", "--help"]
