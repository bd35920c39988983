"""How what two versions of a definition say is joined at an instant. Pure."""

from collections.abc import Sequence

from assay_collector.pql.lifecycle import ENDS, Moment


def splice(elder: Sequence[Moment], younger: Sequence[Moment], at: int) -> list[Moment]:
    """
    What the elder version says before an instant, and the younger from then on, as one course of episodes.

    Who is qualified under both at that instant goes on in the same episode. Who is under the younger alone begins one
    then; who is under the elder alone exits then. A version spliced onto itself is itself.

    Args:
        elder: All steps of its episodes before the instant; more are ignored.
        younger: All steps of its episodes, in order of time.
    """
    kept = [moment for moment in elder if moment.at < at]
    number = max((moment.episode for moment in kept), default=0)
    is_open = number > 0 and not any(moment.episode == number and moment.step in ENDS for moment in kept)
    current = _current(younger, at)
    if current is None:
        if is_open:
            kept.append(Moment(number, "exited", at))
    elif is_open or any(moment.at > at for moment in _ends(younger, current)) or not _ends(younger, current):
        if not is_open:
            number += 1
            kept.append(Moment(number, "qualified", at))
        kept += _carried(kept, younger, current, number, at)
    else:
        current = None
    numbers = {} if current is None else {current: number}
    for moment in younger:
        if moment.at < at or (moment.at == at and moment.episode == current and moment.step not in ENDS):
            continue
        if moment.episode not in numbers:
            number += 1
            numbers[moment.episode] = number
        kept.append(Moment(numbers[moment.episode], moment.step, moment.at))
    return sorted(kept, key=lambda moment: (moment.at, moment.episode))


def _current(moments: Sequence[Moment], at: int) -> int | None:
    """The episode that has begun at an instant and has not ended before it."""
    begun = [moment.episode for moment in moments if moment.step == "qualified" and moment.at <= at]
    return next((episode for episode in begun if all(end.at >= at for end in _ends(moments, episode))), None)


def _ends(moments: Sequence[Moment], episode: int) -> list[Moment]:
    return [moment for moment in moments if moment.episode == episode and moment.step in ENDS]


def _carried(kept: Sequence[Moment], younger: Sequence[Moment], current: int, number: int, at: int) -> list[Moment]:
    """The rungs that the younger version sees reached already, which are reached at the instant, unless they were."""
    known = {moment.step for moment in kept if moment.episode == number}
    steps = [moment.step for moment in younger if moment.episode == current and moment.at <= at]
    return [
        Moment(number, step, at) for step in steps if step not in known and step not in ENDS and step != "qualified"
    ]
