"""Fixtures of the report's tests."""

from report.browser import browser as browser
