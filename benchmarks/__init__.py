"""Headgate beside its peers: the same numbers first, then the time. Run by `headgate bench`; see README.md."""
