"""Where the embedded servers live, and what is said when they cannot be made."""

import os
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings

from config import embedded
from config.launcher_child import LOG_MAX_BYTES, Child


@pytest.fixture
def home() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="muster-embedded-") as folder:
        Path(folder).chmod(0o711)
        yield Path(folder).resolve()


def test_the_addresses_follow_from_the_folder_alone(home: Path) -> None:
    assert embedded.Postgres(home).url == f"postgresql://postgres@{str(home).replace('/', '%2F')}%2Fpostgres%2Frun:5432/muster"
    assert embedded.Valkey(home).url == f"unix://{home}/valkey/valkey.sock?db=0"
    assert list(home.iterdir()) == [], "asking for an address makes nothing"


def test_a_long_path_gets_a_short_socket(home: Path) -> None:
    deep = home / ("d" * 90)
    for server in (embedded.Postgres(deep), embedded.Valkey(deep)):
        assert len(str(server.socket)) < embedded.SUN_PATH_MAX
        assert str(server.data).startswith(str(deep))
    assert embedded.Postgres(deep).socket != embedded.Postgres(home / ("e" * 90)).socket


@pytest.mark.parametrize(
    ("url", "celery"),
    [
        ("unix:///a/b.sock?db=3", "redis+socket:///a/b.sock?virtual_host=3"),
        ("unix:///a/b.sock", "redis+socket:///a/b.sock?virtual_host=0"),
        ("redis://broker:6379/1", "redis://broker:6379/1"),
    ],
)
def test_celery_gets_its_own_form_of_the_address(url: str, celery: str) -> None:
    assert embedded.celery_url(url) == celery


def test_the_addresses_need_no_driver() -> None:
    code = "import sys; from config import embedded; sys.exit('psycopg' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_full_disk_while_the_database_is_made_is_one_sentence(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    postgres = embedded.Postgres(home)
    program = home / "initdb"
    program.write_text("#!/bin/sh\necho 'initdb: error: could not write file: No space left on device' >&2; exit 1\n")
    program.chmod(0o755)
    monkeypatch.setattr(postgres, "_bin", lambda: home)
    with pytest.raises(embedded.CannotStart, match=r"^The disk that holds .* is full: make room .*\.$"):
        postgres.prepare()


def test_data_of_another_postgresql_are_refused(home: Path) -> None:
    postgres = embedded.Postgres(home)
    postgres.prepare()
    (postgres.data / "PG_VERSION").write_text("15\n")
    with pytest.raises(embedded.CannotStart, match=r"are of PostgreSQL 15; this version of Muster carries 18"):
        embedded.Postgres(home).prepare()


def test_only_its_account_may_read_the_data(home: Path) -> None:
    postgres = embedded.Postgres(home)
    postgres.prepare()
    assert stat.S_IMODE(postgres.data.stat().st_mode) == 0o700
    assert stat.S_IMODE(postgres.socket.stat().st_mode) == 0o700
    assert postgres.data.stat().st_uid != 0, "PostgreSQL refuses to run as root"


def test_a_folder_that_root_alone_may_enter_keeps_its_data_elsewhere(home: Path) -> None:
    home.chmod(0o700)
    postgres = embedded.Postgres(home / "var")
    expected = home / "var" / "postgres" if os.geteuid() else Path("/var/lib")
    assert expected in (postgres.place, postgres.place.parent)


def test_the_run_uses_the_database_it_was_given() -> None:
    assert os.environ["DATABASE_URL"] == settings.DATABASE_URL
    assert settings.DATABASES["default"]["ENGINE"] == "django.db.backends.postgresql"


def test_a_log_keeps_its_size(home: Path) -> None:
    child = Child(name="x", title="X", home=home)
    child.log.parent.mkdir(parents=True)
    with child.log.open("wb") as log:
        log.truncate(LOG_MAX_BYTES + 1)
    child.trim_log()
    assert child.log.stat().st_size == 0
    assert child.log.with_suffix(".log.1").stat().st_size == LOG_MAX_BYTES + 1
