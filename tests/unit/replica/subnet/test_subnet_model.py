"""Messages, cycles, stopping, versions and history against a small model of the specification."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

from support.subnet_model import SubnetAgreesWithTheModel

SubnetAgreesWithTheModel.TestCase.settings = settings(
    max_examples=50, stateful_step_count=30, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
test_canisters_are_what_a_small_model_says = SubnetAgreesWithTheModel.TestCase
