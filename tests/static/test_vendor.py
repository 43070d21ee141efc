"""What is vendored is what the lock says, whole, licensed, and all that pages ask for."""

import hashlib
import json
import re
from pathlib import Path
from typing import TypedDict

import pytest

from tools import vendor

ROOT = vendor.VENDOR.parent.parent


class Entry(TypedDict):
    """One line of the lock."""

    file: str
    package: str
    version: str
    source: str
    licence: str
    licence_file: str
    sha256: str


LOCK: list[Entry] = json.loads((vendor.VENDOR / vendor.LOCK).read_text())


@pytest.mark.parametrize("entry", LOCK, ids=lambda entry: entry["file"])
def test_a_vendored_file_has_the_hash_of_the_lock(entry: Entry) -> None:
    assert hashlib.sha256((vendor.VENDOR / entry["file"]).read_bytes()).hexdigest() == entry["sha256"]


@pytest.mark.parametrize("entry", LOCK, ids=lambda entry: entry["file"])
def test_a_vendored_file_comes_with_its_licence(entry: Entry) -> None:
    assert entry["licence"] in {"MIT", "Apache-2.0", "0BSD", "OFL-1.1"}
    assert len((vendor.VENDOR / entry["licence_file"]).read_text()) > 500


def test_the_lock_is_of_the_versions_that_the_script_names() -> None:
    named = {(file.target, file.package.name, file.package.version) for file in vendor.FILES}
    assert {(entry["file"], entry["package"], entry["version"]) for entry in LOCK} == named


def test_nothing_stands_beside_what_the_lock_names() -> None:
    known = {entry["file"] for entry in LOCK} | {entry["licence_file"] for entry in LOCK} | {vendor.LOCK}
    assert {str(path.relative_to(vendor.VENDOR)) for path in vendor.VENDOR.rglob("*") if path.is_file()} == known


def test_no_vendored_file_points_to_a_source_map() -> None:
    for entry in LOCK:
        assert b"sourceMappingURL" not in (vendor.VENDOR / entry["file"]).read_bytes(), entry["file"]


def test_the_sprite_holds_exactly_the_icons_that_are_listed() -> None:
    sprite = (vendor.VENDOR / "icons.svg").read_text()
    assert re.findall(r'id="tabler-([^"]+)"', sprite) == vendor.ICONS


def test_every_icon_that_a_template_names_is_in_the_sprite() -> None:
    named = {
        (path.name, name)
        for path in (ROOT / "templates").rglob("*.html")
        for name in re.findall(r'(?:{% icon |\b(?:mark|action_icon)=|\bmark\|default:)"([a-z0-9-]+)"', path.read_text())
    }
    assert named
    assert {(page, name) for page, name in named if name not in vendor.ICONS} == set()


def test_no_template_holds_inline_script_or_style() -> None:
    inline = re.compile(r"<style|\sstyle=|\son[a-z]+=|\shx-on|javascript:|<script(?![^>]*\bsrc=)", re.IGNORECASE)
    found = {str(path): inline.findall(path.read_text()) for path in (ROOT / "templates").rglob("*.html")}
    assert {path: what for path, what in found.items() if what} == {}


def test_every_font_of_the_stylesheet_is_vendored() -> None:
    stylesheet = ROOT / "static/css/muster.css"
    addresses = re.findall(r'url\("([^"]+)"\)', stylesheet.read_text())
    assert len(addresses) == 4
    for address in addresses:
        assert Path(stylesheet.parent / address).resolve().is_file(), address


def test_a_source_map_is_stripped_from_css_and_from_js() -> None:
    assert vendor.strip_source_map(b"a{}\n/*# sourceMappingURL=a.css.map */") == b"a{}\n"
    assert vendor.strip_source_map(b"a();\n//# sourceMappingURL=a.js.map\n") == b"a();\n"


def test_cutting_the_sprite_refuses_an_icon_that_it_lacks() -> None:
    sprite = b'<svg><symbol id="tabler-plus" viewBox="0 0 24 24"><path d="M1 1"/></symbol></svg>'
    assert b"tabler-plus" in vendor.cut_sprite(sprite, names=["plus"])
    with pytest.raises(KeyError):
        vendor.cut_sprite(sprite, names=["plus", "unicorn"])
