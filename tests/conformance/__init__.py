"""Holds the site that is built against outside standards; see `__main__.py`."""
