"""homeport takes an open-weight language model home: decide, size, price, deploy."""

__version__ = "0.1.0"
