"""To which account a person's events belong when they do not say."""

from hypothesis import given
from hypothesis import strategies as st

from assay.contract.times import INSTANT_MAX, INSTANT_MIN
from assay_collector.identity.accounts import Attribution, attribute

ONE, TWO, THREE = b"1" * 16, b"2" * 16, b"3" * 16
memberships = st.lists(st.tuples(st.sampled_from([ONE, TWO, THREE]), st.integers(0, 4)), max_size=6)


def belongs_to(rows: list[tuple[bytes, int]], at: int) -> bytes | None:
    """The oracle: the only account joined by then; before any was, the first one; else nobody's guess."""
    joined = {account: min(since for other, since in rows if other == account) for account, _ in rows}
    valid = [account for account, since in joined.items() if since <= at]
    if not valid:
        valid = [account for account, since in joined.items() if since == min(joined.values())]
    return valid[0] if len(valid) == 1 else None


def test_nobody_belongs_nowhere():
    """Without a membership there is no account."""
    assert attribute([]) is None


def test_the_only_account_adopts_everything():
    """Also what was done before joining: that is how trials begin."""
    assert Attribution(ONE, INSTANT_MIN, INSTANT_MAX + 1) == attribute([(ONE, 5), (ONE, 3)])


def test_from_the_second_account_on_nothing_is_guessed():
    """The first keeps what came before."""
    assert Attribution(ONE, INSTANT_MIN, 7) == attribute([(TWO, 7), (ONE, 5), (THREE, 9)])


def test_two_accounts_at_once_are_ambiguous():
    """Neither adopts anything."""
    assert attribute([(ONE, 5), (TWO, 5)]) is None


@given(memberships, st.integers(-1, 6))
def test_attribution_is_what_the_rule_says_at_every_instant(rows, at):
    """Against a naive reading of the rule."""
    found = attribute(rows)
    attributed = found.account if found is not None and found.start <= at < found.end else None

    assert belongs_to(rows, at) == attributed


@given(memberships, st.data())
def test_order_and_repetition_do_not_show(rows, data):
    """Memberships come in any order, and more than once."""
    repeated = data.draw(st.permutations(rows + rows[:2]))

    assert attribute(rows) == attribute(repeated)
