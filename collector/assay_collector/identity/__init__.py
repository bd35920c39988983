"""
Who is who: identifiers, people as components of links, and accounts.

The rule of this floor: no I/O, no clock, no randomness; and no answer that depends on the order of arrival.
"""
