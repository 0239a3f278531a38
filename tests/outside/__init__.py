"""Scanners from outside, against a demo company on the loopback: not part of the tests, see docs/security.md."""
