"""One installation for all tests of faults; each has a project of its own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.tree import Tree


@pytest.fixture(scope="package")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tree]:
    """A running installation."""
    home: Path = tmp_path_factory.mktemp("tree")
    for folder in (home, *home.parents):
        if folder.stat().st_mode & 0o001 == 0 and folder.owner() == Path.home().owner():
            folder.chmod(folder.stat().st_mode | 0o011)  # the database's account walks through it
    tree = Tree(home)
    try:
        for name in ("postgres", "valkey"):
            tree.start(name)
        tree.manage("migrate", "--verbosity", "0")
        for name in ("web", "worker", "beat"):
            tree.start(name)
        yield tree
    finally:
        tree.stop()
