"""The settings of an installation are read from the environment; what cannot be read is said in one sentence."""

import fcntl
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.web import BASE

SHOW_SECRET = "from config import settings; print(settings.SECRET_KEY)"


def read_settings(
    home: Path, *, words: str = SHOW_SECRET, before: Callable[[], None] | None = None, **environment: str
) -> subprocess.CompletedProcess[str]:
    ours = {"SECRET_KEY", "DATABASE_URL", "REDIS_URL", "REGION", "PORT", "BIND"}
    kept = {name: value for name, value in os.environ.items() if name not in ours}
    return subprocess.run(
        [sys.executable, "-c", words],
        cwd=BASE,
        env={**kept, "MUSTER_HOME": str(home), **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        preexec_fn=before,
    )


def test_the_secret_is_made_once_and_is_its_owners_alone(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with ThreadPoolExecutor(4) as pool:
        said = {each.stdout.strip() for each in pool.map(read_settings, [home] * 4)}
    assert len(said) == 1, "of several that are made at once all use the first"
    assert said == {(home / "secret_key").read_text()}
    assert len(said.pop()) > 50
    assert (home / "secret_key").stat().st_mode & 0o777 == 0o600
    assert [each.name for each in home.iterdir()] == ["secret_key"]


def test_a_secret_that_is_given_is_used_and_none_is_kept(tmp_path: Path) -> None:
    assert read_settings(tmp_path, SECRET_KEY="x" * 60).stdout.strip() == "x" * 60
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_leaves_no_empty_secret(tmp_path: Path) -> None:
    full = read_settings(tmp_path, before=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0)))
    assert full.returncode == 1
    assert "secret_key cannot be read or made" in full.stderr
    assert "Traceback" not in full.stderr
    assert list(tmp_path.iterdir()) == []
    assert read_settings(tmp_path).stdout.strip() == (tmp_path / "secret_key").read_text()


def test_an_empty_secret_is_not_taken_for_one(tmp_path: Path) -> None:
    (tmp_path / "secret_key").touch()
    answer = read_settings(tmp_path)
    assert answer.returncode == 1
    assert "secret_key is empty" in answer.stderr
    assert "Traceback" not in answer.stderr


@pytest.mark.parametrize("port", ["abc", "99999", "-1", "8000.5", "٨٠"])
def test_a_port_that_is_none_is_said(tmp_path: Path, port: str) -> None:
    answer = read_settings(tmp_path, PORT=port)
    assert (answer.returncode, answer.stderr) == (1, f"PORT is {port!r}: a number up to 65535 is needed.\n")


@pytest.mark.parametrize("url", ["nonsense", "postgresql://me:hush@here:abc/x", "mysql://me:hush@here/x", "sqlite:///x"])
def test_a_database_that_is_none_is_said_without_its_password(tmp_path: Path, url: str) -> None:
    answer = read_settings(tmp_path, DATABASE_URL=url, SECRET_KEY="x" * 60)
    assert answer.returncode == 1
    assert answer.stderr == "DATABASE_URL cannot be read: it has the form postgresql://user:password@host:5432/name.\n"


NOTE = '{"address": "http://127.0.0.9:8123/", "pid": 1, "port": 8123, "bind": "127.0.0.9", "region": "in1"}'


def read_address(home: Path, **environment: str) -> str:
    words = "from config import settings; print(settings.BIND, settings.PORT, settings.REGION)"
    return read_settings(home, words=words, before=None, SECRET_KEY="x" * 60, **environment).stdout.strip()


def test_a_second_shell_finds_the_port_of_what_runs(tmp_path: Path) -> None:
    path = tmp_path / "run" / "launcher.lock"
    path.parent.mkdir()
    path.write_text(NOTE)
    assert read_address(tmp_path) == "127.0.0.1 8000 eu1", "the note of one that is gone"
    with path.open("r+") as note:
        fcntl.flock(note, fcntl.LOCK_EX)
        assert read_address(tmp_path) == "127.0.0.9 8123 in1"
        assert read_address(tmp_path, PORT="8200", BIND="127.0.0.8", REGION="us1") == "127.0.0.8 8200 us1"
        path.write_text("")
        assert read_address(tmp_path) == "127.0.0.1 8000 eu1", "it is just starting"
