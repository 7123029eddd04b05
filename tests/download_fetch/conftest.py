"""What the tests of fetching share."""

import hashlib
import random

import pytest

from vldistill.download.fetch import Patience


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch):
    """The servers of these tests are on this machine."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture(scope="session")
def body():
    """A file of 3 MB and a bit."""
    return random.Random(7).randbytes(3 * 2**20 + 12345)


@pytest.fixture(scope="session")
def digest(body):
    return hashlib.sha256(body).hexdigest()


@pytest.fixture
def hasty():
    return Patience(connect=5, stall=0.3, stall_bytes=100, attempts=3, pause=0.01, longest_pause=0.05)
