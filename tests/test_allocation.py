"""Freed memory that is kept: the page faults of a step that allocates and frees large blocks."""

import platform
import subprocess
import sys

import pytest

STEPS = """
import resource
import numpy as np
from pipestill.allocation import keep_freed_memory

def step():
    return sum(float(np.ones(6_000_000)[::4096].sum()) for _ in range(4))

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    step()
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

step()
print(faults())
keep_freed_memory()
step()
print(faults())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc gives large blocks back at once")
def test_a_step_that_frees_as_much_as_it_allocates_faults_no_page_in_again() -> None:
    done = subprocess.run([sys.executable, "-c", STEPS], capture_output=True, text=True, check=True)
    before, after = map(int, done.stdout.split())
    assert after < before / 10
