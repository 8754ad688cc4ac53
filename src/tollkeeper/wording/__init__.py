"""PURE. The one place where reasons, with money and access in them, become sentences: for operators, the log, visitors.

A translation would touch this room and the templates. Each table is keyed by a reason's code; within, the first entry
counts whose facts are all there (``""`` fits always). In a text ``{until:day}`` is a fact, written as a day.
"""
