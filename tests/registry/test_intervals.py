import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from registry.intervals import wilson_interval


def test_wilson_interval_known_values() -> None:
    # Newcombe (1998), table I, method 3: the score interval.
    for hits, trials, low, high in (
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ):
        assert wilson_interval(hits, trials) == pytest.approx((low, high), abs=5e-5)
    assert wilson_interval(20, 20)[1] == 1.0
    for wrong in ((1, 0), (-1, 5), (6, 5)):
        with pytest.raises(ValueError, match="no rate"):
            wilson_interval(*wrong)


@settings(deadline=None)
@given(trials=st.integers(1, 10_000), share=st.floats(0, 1))
def test_wilson_interval_holds_the_rate_and_mirrors(trials: int, share: float) -> None:
    hits = round(share * trials)
    low, high = wilson_interval(hits, trials)
    assert 0 <= low <= hits / trials <= high <= 1
    assert wilson_interval(trials - hits, trials) == pytest.approx((1 - high, 1 - low), abs=1e-12)
