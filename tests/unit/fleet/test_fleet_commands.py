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
        (("rollout", "start"), "--waves"),
        (("remove",), "DEVICE"),
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
        (("rollout", "start", "x@1.0.0", "--waves", "25%,10%"), "10% comes after 25%"),
        (("rollout", "start", "x@1.0.0", "--waves", "25%,25%,100%"), "25% comes after 25%"),
        (("rollout", "start", "x@1.0.0", "--waves", "0%,100%"), "'0%' is no share"),
        (("rollout", "start", "x@1.0.0", "--waves", "101%"), "'101%' is no share"),
        (("rollout", "start", "x@1.0.0", "--waves", "25%,50%"), "--waves 25%,50%,100%"),
        (("rollout", "start", "x@1.0.0", "--waves", "some,all"), "'some' is no share"),
        (("rollout", "start", "x@1.0.0", "--waves", ""), "'' is no share"),
        (("rollout", "start", "x@1.0.0", "--waves", "nan,100%"), "'nan' is no share"),
        (("rollout", "start", "x@1.0.0", "--waves", "5%,100%"), "nobody beside the canaries, 5%"),
        (("rollout", "start", "x@1.0.0", "--limit", "waves=1"), "no limit 'waves'"),
        (("remove", "Pi_1", "--data", "nowhere"), "cannot be a device's id"),
        (("remove", "pi-1", "--data", "nowhere"), "No fleet has been started in nowhere"),
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
