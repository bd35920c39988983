"""What hypothesis draws messages from: everything that clients were ever seen to send, and worse."""

from hypothesis import strategies as st

from assay.contract.messages import MESSAGE_TYPES
from assay.contract.times import INSTANT_MAX, INSTANT_MIN, format_instant

# A statement of consent has fields of its own.
WIRE_TYPES = [type for type in MESSAGE_TYPES if type != "consent"]

texts = st.text(st.characters(exclude_categories=()), max_size=8)
odd_numbers = st.floats() | st.integers() | st.sampled_from([10**25, -(10**40), 1e300, 2**63])
scalars = st.none() | st.booleans() | odd_numbers | texts
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3))
maps = st.dictionaries(texts | st.sampled_from(["groupId", "traits", "name"]), values, max_size=4)
plausible_ids = st.text("ab\x00\u00e9", min_size=1, max_size=3) | st.integers(0, 10**30)
times = st.integers(INSTANT_MIN, INSTANT_MAX).map(format_instant) | st.integers(0, 2 * 10**12)

# Anything that might pass for a message.
messages = st.fixed_dictionaries(
    {"type": st.sampled_from(MESSAGE_TYPES) | values},
    optional={
        **dict.fromkeys(("event", "name", "messageId", "userId", "anonymousId", "groupId", "previousId"), values),
        **dict.fromkeys(("timestamp", "originalTimestamp", "sentAt"), times | values),
        **dict.fromkeys(("properties", "traits", "context"), maps | values),
        "writeKey": values,
    },
)
# Messages of which events are made.
good_messages = st.fixed_dictionaries(
    {"type": st.sampled_from(WIRE_TYPES), "event": st.just("E"), "previousId": st.just("p"), "groupId": st.just("g")}
    | {"userId": plausible_ids, "messageId": plausible_ids},
    optional={
        "anonymousId": plausible_ids,
        "name": texts,
        "timestamp": times,
        "sentAt": times,
        "properties": st.dictionaries(texts, values, max_size=4),
        "traits": st.dictionaries(texts, values, max_size=4),
        "context": st.dictionaries(texts, values, max_size=4),
        "writeKey": texts,
    },
)
