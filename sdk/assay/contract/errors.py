"""The root of every error that Assay raises on purpose."""


class AssayError(Exception):
    """
    Something Assay refuses, with a message that says what, which value, and what to do next.

    Subclasses are dataclasses with the facts as fields and the sentence in ``__str__``.
    """
