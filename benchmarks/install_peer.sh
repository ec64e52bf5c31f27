#!/usr/bin/env bash
# Install a peer into an environment of its own (the project's lock must not hold it):
#   PYTHON=python3 benchmarks/install_peer.sh benchmarks/mmm_peers .venv-meridian
# Every package comes from the peer's hashed lock, which is renewed by
#   uv pip compile PEER/requirements.in --python-version 3.11 --generate-hashes --no-strip-extras \
#       --no-emit-index-url --no-annotate --no-header --output-file PEER/requirements.lock
set -euo pipefail

peer="${1:?the folder of the peer, with its requirements.lock}"
environment="${2:?the folder of the environment to make}"

rm -rf "$environment"
"${PYTHON:-python3}" -m venv "$environment"
"$environment/bin/pip" install --quiet --disable-pip-version-check --no-deps --require-hashes \
    --requirement "$peer/requirements.lock"
cp "$peer/requirements.lock" "$environment/installed.lock"
