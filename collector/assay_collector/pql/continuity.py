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
    begun = [moment.episode for moment in younger if moment.step == "qualified" and moment.at <= at]
    current = begun[-1] if begun and _goes_on(younger, begun[-1], at, or_ends_then=is_open) else None
    if current is None and is_open:
        kept.append(Moment(number, "exited", at))
    if current is not None and not is_open:
        number += 1
        kept.append(Moment(number, "qualified", at))
    numbers = {} if current is None else {current: number}
    known = {(moment.episode, moment.step) for moment in kept}
    for moment in younger:
        if moment.episode in begun and moment.episode != current:
            continue
        if moment.episode not in numbers:
            number += 1
            numbers[moment.episode] = number
        step = (numbers[moment.episode], moment.step)
        # What the younger saw reached before it spoke is reached when it speaks.
        if step not in known:
            kept.append(Moment(*step, max(moment.at, at)))
    return sorted(kept, key=lambda moment: (moment.at, moment.episode))


def _goes_on(moments: Sequence[Moment], episode: int, at: int, *, or_ends_then: bool) -> bool:
    """Whether an episode that has begun lasts beyond an instant."""
    ends = [moment.at for moment in moments if moment.episode == episode and moment.step in ENDS]
    return not ends or ends[0] > at or (or_ends_then and ends[0] == at)
