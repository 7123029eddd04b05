"""Run folders with real processes: one owner at a time, adoption, owners that die."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from vldistill.errors import VldistillError
from vldistill.files import write_json
from vldistill.runs import Patience, claim, folder_of, identity, look_up, process_start

OWNER = Path(__file__).with_name("owner.py")
KEY = {"x": 1}
QUICK = Patience(heartbeat=0.05, stale=0.6, poll=0.02)


def start(root: Path, name: str, seconds: float | str = 0.0) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(OWNER), str(root), name, str(seconds)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def plant_lock(root: Path, **owner: object) -> Path:
    folder = folder_of("distill", KEY, root)
    folder.mkdir(parents=True)
    (folder / "lock.json").write_text(json.dumps({**identity(), "token": "other", **owner}))
    return folder


def test_finish_reuse_and_key_file(tmp_path: Path) -> None:
    with claim("distill", KEY, tmp_path) as run:
        assert not run.done and (run.path / "lock.json").exists()
        run.finish({"loss": 0.5})
    assert run.path == tmp_path / "scratch/distill" / run.path.name and len(run.path.name) == 32
    assert json.loads((run.path / "key.json").read_text()) == KEY
    assert not (run.path / "lock.json").exists()
    with claim("distill", {"x": 1}, tmp_path) as again:
        assert again.done and again.result == {"loss": 0.5} and not (run.path / "lock.json").exists()
    with claim("distill", {"x": 2}, tmp_path) as other:
        assert not other.done and other.path != run.path


def test_order_of_keys_does_not_matter(tmp_path: Path) -> None:
    assert folder_of("a", {"x": 1, "y": 2}, tmp_path) == folder_of("a", {"y": 2, "x": 1}, tmp_path)


def test_an_error_releases_the_folder_unfinished(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), claim("distill", KEY, tmp_path):
        raise ZeroDivisionError
    run = look_up("distill", KEY, tmp_path)
    assert not run.done and not (run.path / "lock.json").exists()


def test_second_runner_waits_then_adopts(tmp_path: Path) -> None:
    first = start(tmp_path, "first", "told")
    assert line(first) == "owns"
    second = start(tmp_path, "second")
    assert second.stderr is not None and f"waiting for process {first.pid}" in second.stderr.readline()
    first.communicate("end\n", timeout=60)
    assert line(second) == "adopted first"
    assert first.returncode == 0 and second.wait(60) == 0
    log = (folder_of("distill", KEY, tmp_path) / "work.log").read_text()
    assert log == "begin first\nend first\n"


def test_killed_owner_is_replaced_at_once(tmp_path: Path) -> None:
    first = start(tmp_path, "first", 600)
    assert line(first) == "owns"
    os.kill(first.pid, signal.SIGKILL)  # not reaped: a zombie must count as dead
    second = start(tmp_path, "second")
    assert line(second) == "owns" and second.wait(30) == 0
    first.wait()


def test_what_a_killed_owner_left_half_written_is_gone(tmp_path: Path) -> None:
    folder = folder_of("distill", KEY, tmp_path)
    # also under numbers of processes that live: a number is soon given to another one
    halves = [
        folder / f".metrics.jsonl.{os.getpid()}.tmp",
        folder / ".model.999999.tmp/student/.config.json.999999.tmp",
        folder / "shards/.0.npy.999999.tmp",
        folder / "checkpoints/.step-00000009.999999.old.tmp/state.json",
    ]
    kept = [folder / "metrics.jsonl", folder / "checkpoints/step-00000010/state.json", folder / "model/.keep.tmp"]
    for path in (*halves, *kept):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{")
    with claim("distill", KEY, tmp_path) as run:
        run.finish({})
    files = {path for path in folder.rglob("*") if path.is_file()}
    assert files == {*kept, folder / "key.json", folder / "result.json", folder / ".guard"}
    assert not list(folder.rglob("*999999*"))


def test_one_that_waits_leaves_alone_what_the_owner_writes(tmp_path: Path) -> None:
    with claim("distill", KEY, tmp_path) as run:
        half = run.path / f".metrics.jsonl.{os.getpid()}.tmp"
        half.write_text("{")
        second = start(tmp_path, "second")
        assert second.stderr is not None and "waiting for" in second.stderr.readline()
        assert half.exists()
        half.unlink()
        run.finish({"by": "first"})
    assert line(second) == "adopted first" and second.wait(30) == 0


def test_many_runners_work_one_at_a_time_whoever_is_killed(tmp_path: Path) -> None:
    runners = [start(tmp_path, str(number), 0.4) for number in range(5)]
    owners = [runner for runner in runners if line(runner) == "owns" and runner.kill() is None][:1]
    for runner in runners:
        runner.wait(60)
    last = start(tmp_path, "last")
    last.wait(60)
    lines = (folder_of("distill", KEY, tmp_path) / "work.log").read_text().split("\n")[:-1]
    # one that began and did not end was killed; nobody began between another's begin and end
    finished = [at for at, text in enumerate(lines) if text.startswith("end")]
    assert owners and len(finished) == 1 and lines[finished[0] - 1] == lines[finished[0]].replace("end", "begin")
    assert look_up("distill", KEY, tmp_path).done


def test_reused_pid_and_rebooted_host_are_dead(tmp_path: Path) -> None:
    for number, lie in enumerate(({"started": "12345"}, {"boot": "another boot"})):
        root = tmp_path / str(number)
        plant_lock(root, pid=os.getpid(), **lie)
        began = time.monotonic()
        with claim("distill", KEY, root) as run:
            assert not run.done
        assert time.monotonic() - began < Patience().stale


def test_another_host_is_dead_when_its_heartbeat_stands_still(tmp_path: Path) -> None:
    plant_lock(tmp_path, host="elsewhere", pid=1)
    began = time.monotonic()
    with claim("distill", KEY, tmp_path, patience=QUICK):
        assert time.monotonic() - began >= QUICK.stale


def test_another_host_lives_while_its_heart_beats(tmp_path: Path) -> None:
    folder = plant_lock(tmp_path, host="elsewhere", pid=1)
    beats = 30

    def beat() -> None:
        for _ in range(beats):
            os.utime(folder / "lock.json")
            time.sleep(0.05)
        write_json(folder / "result.json", {"by": "elsewhere"})

    thread = threading.Thread(target=beat)
    thread.start()
    with claim("distill", KEY, tmp_path, patience=QUICK) as run:
        assert run.result == {"by": "elsewhere"}
    thread.join()


def test_an_owner_that_lost_its_lock_stops(tmp_path: Path) -> None:
    first = start(tmp_path, "first", 600)
    assert line(first) == "owns"
    lock = folder_of("distill", KEY, tmp_path) / "lock.json"
    lock.write_text(json.dumps({**json.loads(lock.read_text()), "token": "taken over"}))
    assert first.wait(30) == -signal.SIGTERM


def test_a_rank_that_is_not_the_first_owns_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "1")
    with pytest.raises(VldistillError, match="distill vlkd --batch N"), claim("stage", {"a": 1}, tmp_path):
        pass
    assert not (tmp_path / "scratch").exists()


def test_scratch_comes_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VLDISTILL_SCRATCH", str(tmp_path / "fast"))
    assert folder_of("distill", KEY, tmp_path / "project").parent == tmp_path / "fast/distill"


def test_unwritable_scratch_is_named(tmp_path: Path) -> None:
    (tmp_path / "scratch").write_text("a file")
    with pytest.raises(VldistillError, match="VLDISTILL_SCRATCH"), claim("distill", KEY, tmp_path):
        pass


def test_process_start() -> None:
    assert process_start(os.getpid()) == process_start(os.getpid()) is not None
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    assert process_start(child.pid) is None
