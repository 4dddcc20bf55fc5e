"""docs/harbor-clients.md lists what the tests call, and nothing else."""

from tools import harbor_clients


def test_the_document_is_up_to_date() -> None:
    assert harbor_clients.OUTPUT.read_text() == harbor_clients.render(), (
        "run: .venv/bin/python -m tools.harbor_clients"
    )


def test_much_is_called() -> None:
    for module in harbor_clients.LIBRARIES.values():
        assert len(harbor_clients.called(module)) > 60
