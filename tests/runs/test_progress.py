"""One bar on a terminal, nothing that moves anywhere else."""

import io

from channelwise.runs.progress import Progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def last(stream: io.StringIO) -> str:
    return stream.getvalue().rpartition("\x1b[2K")[2]


def test_the_bar_tells_the_cell_the_runs_and_the_time(monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    stream = Terminal()
    progress = Progress(4, stream)
    progress.begin("a/default", {"do": "execute"})
    progress.draw()
    assert last(stream) == "[........................] 0 of 4 runs  a/default starting  0:00"
    progress.cell("a/default", 5, 10)
    progress.draw()
    assert last(stream) == "[###.....................] 0 of 4 runs  a/default cell 6 of 10  0:00"
    progress.begin("b/default", {"do": "execute"})
    progress.begin("a/default", {"do": "render"})
    progress.draw()
    assert "######" in last(stream) and "a/default writing the report and 1 more" in last(stream)
    progress.end("a/default")
    progress.draw()
    assert last(stream).startswith("[######..................] 1 of 4 runs  b/default starting")
    progress.clear()
    assert stream.getvalue().endswith("\r\x1b[2K")


def test_the_bar_never_wraps(monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    stream = Terminal()
    progress = Progress(1, stream)
    progress.begin("a_notebook_with_a_long_name/and_a_long_run", {"do": "execute"})
    progress.draw()
    assert len(last(stream)) == 39


def test_nothing_is_drawn_where_nobody_watches():
    stream = io.StringIO()
    progress = Progress(1, stream)
    progress.begin("a", {"do": "execute"})
    progress.cell("a", 0, 3)
    progress.draw()
    progress.clear()
    assert stream.getvalue() == ""


def test_a_line_that_stays_goes_to_the_output_after_the_bar_is_gone(capsys):
    stream = Terminal()
    progress = Progress(1, stream)
    progress.begin("a", {"do": "execute"})
    progress.draw()
    progress.say("done")
    assert capsys.readouterr().out == "done\n"
    assert stream.getvalue().endswith("\r\x1b[2K")
