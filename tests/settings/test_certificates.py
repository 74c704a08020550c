"""A file of certificates is taken or refused with a reason and a way out."""

from __future__ import annotations

from pathlib import Path

import botocore
import pytest

from settings import certificates

REAL = (Path(botocore.__file__).parent / "cacert.pem").read_text("utf-8")
"""The authorities botocore itself trusts: a real bundle, with comments between certificates."""
BEGIN, END = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
ONE = REAL[REAL.index(BEGIN) : REAL.index(END) + len(END)] + "\n"


@pytest.mark.parametrize("text", [ONE, REAL, f"# 北京\n{ONE}"], ids=["one", "many", "a comment"])
def test_certificates_are_taken_as_they_are(text: str) -> None:
    assert certificates.checked(text) == text


@pytest.mark.parametrize(
    "text",
    ["", "<html>Blocked by your proxy</html>", f"{BEGIN}\nnot base64\n{END}\n", ONE[:200]],
    ids=["nothing", "a web page", "a broken one", "half of one"],
)
def test_what_holds_no_certificate_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no certificate"):
        certificates.checked(text)


@pytest.mark.parametrize("kind", ["PRIVATE KEY", "RSA PRIVATE KEY", "ENCRYPTED PRIVATE KEY"])
def test_a_private_key_is_refused_for_everybody_could_read_it(kind: str) -> None:
    text = f"{ONE}-----BEGIN {kind}-----\nabc\n-----END {kind}-----\n"
    with pytest.raises(ValueError, match="private key"):
        certificates.checked(text)


def test_a_path_is_relative_to_the_project_or_absolute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "certificates").mkdir()
    (tmp_path / "certificates" / "roots.pem").write_text(ONE)
    assert certificates.read(str(tmp_path / "certificates" / "roots.pem")) == ONE
    monkeypatch.setattr(certificates, "PROJECT", tmp_path)
    assert certificates.read("certificates/roots.pem") == ONE


@pytest.mark.parametrize(
    ("name", "problem"),
    [("missing.pem", "no such file"), (".", "text file"), ("image.pem", "text file")],
)
def test_a_path_to_no_text_file_is_refused(tmp_path: Path, name: str, problem: str) -> None:
    (tmp_path / "image.pem").write_bytes(b"\x89PNG\xff")
    with pytest.raises(ValueError, match=problem):
        certificates.read(str(tmp_path / name))
