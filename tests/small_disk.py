"""A disk that is full for a while."""

import resource
from contextlib import contextmanager


@contextmanager
def largest_file(n_bytes):
    """Inside, this process cannot write a file of more than `n_bytes`: EFBIG, as on a disk over its quota."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
