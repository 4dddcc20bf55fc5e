"""docs/harbor-compatibility.md says what is so."""

from tools import compatibility


def test_the_document_is_up_to_date() -> None:
    assert compatibility.OUTPUT.read_text() == compatibility.render(), (
        "run: .venv/bin/python -m tools.compatibility"
    )


def test_the_contract_is_whole() -> None:
    operations = compatibility.contract()
    assert len(operations) == 203
    assert len({operation.key for operation in operations}) == 203
    assert {"CreateRobot", "listProjects"} <= {operation.name for operation in operations}
