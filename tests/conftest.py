"""One thread a rank: timings and results must not depend on how many cores a machine shows."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
