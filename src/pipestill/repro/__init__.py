"""`make repro` as one can watch it: `dvc repro` as a child, its stages counted and timed, and what to do after it."""
