"""
Who is product-qualified, and why: the definition language and its meaning.

The rule of this floor: no I/O, no clock, no randomness. A verdict is a function of a definition, facts and a moment.
Read in this order: ``tests`` (comparators, three-valued), ``definition`` (what a file says), ``steps`` (values over
time), ``signals`` (tallies to values over time), ``decision`` (values to verdicts), ``ledger`` (verdicts to
transitions), ``explain`` (verdicts to words). ``language`` turns YAML into a definition.
"""
