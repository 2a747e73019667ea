"""`isozoo push`: what is passed on, and what is printed."""

import json

import pytest

from isozoo.errors import WeightsError
from isozoo.zoo import publishing

PUBLISHED = publishing.Published(
    "isonet-8.pets", "me/isonet-8.pets", "0" * 40, "https://hub/commit"
)


@pytest.fixture
def pushed(monkeypatch):
    """What was asked to be pushed, instead of pushing."""
    calls = []

    def push(*arguments, **options):
        calls.append((arguments, options))
        return PUBLISHED

    monkeypatch.setattr(publishing, "push", push)
    return calls


def test_repository_and_commit_are_printed(isozoo_command, pushed):
    result = isozoo_command("push", "isonet-8.pets")
    assert result.code == 0
    assert pushed == [(("isonet-8.pets", None), {"private": None, "pin": False})]
    for value in PUBLISHED:
        assert value in result.out
    assert "the repository and the commit to pin" in result.err


def test_options_are_passed_on_and_json_is_json(isozoo_command, pushed):
    options = ("--repository", "us/pets", "--private", "--pin", "--json")
    result = isozoo_command("push", "isonet-8.pets", *options)
    assert pushed == [(("isonet-8.pets", "us/pets"), {"private": True, "pin": True})]
    assert json.loads(result.out) == PUBLISHED._asdict()


def test_a_pin_is_to_be_committed(isozoo_command, pushed):
    assert "the catalog renewed: commit both" in isozoo_command("push", "x", "--pin").err


def test_a_failure_is_one_line(isozoo_command, monkeypatch):
    def push(*_, **__):
        raise WeightsError("cannot push to me/pets: try again")

    monkeypatch.setattr(publishing, "push", push)
    result = isozoo_command("push", "isonet-8.pets")
    assert (result.code, result.err) == (2, "isozoo: cannot push to me/pets: try again\n")
    assert isozoo_command("push").code == 2
