"""Publishing: what a site should hold, and whether it may lie where it is asked for."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import unicodedata
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from generator.disk.files import contains, is_hidden, reason, sha256, visible
from generator.disk.stage import Published, PublishError, Stage, Wanted
from generator.disk.tree import MANIFEST
from generator.model import Asset, Site


def publish(
    out: Path,
    site: Site,
    vault_dir: Path,
    *,
    assets: Sequence[Asset] = (),
    exclude: Sequence[Path] = (),
    durable: bool = True,
) -> Published:
    """Make the folder `out` hold `site`, at once or not at all.

    The new site is built beside the old one, from hard links where nothing changed, and the two folders are
    exchanged. Files that the generator did not write stay; one that is in the way is an error. `assets` are
    the vault's, with their digests; `exclude` are never published. With `durable`, the new site is on the
    disk, not only on its way there, before it replaces an old one.

    Raises PublishError (the old site stays whole) and Locked.
    """
    out = Path(os.path.realpath(out))
    _refuse(out, Path(os.path.realpath(vault_dir)))
    try:
        wanted = _wanted(site, Path(vault_dir), assets, exclude)
        with Stage(out, durable) as stage:
            return stage.publish(wanted)
    except OSError as error:
        place = f" ({error.filename})" if error.filename else ""
        hint = _HINTS.get(error.errno or 0, "try another --out")
        raise PublishError(
            f"the site was not written: {reason(error)}{place}; what {out} holds is as it was; {hint}"
        ) from error


_HINTS = {
    errno.ENOSPC: "free some space",
    errno.EDQUOT: "free some space",
    errno.ENOENT: "build again",
    errno.EBUSY: "a mounted folder cannot be exchanged for another: try a folder in it",
}


def _refuse(out: Path, vault: Path) -> None:
    if out == vault or vault.is_relative_to(out):
        raise PublishError(f"the site cannot go to {out}: the notes are in it; try another --out")
    home = os.path.realpath(Path("~").expanduser())
    if contains(str(out), home):
        raise PublishError(f"the site cannot go to {out}: it holds much else; try a folder in it")
    if out.exists() and not out.is_dir():
        raise PublishError(f"the site cannot go to {out}: that is a file; try another --out")
    if out.is_relative_to(vault) and out.is_dir() and not (out / MANIFEST).is_file() and any(out.iterdir()):
        raise PublishError(f"the site cannot go to {out}: that is a part of the notes; try another --out")


def _wanted(
    site: Site, vault_dir: Path, assets: Sequence[Asset], exclude: Sequence[Path]
) -> dict[str, Wanted]:
    wanted = {
        str(path): Wanted(hashlib.sha256(data).hexdigest(), len(data), partial(site.files.__getitem__, path))
        for path, data in site.files.items()
    }
    known = {asset.path: asset for asset in assets}
    for path, vault_path in site.copies.items():
        wanted[str(path)] = _copied(vault_path, vault_dir, known.get(vault_path), exclude)
    bad = [path for path in wanted if not _is_plain(path)]
    if bad:
        raise PublishError(f"{visible(bad[0])} is no path within a site")
    return wanted


def _is_plain(path: str) -> bool:
    parts = path.split("/")
    return not any(part in ("", ".", "..") or "\0" in part for part in parts) and path != MANIFEST


def _copied(path: str, vault_dir: Path, asset: Asset | None, exclude: Sequence[Path]) -> Wanted:
    origin = _locate(vault_dir, path)
    root = os.path.realpath(vault_dir)
    inside = contains(root, origin) and not any(
        contains(os.path.realpath(place), origin) for place in exclude
    )
    if not inside or any(is_hidden(part) for part in Path(origin).relative_to(root).parts):
        raise PublishError(f"{path} is not published: it is hidden, or not in the vault")
    state = os.stat(origin)  # noqa: PTH116
    if not stat.S_ISREG(state.st_mode):
        raise PublishError(f"{path} is not published: it is not a file")
    digest = asset.digest if asset and asset.size == state.st_size else sha256(origin)
    return Wanted(digest, state.st_size, None, origin)


def _locate(vault_dir: Path, path: str) -> str:
    """Where a path of the vault really is: names on disk need not be NFC."""
    place = Path(vault_dir)
    for part in path.split("/"):
        exact = place / part
        if not exact.exists() and place.is_dir():
            same = [each for each in place.iterdir() if unicodedata.normalize("NFC", each.name) == part]
            exact = min(same, default=exact)
        place = exact
    return os.path.realpath(place)
