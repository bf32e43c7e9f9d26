#!/bin/bash
# ./build.sh bench [NAME]: runs the benchmarks of tests/TreCr.Benchmarks on out/; goals stand in tests/goals.toml.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."
[ "${1-}" != nccl ] || exec tests/bench-nccl.sh
[ "${1-}" != api ] || exec tests/bench-api.sh "${2-256}"
dotnet build -c Release -v quiet --nologo tests/TreCr.Benchmarks/TreCr.Benchmarks.csproj >/dev/null
exec artifacts/bin/TreCr.Benchmarks/release/trecr-bench out "$@"
