"""Fetching from servers that misbehave: the right file, or a clear error and nothing under the final name."""

import hashlib
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from tests.download_fetch.server import Served, serving
from vldistill.download import fetch as module
from vldistill.download.fetch import FetchError, fetch
from vldistill.errors import VldistillError


def leftovers(folder):
    """What stands beside the target, apart from lock files."""
    return sorted(path.name for path in folder.iterdir() if not path.name.endswith(".lock"))


def test_plain(tmp_path, body, digest, hasty):
    with serving({"/f": Served(body)}) as base:
        path = fetch(f"{base}/f", tmp_path / "deep" / "f.bin", sha256=digest, bytes=len(body), patience=hasty)
    assert path.read_bytes() == body
    assert leftovers(path.parent) == ["f.bin"]


def test_md5_and_no_checksum(tmp_path, body, hasty):
    with serving({"/f": Served(body)}) as base:
        fetch(f"{base}/f", tmp_path / "a", md5=hashlib.md5(body).hexdigest(), patience=hasty)
        fetch(f"{base}/f", tmp_path / "b", patience=hasty)
        with pytest.raises(FetchError, match="md5"):
            fetch(f"{base}/f", tmp_path / "c", md5="0" * 32, patience=hasty)
    assert leftovers(tmp_path) == ["a", "b"]


def test_a_right_file_is_kept_without_asking(tmp_path, body, digest):
    (tmp_path / "f").write_bytes(body)
    fetch("http://127.0.0.1:9/never-asked", tmp_path / "f", sha256=digest)


def test_a_wrong_file_is_replaced_and_kept_if_that_fails(tmp_path, body, digest, hasty):
    (tmp_path / "f").write_bytes(b"damaged")
    with serving({"/f": Served(body), "/bad": Served(b"other")}) as base:
        with pytest.raises(FetchError, match="stands there already but is wrong"):
            fetch(f"{base}/bad", tmp_path / "f", sha256=digest, patience=hasty)
        assert (tmp_path / "f").read_bytes() == b"damaged"
        fetch(f"{base}/f", tmp_path / "f", sha256=digest, patience=hasty)
    assert (tmp_path / "f").read_bytes() == body


@pytest.mark.parametrize("ranges", [True, False])
def test_truncated_answers_are_resumed(tmp_path, body, digest, hasty, ranges):
    served = Served(body, cut=2**20, faults=2, ranges=ranges)
    with serving({"/f": served}) as base:
        fetch(f"{base}/f", tmp_path / "f", sha256=digest, patience=hasty)
    assert (tmp_path / "f").read_bytes() == body
    assert [request.get("Range") for request in served.requests][:2] == [None, f"bytes={2**20}-"]
    if ranges:
        assert served.requests[1]["If-Range"] == '"one"'
        assert served.requests[2]["Range"] == f"bytes={2**21}-"


def test_a_server_that_always_truncates_and_ignores_ranges_is_given_up(tmp_path, body, digest, hasty):
    served = Served(body, cut=1000, ranges=False)
    with serving({"/f": served}) as base, pytest.raises(FetchError, match="given up after 3 tries"):
        fetch(f"{base}/f", tmp_path / "f", sha256=digest, patience=hasty)
    assert not (tmp_path / "f").exists()
    assert len(served.requests) < 10


def test_silence_is_a_stall(tmp_path, body, digest, hasty):
    served = Served(body, stall=2**20, faults=1)
    with serving({"/f": served}) as base:
        fetch(f"{base}/f", tmp_path / "f", sha256=digest, patience=hasty)
    assert served.requests[1]["Range"] == f"bytes={2**20}-"


def test_a_trickle_is_a_stall(tmp_path, hasty):
    served = Served(b"x" * 5000, trickle=0.05, faults=1)
    with serving({"/f": served}) as base:
        fetch(f"{base}/f", tmp_path / "f", patience=hasty)
    assert (tmp_path / "f").read_bytes() == b"x" * 5000
    assert len(served.requests) == 2


def test_too_long_a_content_length(tmp_path, body, hasty):
    with serving({"/f": Served(body, length=len(body) + 5)}) as base, pytest.raises(FetchError, match="given up"):
        fetch(f"{base}/f", tmp_path / "f", patience=hasty)
    assert not (tmp_path / "f").exists()


