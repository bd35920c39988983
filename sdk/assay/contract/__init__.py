"""
What SDK and collector agree on.

The rule of this floor: no I/O, no clock, no randomness. Time and entropy come in as arguments, so that
both sides, and every test, compute the same answer from the same input.
"""
