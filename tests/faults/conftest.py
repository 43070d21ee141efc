"""One installation for all tests of faults; each has a project of its own."""

from collections.abc import Iterator

import pytest

from tests.faults.tree import Tree, running


@pytest.fixture(scope="package")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tree]:
    """A running installation."""
    with running(tmp_path_factory.mktemp("tree")) as tree:
        yield tree
