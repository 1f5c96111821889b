"""The site while it is being written: shown on a local address, and told of what is saved.

`server` answers the browser, `watching` tells what was saved, and `Child` is another process, which does the
work: a process with threads, as a server has them, cannot safely be forked, and what is built again and again
should not stop answering meanwhile. What is built, and when, is decided in `cli`.
"""

from __future__ import annotations

from generator.serve.child import Child, stay_with
from generator.serve.events import Events
from generator.serve.server import server
from generator.serve.watching import Places, Saved, Watch

__all__ = ["Child", "Events", "Places", "Saved", "Watch", "server", "stay_with"]
