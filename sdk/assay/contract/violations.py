"""What is said of an event that does not fit its schema."""

from dataclasses import asdict, dataclass

# An event may break many rules; the first so many are enough to mend it.
VIOLATIONS_MAX = 50


@dataclass(frozen=True, slots=True)
class Violation:
    """One rule that an event breaks. No field holds the value of a property marked as personal data."""

    # Where, as a JSON pointer into the properties or traits; "" is the whole.
    pointer: str
    # The JSON Schema keyword; or `json`, `unplanned`, `version`, `schema` for what no keyword says.
    rule: str
    # What the rule asks for, as short text; "" where the rule says it all.
    expected: str
    # One line for a person, safe for a terminal.
    message: str

    def to_json(self) -> dict[str, str]:
        """Write it as a JSON object with the four fields."""
        return asdict(self)