def test_too_short_a_content_length(tmp_path, body, digest, hasty):
    with serving({"/f": Served(body, length=1000)}) as base:
        with pytest.raises(FetchError, match="sha256"):
            fetch(f"{base}/f", tmp_path / "f", sha256=digest, patience=hasty)
        with pytest.raises(FetchError, match=f"1000 bytes instead of {len(body)}"):
            fetch(f"{base}/f", tmp_path / "f", bytes=len(body), patience=hasty)
    assert leftovers(tmp_path) == []


def test_no_content_length(tmp_path, body, digest, hasty):
    with serving({"/f": Served(body, length="")}) as base:
        fetch(f"{base}/f", tmp_path / "f", sha256=digest, patience=hasty)
    assert (tmp_path / "f").read_bytes() == body


def test_a_file_that_changes_between_the_pieces(tmp_path, body, hasty):
    new = bytes(reversed(body))
    served = Served(body, cut=2**20, faults=1, change=(new, '"two"'))
    with serving({"/f": served}) as base:
        fetch(f"{base}/f", tmp_path / "f", patience=hasty)
    assert (tmp_path / "f").read_bytes() == new, "never a mixture of both"


def test_a_file_that_changes_on_a_server_that_ignores_if_range(tmp_path, body, hasty, monkeypatch):
    new = bytes(reversed(body))
    served = Served(body, cut=2**20, faults=1, change=(new, '"two"'))
    monkeypatch.setattr("tests.download_fetch.server._Handler._start", _ignoring_if_range)
    with serving({"/f": served}) as base:
        fetch(f"{base}/f", tmp_path / "f", patience=hasty)
    assert (tmp_path / "f").read_bytes() == new


def _ignoring_if_range(handler, served, body, etag):
    asked = handler.headers.get("Range", "")
    return int(asked[6:-1]) if asked else 0


def test_a_change_without_any_validator_is_found_by_the_checksum(tmp_path, body, hasty):
    new = bytes(reversed(body))
    served = Served(body, etag=None, cut=2**20, faults=1, change=(new, None))
    with serving({"/f": served}) as base:
        fetch(f"{base}/f", tmp_path / "f", sha256=hashlib.sha256(new).hexdigest(), patience=hasty)
    assert (tmp_path / "f").read_bytes() == new


def test_without_validator_and_checksum_nothing_is_resumed(tmp_path, body, hasty):
    served = Served(body, etag=None, cut=2**20, faults=1)
    with serving({"/f": served}) as base:
        fetch(f"{base}/f", tmp_path / "f", patience=hasty)
    assert (tmp_path / "f").read_bytes() == body
    assert all("Range" not in request for request in served.requests)


def test_a_weak_etag_is_no_validator(tmp_path, body, hasty):
    served = Served(body, etag='W/"one"', cut=2**20, faults=1)
    with serving({"/f": served}) as base:
        fetch(f"{base}/f", tmp_path / "f", patience=hasty)
    assert all("Range" not in request for request in served.requests)


def test_a_file_that_became_shorter_than_what_was_fetched(tmp_path, body, hasty):
    new = body[: 2**19]
    served = Served(body, etag=None, cut=2**20, faults=1, change=(new, None))
    with serving({"/f": served}) as base:
        fetch(f"{base}/f", tmp_path / "f", sha256=hashlib.sha256(new).hexdigest(), patience=hasty)
    assert (tmp_path / "f").read_bytes() == new


def test_wrong_bytes_are_given_up_and_the_mirror_is_asked(tmp_path, body, digest, hasty):
    wrong = Served(bytes(len(body)))
    with serving({"/wrong": wrong, "/right": Served(body)}) as base:
        fetch([f"{base}/gone", f"{base}/wrong", f"{base}/right"], tmp_path / "f", sha256=digest, patience=hasty)
    assert (tmp_path / "f").read_bytes() == body
    assert len(wrong.requests) == 1, "the same wrong bytes are not fetched twice"


def test_wrong_bytes_in_pieces_do_not_loop(tmp_path, body, digest, hasty):
    wrong = Served(bytes(len(body)), cut=2**21)
    with serving({"/f": wrong}) as base, pytest.raises(FetchError, match="sha256"):
        fetch(f"{base}/f", tmp_path / "f", sha256=digest, patience=hasty)
    assert len(wrong.requests) == 4, "twice, in two pieces each"
    assert leftovers(tmp_path) == []


