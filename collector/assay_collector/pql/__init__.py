"""
Who is product-qualified, and why: the definition language and its meaning.

The rule of this floor: no I/O, no clock, no randomness. A verdict is a function of a definition, facts and a moment.
Read in this order: ``comparators`` (three-valued tests), ``definition`` (what a file says), ``steps`` (values over
time), ``presence`` and ``sweeps`` (windows and folds), ``tallies`` (what is kept by the hour), ``values`` and
``decision`` (from facts to verdicts), ``lifecycle`` (episodes), ``ledger`` (verdicts to transitions), ``explain``
(why), ``lacking`` and ``supposing`` (what is missing, and whether it would do). ``prospects`` and ``patience`` say when
none of this has to be done. From ``yaml_tree`` to ``compiler``, ``normal_form`` and ``lint`` a text becomes a
definition; ``language`` is the door to that.
"""
