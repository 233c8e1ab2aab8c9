#!/bin/sh
# Everything about the GPU in one run of under ten minutes: the tests that need one, a whole slim, all parts of gpu.py.
#
#     sh benchmarks/gpu_all.sh [--original CHECKOUT] [--data-dir DIR] [--out results]
#     sh benchmarks/gpu_all.sh --tiny --device cpu --out runs/gpu     to see that everything runs
#
# PYTHON is the interpreter that has netslim. A part that fails or overruns takes none of the others with it.
cd "$(dirname "$0")/.." || exit 1
PYTHON=${PYTHON:-python}
failed=
part() {
    limit=$1
    shift
    echo "== $*"
    timeout "$limit" "$PYTHON" "$@" || failed="$failed $2"
}
part 60 -m pytest -q tests/training/test_cuda_graphs.py tests/data/test_resident.py tests/pruning/test_verify.py -k "cuda or gpu"
part 60 -m netslim slim --dataset digits --depth 20 --target-macs 0.5 --time 20s --save "${TMPDIR:-/tmp}/gpu-slim-$$"
part 160 benchmarks/gpu.py steps "$@"
part 130 benchmarks/gpu.py batches "$@"
part 95 benchmarks/gpu.py accuracy "$@"
part 110 benchmarks/gpu.py epoch "$@"
part 50 benchmarks/gpu.py latency "$@"
[ -z "$failed" ] || { echo "failed:$failed" >&2; exit 1; }
