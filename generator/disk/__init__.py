"""The only room that reads notes and writes sites.

`scan` turns a folder into a `Vault`; `fingerprint` says cheaply whether it may have changed since; `publish`
makes a folder hold a `Site`, all of it or none of it; `lock` keeps two builds apart. `rewrite` changes a
note, `keep` what lies beside them, `create` adds one, `move` renames one: the only files of an author's that
are ever written.

What `scan` decides:

* Names that start with a dot, `node_modules`, `__pycache__`, `_site` and what the caller excludes are
  not part of a vault, however they are reached.
* A symbolic link is followed if its real path lies in the vault. Folders behind links are not entered
  again through further links, so that the number of files stays within bounds.
* Paths are NFC. Of several files whose paths differ only in case or normalisation, the first in the order
  of code points is published, and a problem names the others.
* Dates come from one pass over git's history. A file that git does not know, or that differs from the last
  commit, is dated by the file system; nothing is ever dated "now".
"""

from __future__ import annotations

from generator.disk.beside import keep, names, reader, rewrite, state
from generator.disk.dates import Cache, DateSource
from generator.disk.locks import Locked, lock
from generator.disk.moves import (
    create,
    document,
    finish,
    move,
    paths,
    template,
    unfinished,
    unusable,
    write,
)
from generator.disk.site import publish
from generator.disk.spool import Spool
from generator.disk.stage import Published, PublishError
from generator.disk.tree import MANIFEST, is_whole, tree_hash, verify
from generator.disk.vault import NOTE_SUFFIXES, fingerprint, scan

__all__ = [
    "MANIFEST",
    "NOTE_SUFFIXES",
    "Cache",
    "DateSource",
    "Locked",
    "PublishError",
    "Published",
    "Spool",
    "create",
    "document",
    "fingerprint",
    "finish",
    "is_whole",
    "keep",
    "lock",
    "move",
    "names",
    "paths",
    "publish",
    "reader",
    "rewrite",
    "scan",
    "state",
    "template",
    "tree_hash",
    "unfinished",
    "unusable",
    "verify",
    "write",
]
