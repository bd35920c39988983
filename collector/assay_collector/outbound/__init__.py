"""The outside world that the collector calls, behind the stages' ports."""
