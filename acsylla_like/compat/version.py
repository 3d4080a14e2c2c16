"""The version of acsylla whose names these are."""

__version__ = "1.2.0"
