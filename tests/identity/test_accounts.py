"""To which account a person's events belong when they do not say."""

from hypothesis import given
from hypothesis import strategies as st

from assay.contract.times import INSTANT_MAX, INSTANT_MIN
from assay_collector.identity.accounts import Stay, ambiguous, attribute, home
from assay_collector.identity.spans import contains

ONE, TWO, THREE = b"1" * 16, b"2" * 16, b"3" * 16
END = INSTANT_MAX + 1
stays = st.lists(
    st.builds(
        lambda account, start, length: Stay(account, start, None if length is None else start + length),
        st.sampled_from([ONE, TWO, THREE]),
        st.integers(0, 4),
        st.sampled_from([None, None, 1, 2, 3]),
    ),
    max_size=6,
)


def valid(rows: list[Stay], at: int) -> list[bytes]:
    """The oracle: the accounts that were joined by then, and not left for good."""
    joined = {row.account: min(other.start for other in rows if other.account == row.account) for row in rows}
    left = {
        account: None
        if any(row.end is None for row in rows if row.account == account)
        else max(row.end for row in rows if row.account == account)
        for account in joined
    }
    return [
        account for account, since in joined.items() if since <= at and (left[account] is None or at < left[account])
    ]


def belongs_to(rows: list[Stay], at: int, adopt: str = "first") -> bytes | None:
    """The oracle: the only account valid then; before any was, the first one; else nobody's guess."""
    found = valid(rows, at)
    first = min((row.start for row in rows), default=0)
    if at < first and adopt == "first":
        found = list({row.account for row in rows if row.start == first})
    return found[0] if len(found) == 1 else None


def test_nobody_belongs_nowhere():
    """Without a membership there is no account."""
    assert {} == attribute([])


def test_the_only_account_adopts_everything():
    """Also what was done before joining: that is how trials begin."""
    assert {ONE: ((INSTANT_MIN, END),)} == attribute([Stay(ONE, 5), Stay(ONE, 3)])


def test_nothing_is_adopted_where_it_is_so_set():
    """Then only what came after joining counts."""
    assert {ONE: ((3, END),)} == attribute([Stay(ONE, 5), Stay(ONE, 3)], "never")


def test_from_the_second_account_on_nothing_is_guessed():
    """The first keeps what came before."""
    rows = [Stay(TWO, 7), Stay(ONE, 5), Stay(THREE, 9)]

    assert ({ONE: ((INSTANT_MIN, 7),)}, ((7, END),)) == (attribute(rows), ambiguous(rows))


def test_who_leaves_is_the_others():
    """From then on there is one again."""
    assert {ONE: ((INSTANT_MIN, 7),), TWO: ((8, END),)} == attribute([Stay(ONE, 5, 8), Stay(TWO, 7)])


def test_who_has_left_is_nobodys():
    """Events stay with the account in which they happened; later ones are not adopted."""
    assert {ONE: ((INSTANT_MIN, 8),)} == attribute([Stay(ONE, 5, 8)])


def test_two_accounts_at_once_are_ambiguous():
    """Neither adopts anything, and neither's traits are the person's."""
    assert ({}, None) == (attribute([Stay(ONE, 5), Stay(TWO, 5)]), home([Stay(ONE, 5), Stay(TWO, 5)]))


@given(stays, st.integers(-1, 8), st.sampled_from(["first", "never"]))
def test_attribution_is_what_the_rule_says_at_every_instant(rows, at, adopt):
    """Against a naive reading of the rule."""
    attributed = [account for account, spans in attribute(rows, adopt).items() if contains(spans, at)]

    assert belongs_to(rows, at, adopt) == (attributed[0] if attributed else None)
    assert len(attributed) <= 1
    assert (len(valid(rows, at)) > 1) == contains(ambiguous(rows), at)


@given(stays, st.data())
def test_order_and_repetition_do_not_show(rows, data):
    """Memberships come in any order, and more than once."""
    repeated = data.draw(st.permutations(rows + rows[:2]))

    assert attribute(rows) == attribute(repeated)
