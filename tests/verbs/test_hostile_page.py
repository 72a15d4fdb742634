"""Rows, labels and names that try to become a page: what training writes of them stays inert in a real browser."""

from __future__ import annotations

import json

import pytest
from report.browser import browser as browser

import headgate as hg

HOSTILE = "<script>window.intruder=1</script><img src=x onerror=window.intruder=2>\"'&</title>"
TINY = {"epochs": 1, "hidden_size": 4, "progress": False}


def texts(path):
    rows = [{"text": f"{word} {HOSTILE}", "label": word + HOSTILE} for word in ("good", "bad") * 30]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def tagged(path):
    sign = HOSTILE.replace(" ", "")
    path.write_text("".join(f"{sign}\tB-{sign}\nword{k % 5}\tO\n\n" for k in range(60)))


def table(path):
    column = HOSTILE.replace(",", "").replace('"', "")
    rows = (f"2020-01-{1 + k // 24:02d} {k % 24:02d}:00,{k % 24}\n" for k in range(480))
    path.write_text(f"date,{column}\n" + "".join(rows))


@pytest.mark.parametrize(
    ("task", "write", "name"),
    [("classify", texts, "a.jsonl"), ("tag", tagged, "a.conll"), ("forecast", table, "a.csv")],
)
def test_hostile_rows_run_nowhere(browser, tmp_path, task, write, name):
    write(tmp_path / name)
    run = hg.train(tmp_path / name, task, out=tmp_path / "<img src=x onerror=alert(1)>", **TINY)
    page = browser.open(run.folder / "report.html")
    assert page.errors() == [] and page.run("window.intruder === undefined") is True
    assert page.run("document.querySelectorAll('img, iframe').length") == 0
    assert page.run("document.querySelectorAll('figure').length") > 3
    page.close()
