"""Fetch what others wrote for the browser into static/vendor: `python tools/vendor.py`.

Each package is fetched with npm at the version named here, the few files needed are copied, and vendor.lock.json notes
package, version, licence and SHA-256 of each. Nothing is fetched when Muster runs, and nobody needs npm to run it.
To add an icon, add its name to tools/icons.txt and run this again.
"""

import argparse
import hashlib
import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

VENDOR = Path(__file__).resolve().parent.parent / "static" / "vendor"
LOCK = "vendor.lock.json"

ICONS = Path(__file__).with_name("icons.txt").read_text().split()


@dataclass(frozen=True)
class Package:
    """One npm package, pinned, and where in it the text of its licence stands."""

    name: str
    version: str
    licence: str
    licence_files: tuple[str, ...]

    @property
    def slug(self) -> str:
        """Return the name as one file name."""
        return self.name.removeprefix("@").replace("/", "-")


@dataclass(frozen=True)
class File:
    """One file of a package, what it is called here, and what is done to its bytes on the way."""

    package: Package
    source: str
    target: str
    change: Callable[[bytes], bytes] = lambda content: content


def strip_source_map(content: bytes) -> bytes:
    """Drop the pointer to a source map: the map is not vendored, and looking for it would be a 404."""
    return re.sub(rb"\s*/[*/]# sourceMappingURL=[^\n]*?(\*/|\n|$)\s*", b"\n", content)


def cut_sprite(content: bytes, *, names: Iterable[str] = ICONS) -> bytes:
    """Keep the symbols called `names` out of the sprite of all icons (2 MB). Raises KeyError for one it lacks."""
    found = re.finditer(r'<symbol id="tabler-([^"]+)".*?</symbol>', content.decode(), re.DOTALL)
    symbols = {symbol[1]: symbol[0] for symbol in found}
    frame = '<path stroke="none" d="M0 0h24v24H0z" fill="none" />'
    kept = "\n".join(symbols[name].replace(frame, "") for name in names)
    return f'<svg xmlns="http://www.w3.org/2000/svg">\n{kept}\n</svg>\n'.encode()


TABLER = Package("@tabler/core", "1.6.1", "MIT", ())  # the package has no licence file: its notice is the CSS's banner
ICON_SPRITE = Package("@tabler/icons-sprite", "3.48.0", "MIT", ("LICENSE",))
ECHARTS = Package("echarts", "6.1.0", "Apache-2.0", ("LICENSE", "NOTICE", "../zrender/LICENSE", "../tslib/LICENSE.txt"))
HTMX = Package("htmx.org", "2.0.11", "0BSD", ("LICENSE",))
INTER = Package("@fontsource-variable/inter", "5.3.0", "OFL-1.1", ("LICENSE",))
GEIST_MONO = Package("@fontsource-variable/geist-mono", "5.3.0", "OFL-1.1", ("LICENSE",))

FILES = (
    File(TABLER, "dist/css/tabler.min.css", "tabler.min.css", strip_source_map),
    File(ICON_SPRITE, "dist/tabler-sprite.svg", "icons.svg", cut_sprite),
    File(ECHARTS, "dist/echarts.common.min.js", "echarts.common.min.js", strip_source_map),
    File(HTMX, "dist/htmx.min.js", "htmx.min.js", strip_source_map),
    *(
        File(package, f"files/{name}", f"fonts/{name}")
        for package, family in ((INTER, "inter-{}-opsz-normal.woff2"), (GEIST_MONO, "geist-mono-{}-wght-normal.woff2"))
        for name in (family.format("latin"), family.format("latin-ext"))
    ),
)


def read_licence(package: Package, *, modules: Path) -> str:
    """Return the licence text of a fetched package, with those of the packages built into it."""
    home = modules / package.name
    if package.licence_files:
        return "\n".join((home / file).read_text() for file in package.licence_files)
    banner = re.search(r"/\*!(.*?)\*/", (home / "dist/css/tabler.min.css").read_text(), re.DOTALL)
    if banner is None:
        message = f"{package.name} has neither a licence file nor a banner"
        raise ValueError(message)
    notice = "\n".join(line.strip(" *") for line in banner[1].strip().splitlines())
    terms = (modules / ICON_SPRITE.name / "LICENSE").read_text().partition("Permission is hereby granted")
    return f"{notice}\n\n{terms[1]}{terms[2]}"


def fetch(packages: Iterable[Package], *, folder: Path) -> Path:
    """Install the packages into `folder` without running their scripts, and return where they lie."""
    npm = shutil.which("npm")
    if npm is None:
        message = "npm is not installed. Only vendoring needs it."
        raise FileNotFoundError(message)
    wanted = [f"{package.name}@{package.version}" for package in packages]
    command = [npm, "install", "--prefix", str(folder), "--ignore-scripts", "--no-audit", "--no-fund", "--save-exact"]
    subprocess.run([*command, *wanted], check=True, stdout=subprocess.DEVNULL)
    return folder / "node_modules"


def write(*, modules: Path, vendor: Path) -> None:
    """Replace what stands in `vendor` by the files named here, their licences and the lock."""
    shutil.rmtree(vendor, ignore_errors=True)
    packages = list(dict.fromkeys(file.package for file in FILES))
    (vendor / "licences").mkdir(parents=True)
    for package in packages:
        (vendor / "licences" / f"{package.slug}.txt").write_text(read_licence(package, modules=modules))
    lock = []
    for file in FILES:
        target = vendor / file.target
        target.parent.mkdir(parents=True, exist_ok=True)
        content = file.change((modules / file.package.name / file.source).read_bytes())
        target.write_bytes(content)
        lock.append(
            {
                "file": file.target,
                "package": file.package.name,
                "version": file.package.version,
                "source": file.source,
                "licence": file.package.licence,
                "licence_file": f"licences/{file.package.slug}.txt",
                "sha256": hashlib.sha256(content).hexdigest(),
            },
        )
    (vendor / LOCK).write_text(json.dumps(lock, indent=2) + "\n")


def main() -> None:
    """Fetch everything again and say what stands there now."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    with tempfile.TemporaryDirectory(prefix="muster-vendor-") as folder:
        modules = fetch(dict.fromkeys(file.package for file in FILES), folder=Path(folder))
        write(modules=modules, vendor=VENDOR)
    for file in FILES:
        size = (VENDOR / file.target).stat().st_size
        sys.stdout.write(f"{size:>9,}  {file.target}  ({file.package.name} {file.package.version})\n")


if __name__ == "__main__":
    main()
