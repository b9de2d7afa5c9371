"""Exercises: checking answers here and now (:mod:`check`), making the student notebooks (:mod:`release`)."""

from companion.assignments.check import NotYet, ReadyMade, check, inputs

__all__ = ["NotYet", "ReadyMade", "check", "inputs"]