def test_a_partial_of_one_mirror_is_not_continued_from_another(tmp_path, body, digest, hasty):
    first, second = Served(body, cut=2**20), Served(body)
    first.statuses = []
    with serving({"/a": first, "/b": second}) as base:
        first.cut = 1000
        first.ranges = False
        fetch([f"{base}/a", f"{base}/b"], tmp_path / "f", sha256=digest, patience=hasty)
    assert "Range" not in second.requests[0]


def test_every_source_is_named_with_its_fault_and_what_to_do(tmp_path, body, hasty):
    with serving({"/busy": Served(body, statuses=[503] * 9)}) as base, pytest.raises(FetchError) as caught:
        fetch([f"{base}/gone", f"{base}/busy", "http://127.0.0.1:9/f"], tmp_path / "f", patience=hasty)
    text = str(caught.value)
    for words in ("/gone: HTTP 404", "/busy: HTTP 503", "127.0.0.1:9/f: ", f"put it at {tmp_path / 'f'}"):
        assert words in text


def test_a_busy_server_is_asked_again(tmp_path, body, digest, hasty):
    with serving({"/f": Served(body, statuses=[503, 429])}) as base:
        fetch(f"{base}/f", tmp_path / "f", sha256=digest, patience=hasty)


def test_a_full_disk_is_told_before_anything_is_written(tmp_path, body, hasty, monkeypatch):
    monkeypatch.setattr(module, "MARGIN_BYTES", 10**18)
    with serving({"/f": Served(body)}) as base, pytest.raises(VldistillError, match="VLDISTILL_DATA"):
        fetch(f"{base}/f", tmp_path / "f", patience=hasty)
    assert not (tmp_path / "f").exists()


def test_a_folder_that_cannot_be_written(tmp_path, body, hasty):
    (tmp_path / "file").write_text("in the way")
    with serving({"/f": Served(body)}) as base, pytest.raises(OSError):
        fetch(f"{base}/f", tmp_path / "file" / "f", patience=hasty)


SCRIPT = """
import sys
from vldistill.download.fetch import fetch
fetch(sys.argv[1], sys.argv[2], sha256=sys.argv[3])
"""


def test_kill_9_and_start_again(tmp_path, body, digest, hasty):
    """Killed at several points; the next start resumes, and the file is never there before it is whole."""
    served = Served(body)
    target = tmp_path / "f"
    partial = tmp_path / ".f.part"
    with serving({"/f": served}) as base:
        for stop_at in (1, 2**20, 2 * 2**20):
            served.stall, served.faults = stop_at - (partial.stat().st_size if partial.exists() else 0), 1
            child = subprocess.Popen(
                [sys.executable, "-c", SCRIPT, f"{base}/f", str(target), digest], stderr=subprocess.DEVNULL
            )
            deadline = time.monotonic() + 30
            while not (partial.exists() and partial.stat().st_size >= stop_at):
                assert time.monotonic() < deadline
                assert child.poll() is None
                time.sleep(0.01)
            os.kill(child.pid, signal.SIGKILL)
            child.wait()
            assert not target.exists()
        served.stall = None
        fetch(f"{base}/f", target, sha256=digest, patience=hasty)
    assert target.read_bytes() == body
    assert served.requests[-1]["Range"] == f"bytes={2 * 2**20}-"
    assert leftovers(tmp_path) == ["f"]


def test_killed_between_the_last_byte_and_the_name(tmp_path, body, digest, hasty):
    served = Served(body, cut=2**20)
    with serving({"/f": served}) as base:
        with pytest.raises(FetchError):
            served.faults, served.ranges = 10**9, False
            fetch(f"{base}/f", tmp_path / "f", sha256=digest, patience=hasty)
        (tmp_path / ".f.part").write_bytes(body)
        asked = len(served.requests)
        fetch(f"{base}/f", tmp_path / "f", sha256=digest, patience=hasty)
    assert len(served.requests) == asked, "all of it was there"


def test_two_processes_fetch_once(tmp_path, body, digest, hasty):
    served = Served(body)
    with serving({"/f": served}) as base:
        calls = [
            threading.Thread(target=fetch, args=(f"{base}/f", tmp_path / "f"), kwargs={"sha256": digest})
            for _ in range(3)
        ]
        for call in calls:
            call.start()
        for call in calls:
            call.join()
    assert len(served.requests) == 1
    assert (tmp_path / "f").read_bytes() == body
