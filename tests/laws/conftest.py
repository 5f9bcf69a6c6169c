"""How hard the laws are tried: `HYPOTHESIS_PROFILE=soak` tries them fifty times as hard."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

_SLOW_BUT_FINE = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
settings.register_profile("suite", deadline=None, suppress_health_check=_SLOW_BUT_FINE)
settings.register_profile("soak", deadline=None, suppress_health_check=_SLOW_BUT_FINE, max_examples=5000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "suite"))
