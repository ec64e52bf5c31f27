#!/usr/bin/env bash
# Install Meridian into an environment of its own (the project's lock must not hold it):
#   PYTHON=python3 benchmarks/mmm_peers/install.sh .venv-meridian
# Every package comes from the hashed lock, which is renewed by
#   uv pip compile benchmarks/mmm_peers/requirements.in --python-version 3.11 --generate-hashes \
#       --no-strip-extras --no-emit-index-url --no-annotate --no-header \
#       --output-file benchmarks/mmm_peers/requirements.lock
set -euo pipefail

here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
environment="${1:?the folder of the environment to make}"

rm -rf "$environment"
"${PYTHON:-python3}" -m venv "$environment"
"$environment/bin/pip" install --quiet --disable-pip-version-check --no-deps --require-hashes \
    --requirement "$here/requirements.lock"
cp "$here/requirements.lock" "$environment/installed.lock"
