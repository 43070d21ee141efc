"""What a machine that cannot run Muster is told, before anything of Muster is imported."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "config" / "preflight.py"
OLD_PYTHONS = ("python2", "python2.7", "python3.6", "python3.7", "python3.8", "python3.9", "python3.10")


def run(*, script: Path = SCRIPT, folder: str, python: str = sys.executable) -> tuple[int, str]:
    answer = subprocess.run([python, str(script), folder], capture_output=True, text=True, check=False)
    return answer.returncode, answer.stderr.strip()


def changed(*, tmp_path: Path, line: str, to: str) -> Path:
    """Return the script with one line changed, as on a machine that has less than it asks for."""
    text = SCRIPT.read_text()
    assert text.count(line) == 1
    copy = tmp_path / "preflight.py"
    copy.write_text(text.replace(line, to))
    return copy


def test_a_good_machine_is_told_nothing(tmp_path: Path) -> None:
    assert run(folder=str(tmp_path / "not" / "yet" / "there")) == (0, "")


def test_a_python_that_is_too_old_says_so(tmp_path: Path) -> None:
    script = changed(tmp_path=tmp_path, line="OLDEST = (3, 11)", to="OLDEST = (4, 0)")
    code, words = run(script=script, folder=str(tmp_path))
    assert code == 1
    assert words.startswith("Muster needs Python 4.0 or newer; ")
    assert len(words.splitlines()) == 1


def test_each_old_python_of_this_machine_can_read_it(tmp_path: Path) -> None:
    """Also those that no machine here has: nothing newer than Python 2.7 stands in it."""
    text = SCRIPT.read_text()
    assert 'f"' not in text
    assert ":=" not in text
    assert "->" not in text
    for name in filter(shutil.which, OLD_PYTHONS):
        code, words = run(folder=str(tmp_path), python=name)
        assert code != 0
        if "pyenv" not in words:  # a stand-in for a version that is not there
            assert words.startswith("Muster needs Python 3.11 or newer; ")


def test_a_full_disk_is_said_in_one_sentence(tmp_path: Path) -> None:
    script = changed(tmp_path=tmp_path, line="ROOM_MB = 128", to="ROOM_MB = 10**12")
    code, words = run(script=script, folder=str(tmp_path))
    assert code == 1
    assert words.startswith(f"The disk that holds {tmp_path} is full: ")
    assert len(words.splitlines()) == 1


@pytest.mark.parametrize("target", ["run", "test"])
def test_make_asks_before_it_does_anything(target: str) -> None:
    make = shutil.which("make")
    assert make is not None
    answer = subprocess.run(
        [make, "--dry-run", "--always-make", target], cwd=SCRIPT.parents[1], capture_output=True, text=True, check=True
    )
    lines = answer.stdout.splitlines()
    asked = next(number for number, line in enumerate(lines) if "preflight.py" in line)
    installs = next(number for number, line in enumerate(lines) if "pip" in line)
    assert asked < installs
