"""The words of ``edge fleet`` that need no fleet."""

import pytest

from edge_sdk.cli.main import main


def said(capfd: pytest.CaptureFixture[str], *words: str, code: int = 0) -> str:
    assert main(["fleet", *words]) == code
    captured = capfd.readouterr()
    return captured.err if code else captured.out


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        ((), "serve"),
        (("serve",), "--broker-listen"),
        (("rollout",), "rollback"),
        (("rollout", "start"), "--canary"),
        (("enroll",), "--label"),
    ],
)
def test_every_command_explains_itself(
    words: tuple[str, ...], shown: str, capfd: pytest.CaptureFixture[str]
) -> None:
    text = said(capfd, *words, "--help")
    assert shown in text
    assert " ".join(("usage: edge fleet", *words)) in text


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("dance",), "invalid choice"),
        (("devices", "--api", "http://127.0.0.1:1"), "needs the token"),
        (("devices", "--data", "nowhere"), "No fleet has been started in nowhere"),
        (("rollout", "status", "--wait", "--data", "nowhere"), "No fleet has been started"),
        (("rollout", "start", "x@1.0.0", "--app", "a", "--canary", "much"), "no share"),
        (("rollout", "start", "x@1.0.0", "--app", "a", "--limit", "soak=1"), "soak_s"),
        (("rollout", "start", "x@1.0.0", "--app", "a", "--limit", "soak_s=long"), "no number"),
        (("serve", "--listen", "here", "--data", "fresh"), "not HOST:PORT"),
        (("serve", "--broker", "amqp://x", "--data", "fresh", "--listen", "127.0.0.1:0"), "scheme"),
    ],
)
def test_bad_words(
    words: tuple[str, ...],
    complaint: str,
    capfd: pytest.CaptureFixture[str],
    tmp_path: object,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(str(tmp_path))
    assert complaint in said(capfd, *words, code=2)
