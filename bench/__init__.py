"""Benchmarks: ratios against a named peer, both measured in one run on one machine.

``make bench`` runs them all and writes ``docs/benchmarks.md``. They are not tests: nothing fails
on a time, only on a wrong answer.
"""
