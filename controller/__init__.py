"""What the fleet should be: registration, prediction, gate, deployments, history."""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
"""Before numpy is there: matrices here are small, and a second thread for them takes three times the processor time."""
