"""A static notes-garden generator whose claims are verified when the garden is built."""

__version__ = "0.1.0"
