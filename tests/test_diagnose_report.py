"""What a diagnosis says of itself: text, colour, JSON, exit status."""

from __future__ import annotations

import json
import re

from rot180.diagnose import Diagnosis, Finding, Mistake
from rot180.diagnose.diagnosis import WIDTH

TURNED = Mistake("M1", "not turned", "One reason. Another reason.", "w[::-1, ::-1]", "rotation")
MEAN = Mistake("M7", "divided", "A sum. No mean.", "dw = sums", "weight-sharing")


def test_the_text_has_mistake_reason_remedy_and_page():
    diagnosis = Diagnosis((Finding("dx", False, (TURNED,)), Finding("dw", True)), notes=("a note",))
    assert diagnosis.text() == (
        "dx: M1: not turned.\n"
        "    One reason. Another reason.\n"
        "    right: w[::-1, ::-1]\n"
        "    read:  docs/questions/rotation.md\n"
        "dw: right\n"
        "note: a note"
    )
    assert str(diagnosis) == diagnosis.text()


def test_two_mistakes_and_alternatives():
    text = Diagnosis(
        (Finding("dw", False, (TURNED, MEAN), ("cannot tell",), ((MEAN,),)),),
    ).text()
    assert text.startswith("dw: either M1 with M7: not turned, and divided.\n    or M7: divided.\n")
    assert text.count("right: ") == 2


def test_lines_are_wrapped_but_for_code():
    long = Mistake("M1", "word " * 40 + "end", "Reason " * 50 + ".", "x" * 150, "gallery")
    lines = Diagnosis((Finding("dx", False, (long,)),)).text().splitlines()
    assert [line for line in lines if len(line) > WIDTH] == [f"    right: {'x' * 150}"]
    assert lines[-1] == "    read:  docs/gallery.md"


def test_colour_only_paints():
    diagnosis = Diagnosis((Finding("dx", False, (TURNED,)), Finding("dw", True)))
    painted = diagnosis.text(colour=True)
    assert "\033[31m" in painted
    assert "\033[32mright\033[0m" in painted
    assert re.sub(r"\033\[\d+m", "", painted) == diagnosis.text()
    assert "\033" not in diagnosis.text()


def test_the_exit_status():
    assert Diagnosis((Finding("dx", True),)).exit_status == 0
    assert Diagnosis((Finding("dx", False),)).exit_status == 1
    assert Diagnosis((Finding("dx", True),), "raised").exit_status == 2


def test_json_comes_back():
    diagnosis = Diagnosis(
        (Finding("dx", False, (TURNED,), ("fact",), ((MEAN,), (TURNED, MEAN))), Finding("y", True)),
        "a problem",
        ("a note",),
    )
    values = json.loads(diagnosis.to_json())
    assert values["exit_status"] == 2
    assert values["right"] is False
    assert values["findings"][0]["mistakes"][0]["code"] == "M1"
    assert Diagnosis.from_json(diagnosis.to_json()) == diagnosis
