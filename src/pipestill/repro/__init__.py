"""`make repro`: `dvc repro` as a child process, with numbered and timed stages, and the next steps at the end."""
