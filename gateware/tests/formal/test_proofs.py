"""Every declared property is proven and covered, its mutant is refuted, and the published table is that of the declarations."""

from __future__ import annotations

import pytest

from .document import COMMAND, DOCUMENT, document, without_seconds
from .mutant import Mutant, StaleMutantError, cores
from .proof import Property, Task, decide
from .properties import PROPERTIES


@pytest.mark.slow
@pytest.mark.parametrize("proof", [pytest.param(proof, id=proof.name, marks=[pytest.mark.soak] * proof.long) for proof in PROPERTIES])
def test_the_property_is_proven_and_its_mutant_refuted(proof: Property, tmp_path):
    for task in Task:
        verdict = decide(proof, task, tmp_path)
        assert verdict.holds, f"{task.value}: {verdict.status}\n{verdict.log[-4000:]}"


def test_the_document_is_not_stale():
    assert without_seconds(DOCUMENT.read_text(encoding="utf-8")) == without_seconds(document(PROPERTIES, {})), f"write it again: {COMMAND}"


def test_every_property_has_its_own_name_and_its_own_mutant():
    assert len({proof.name for proof in PROPERTIES}) == len(PROPERTIES)
    assert len({proof.mutant for proof in PROPERTIES}) == len(PROPERTIES)


def test_a_mutant_whose_line_is_gone_is_not_taken_for_one_that_survives():
    gone = Mutant("nothing", "buck_pwm", "no such line", "")
    with cores(gone), pytest.raises(StaleMutantError, match="0 times"):
        import thermogen_gateware.buck_pwm  # noqa: F401


def test_a_mutant_leaves_the_sound_core_alone():
    import thermogen_gateware.buck_pwm as sound

    with cores(PROPERTIES[0].mutant):
        import thermogen_gateware.buck_pwm as broken
    import thermogen_gateware.buck_pwm as after

    assert broken is not sound
    assert after is sound
