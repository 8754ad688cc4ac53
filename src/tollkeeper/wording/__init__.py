"""PURE. The one place where reasons about money and access become sentences: for operators, the log and visitors.

A translation would change only this package and the templates. Each table is keyed by a reason's code; within it, the
first entry whose facts are all present is used (``""`` always fits). ``{until:day}`` is a fact, written as a day.
"""
