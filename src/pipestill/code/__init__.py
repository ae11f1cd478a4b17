"""Code as a dependency of stages: which modules a stage is made of, and a digest of each (docs/decisions/0017)."""
