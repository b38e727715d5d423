"""All tables and figures of the LRC paper: what is there, and what is missing.

python -m figures                                   lists them
python -m figures --all --preset paper              makes what is missing, one process a processor
python -m figures --all --preset paper --worker     one more process that takes the next task
python -m figures --all --preset paper --final      evaluates on the final tests, once, when all is done
python -m figures --only table1 table4 --seeds 0    some of them
"""

from __future__ import annotations

import os

for _name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "NUMBA_NUM_THREADS"):  # before NumPy is imported
    os.environ.setdefault(_name, "1")

from .experiments.command import main  # noqa: E402

if __name__ == "__main__":
    main(__doc__ or "")
