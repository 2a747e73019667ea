"""The check of the built site: it finds whatever asks another host, and nothing else."""

import sys

import pytest


@pytest.fixture
def problems(root, monkeypatch):
    """The function that looks through a site."""
    monkeypatch.syspath_prepend(str(root / "tools"))
    monkeypatch.delitem(sys.modules, "check_site", raising=False)
    from check_site import problems

    return problems


@pytest.mark.parametrize(
    "html",
    [
        '<script src="https://other/a">',
        '<img src="//other/a">',
        '<img src="a.png" srcset="b.png 1x, https://other/a 2x">',
        '<source srcset="https://other/a">',
        '<video poster="HTTPS://other/a">',
        '<object data="https://other/a">',
        '<svg><use xlink:href="https://other/a"/></svg>',
        '<link rel="stylesheet" href="https://other/a">',
        '<p style="background: url(https://other/a)">',
        "<style>p { color: red }\n@import 'https://other/a';</style>",
        '<style>p { background: url( "//other/a" ) }</style>',
    ],
)
def test_a_page_that_asks_another_host_is_found(problems, tmp_path, html):
    (tmp_path / "deep").mkdir()
    page = tmp_path / "deep" / "page.html"
    page.write_text(f"<html><body>{html}</body></html>")
    (line,) = problems(tmp_path)
    assert line.startswith(f"{page}: ")
    assert line.lower().endswith("//other/a")


@pytest.mark.parametrize(
    "css", ["@import url(https://other/a);", "@import '//other/a';", "p{src:url('http://other/a')}"]
)
def test_a_style_sheet_that_asks_another_host_is_found(problems, tmp_path, css):
    (tmp_path / "main.css").write_text(css)
    (line,) = problems(tmp_path)
    assert line.startswith(f"{tmp_path / 'main.css'}: ")
    assert line.endswith("//other/a")


def test_a_formula_that_was_not_rendered_is_found(problems, tmp_path):
    (tmp_path / "page.html").write_text('<span class="arithmatex">\\(x\\)</span>')
    assert problems(tmp_path) == [f"{tmp_path / 'page.html'}: a formula that was not rendered"]


def test_a_site_that_asks_nobody_is_clean(problems, tmp_path):
    (tmp_path / "page.html").write_text(
        '<link rel="canonical" href="https://here/"><a href="https://other/">read on</a>'
        '<link rel="stylesheet" href="main.css"><img src="a.png" srcset="b.png 2x">'
        '<svg xmlns="http://www.w3.org/2000/svg"><use href="#a"/></svg>'
        "<style>p { background: url(a.png) }</style><p>url(https://other/)</p>"
    )
    (tmp_path / "main.css").write_text(
        "p{background:url('data:image/svg+xml,<svg xmlns=\"http://www.w3.org/2000/svg\"/>')}"
    )
    assert problems(tmp_path) == []
