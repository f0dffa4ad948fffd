"""Tests against real engines; see `conftest.py` for where these are."""
