"""The paper's tables and figures; each module computes into ``results/`` and plots from there."""
